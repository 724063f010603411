// SPDX-License-Identifier: Apache-2.0
// Float ONNX model and calibration data -> QDQ ONNX model.
//
// Prepares the model (opset 13, batch normalization folded, layers equalised), finds what can be integer, chooses ranges from the
// calibration data, corrects biases, and writes standard QuantizeLinear / DequantizeLinear nodes. Activations: 8 bits, one scale and zero
// point per tensor; weights: 8 bits, one scale per output channel, zero point 0; biases: int32. The same model and data give the same bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/quantize/correct.h"

namespace kiln {

struct QuantizeOptions {
  RangeOptions ranges;
  bool per_channel = true;
  std::optional<bool> equalize;  ///< default: where weights have one scale per layer
  CorrectOptions correct;
  std::vector<std::string> keep_float;  ///< names of nodes
};

/// A row of the report: a unit of the model.
struct QuantizedUnit {
  std::string name, type;  ///< of its first node; with what is fused: "Conv+Relu"
  UnitKind kind = UnitKind::compute;
  bool per_channel = false;  ///< scales of the weights
  Range seen;              ///< of the result, on the calibration data
  Grid grid;               ///< of the result
  double snr = 0;          ///< dB, of the result, with everything before it quantized as well
};

struct QuantizedOutput {
  std::string name;
  double snr = 0;        ///< dB
  double agreement = 0;  ///< share of samples with the same largest element
};

struct QuantizedModel {
  std::string bytes;  ///< of the ONNX file
  std::vector<QuantizedUnit> units;
  std::vector<std::string> float_nodes;  ///< that stay float: "'name' (Type)"
  std::vector<QuantizedOutput> outputs;  ///< float outputs, on the calibration data
  size_t equalized_pairs = 0;
  int64_t opset_before = 0, opset = 0;
  int64_t parameter_bytes_before = 0, parameter_bytes = 0;  ///< initializers
};

/// `samples`: at least one, in the order and with the types of `inputs_of`'s result. Problems are in `diagnostics`: those of reading and importing
/// the model; unknown_node for `keep_float`; nothing_to_quantize; bad_input_data.
std::optional<QuantizedModel> quantize_model(OnnxGraph model, const std::filesystem::path& path, const ImportOptions& import,
                                             const std::vector<Sample>& samples, const QuantizeOptions& options, const Progress& progress,
                                             Diagnostics& diagnostics);

}  // namespace kiln
