// SPDX-License-Identifier: Apache-2.0
// The weights of Conv, Gemm and MatMul nodes seen alike: an output channel, an input channel, a place in the window.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/onnx_graph.h"

namespace kiln {

/// Where the weights of a layer lie in their initializer.
struct WeightLayout {
  int64_t outputs = 0;  ///< output channels
  int64_t inputs = 0;   ///< input channels that one output channel reads
  int64_t taps = 1;     ///< places of the window
  int64_t groups = 1;
  bool outputs_innermost = false;  ///< [inputs][outputs], as in MatMul; else [outputs][inputs][taps]

  [[nodiscard]] size_t at(int64_t output, int64_t input, int64_t tap) const {
    return static_cast<size_t>(outputs_innermost ? input * outputs + output : (output * inputs + input) * taps + tap);
  }
  /// The channel of the layer's input that `input` of `output` is.
  [[nodiscard]] int64_t channel(int64_t output, int64_t input) const { return output / (outputs / groups) * inputs + input; }
  /// The dimension of the initializer that is the output channel.
  [[nodiscard]] int64_t axis() const { return outputs_innermost ? 1 : 0; }
};

/// The layout of a Conv, Gemm or MatMul whose weights are a float32 initializer, and whose bias, if it has one, is a float32 initializer
/// with one element per output channel; else nothing.
std::optional<WeightLayout> weight_layout(const OnnxGraph& graph, const OnnxGraphNode& node);

/// Elements in the order [outputs][taps][inputs], in which the compiler's own layers keep weights -> the order of the initializer.
template <class T>
std::vector<T> in_onnx_order(const std::vector<T>& rows, const WeightLayout& layout) {
  std::vector<T> out(rows.size());
  size_t from = 0;
  for (int64_t o = 0; o < layout.outputs; ++o)
    for (int64_t t = 0; t < layout.taps; ++t)
      for (int64_t i = 0; i < layout.inputs; ++i) out[layout.at(o, i, t)] = rows[from++];
  return out;
}

}  // namespace kiln
