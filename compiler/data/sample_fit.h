// SPDX-License-Identifier: Apache-2.0
// Stored numbers -> the tensor that a model takes: shape, layout, size, range and element type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/data/sample_file.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// An input that samples are made for. Where `type.quant` is set, real numbers are quantized with it.
struct ModelInput {
  std::string name;
  TensorType type;
};

enum class Layout { nhwc, nchw };
enum class ResizeMode { refuse, nearest, bilinear };

/// input = (stored - mean) / std * scale.
struct Preparation {
  std::vector<double> mean = {}, std = {}, scale = {};  ///< empty, one number, or one per channel
  std::optional<Layout> layout = {};                    ///< of stored arrays; none: as the model has it. Pictures know theirs
  ResizeMode resize = ResizeMode::refuse;

  [[nodiscard]] bool changes_values() const { return !mean.empty() || !std.empty() || !scale.empty(); }
};

/// How many samples `array` holds for `input`: one when its shape is the input's, as many as its first dimension says when the rest is.
/// Dimensions of 1 do not count in this; pictures need only be of a size that the input takes. Errors: bad_input_data, with both shapes.
Result<int64_t> count_samples(const StoredArray& array, const Preparation& preparation, const ModelInput& input);

/// Sample `index` of `array`. A model's integers with quantization get
///   - stored integers of the same type as they are, unless the preparation changes values;
///   - all other numbers as saturate(round_half_even(x / scale) + zero_point), ONNX QuantizeLinear.
/// Errors: bad_input_data, when the array does not fit or a number is not one of the input's type.
Result<Tensor> make_sample(const StoredArray& array, int64_t index, const Preparation& preparation, const ModelInput& input);

}  // namespace kiln
