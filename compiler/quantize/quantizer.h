// SPDX-License-Identifier: Apache-2.0
// Float ONNX model and calibration data -> QDQ ONNX model.
//
// Prepares the model (opset 13, batch normalization folded, layers equalised), finds what can be integer, chooses ranges from the
// calibration data, corrects biases, and writes standard QuantizeLinear / DequantizeLinear nodes. Activations: 8 bits, one scale and zero
// point per tensor; weights: 8 bits, one scale per output channel, zero point 0; biases: int32. The same model and data give the same
// bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/quantize/correct.h"

namespace kiln {

/// What the quantized model must reach: a share of right answers not more than `max_drop` below that of the float model. An answer is the
/// largest element of the first output; it is right when it is the label, or, without labels, that of the float model.
struct AccuracyGoal {
  double max_drop = 0;  ///< of 1
  std::vector<Sample> samples;
  std::vector<int64_t> labels;  ///< one per sample, or none
};

/// What became of a goal.
struct GoalResult {
  double float_share = 0, first_share = 0, share = 0;  ///< of right answers: float, with 8 bits everywhere, as written
  std::vector<std::string> lifted;                     ///< "tensor 'x' to 16 bits", "layer 'y' to float", in order
};

struct QuantizeOptions {
  RangeOptions ranges;
  bool per_channel = true;
  bool equalize = false;
  CorrectOptions correct;
  std::vector<std::string> keep_float;  ///< names of nodes
  std::optional<AccuracyGoal> goal;
};

/// A row of the report: a unit of the model.
struct QuantizedUnit {
  std::string name, type;  ///< of its first node; with what is fused: "Conv+Relu"
  UnitKind kind = UnitKind::compute;
  bool per_channel = false;  ///< scales of the weights
  Range seen;                ///< of the result, on the calibration data
  Grid grid;                 ///< of the result
  std::optional<double> snr;  ///< dB, of the result, with everything before it quantized as well; of a result that is its input moved about,
                              ///< that of the input; none where neither is computed as such
};

struct QuantizedOutput {
  std::string name;
  double snr = 0;        ///< dB
  double agreement = 0;  ///< share of samples with the same largest element
};

struct QuantizedModel {
  std::string bytes;  ///< of the ONNX file
  std::vector<FrozenInput> frozen = {};  ///< inputs of the float model that it has as constants
  std::vector<QuantizedUnit> units;
  std::vector<std::string> float_nodes;  ///< that stay float: "'name' (Type)"
  std::vector<QuantizedOutput> outputs;  ///< float outputs, on the calibration data
  std::optional<GoalResult> goal;
  size_t equalized_pairs = 0;
  int64_t opset_before = 0, opset = 0;
  int64_t parameter_bytes_before = 0, parameter_bytes = 0;  ///< initializers
};

/// `samples`: at least one, in the order and with the types of `inputs_of`'s result. Problems are in `diagnostics`: those of reading and
/// importing the model; unknown_node for `keep_float`; nothing_to_quantize; bad_input_data; metric_drops.
std::optional<QuantizedModel> quantize_model(OnnxGraph model, const std::filesystem::path& path, const ImportOptions& import,
                                             const std::vector<Sample>& samples, const QuantizeOptions& options, const Progress& progress,
                                             Diagnostics& diagnostics);

}  // namespace kiln
