// SPDX-License-Identifier: Apache-2.0
// What calibration data tell about the errors of a quantized model, layer by layer, and two ways to make them smaller.
//
// The float model and the quantized one are computed side by side for all samples at once, node by node. So each layer is corrected with
// all layers before it quantized and corrected already.
//  Bias correction: the mean error of each output channel is taken off its bias ("empirical bias correction", M. Nagel et al., ICCV 2019),
//  shrunk by the uncertainty of the mean, so that few samples do no harm.
//  Rounding: each weight goes up or down, not just to the nearest, so that the layer's output errs least: coordinate descent on
//  (w - w_q)' G (w - w_q), with G the second moments of the layer's inputs. The objective is that of M. Nagel et al., "Up or Down? Adaptive
//  Rounding for Post-Training Quantization", ICML 2020; the search is simpler than theirs.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "compiler/quantize/calibrate.h"

namespace kiln {

struct CorrectOptions {
  bool bias = true;
  bool rounding = false;
};

/// Signal and noise of a tensor: sums of squares of its float values and of their errors.
struct Noise {
  double signal = 0, noise = 0;
  void add(std::span<const float> exact, std::span<const float> quantized);
  /// In dB; infinite without noise.
  [[nodiscard]] double snr() const;
};

/// Corrects the layers of the plan in place. Returns the noise of every quantized tensor, and that of the model's outputs, with all layers
/// quantized. Memory: all live tensors of `samples`, twice.
Result<std::map<std::string, Noise>> correct(const Graph& graph, const Timeline& timeline, const OnnxGraph& model,
                                             const GraphPlaces& places, const std::vector<Sample>& samples, const CorrectOptions& options,
                                             const Progress& progress, QuantPlan& plan);

}  // namespace kiln
