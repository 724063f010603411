// SPDX-License-Identifier: Apache-2.0
// The values that a quantized tensor can take, and rounding to them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/ir/tensor.h"

namespace kiln {

/// What real numbers a tensor may hold; low <= high.
struct Range {
  double low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

/// (q - zero_point) * scale for the integers q of `dtype`.
struct Grid {
  DType dtype = DType::i8;
  float scale = 1;
  int32_t zero_point = 0;
  bool operator==(const Grid&) const = default;

  [[nodiscard]] int32_t low() const { return dtype == DType::i16 ? -32768 : -128; }
  [[nodiscard]] int32_t high() const { return dtype == DType::i16 ? 32767 : 127; }
  /// The integer for `x`: saturate(round_half_even(x / scale) + zero_point), in float32 as ONNX QuantizeLinear.
  [[nodiscard]] int32_t quantize(float x) const;
  /// ONNX DequantizeLinear.
  [[nodiscard]] float real(int32_t q) const { return static_cast<float>(q - zero_point) * scale; }
  /// The smallest and the largest value.
  [[nodiscard]] Range range() const { return {static_cast<double>(real(low())), static_cast<double>(real(high()))}; }
};

/// The grid of `dtype` (i8 or i16) over `range`, widened where needed so that it includes zero, which is represented exactly. A range that
/// is zero alone gives scale 1.
Grid activation_grid(Range range, DType dtype);

/// Replaces each value by the nearest of the grid.
void round_to_grid(std::span<float> values, const Grid& grid);

/// Weights with one scale per row (output channel), zero point 0, values in [-127, 127].
struct QuantizedWeights {
  std::vector<float> scale;  ///< one per row
  Tensor values;             ///< i8, in the layout of the weights
};

/// The scale that makes 127 of the largest magnitude in each row, but at least `least` (one per row, or empty); the same in all rows if not
/// `per_channel`. A row of zeros gets the largest scale of the others (1 when there are none).
std::vector<float> weight_scales(const Tensor& weights, bool per_channel, const std::vector<float>& least);

/// Rounds half to even. `weights`: f32 with the rows along dimension 0.
QuantizedWeights quantize_weights(const Tensor& weights, std::vector<float> scales);

/// What DequantizeLinear makes of them.
Tensor dequantized(const QuantizedWeights& weights);

/// A bias in units of `input_scale` * `weights_scale[row]`, saturated to int32.
struct QuantizedBias {
  std::vector<float> scale;
  std::vector<int32_t> values;
};
QuantizedBias quantize_bias(std::span<const float> bias, float input_scale, const std::vector<float>& weight_scale);
std::vector<float> dequantized(const QuantizedBias& bias);

}  // namespace kiln
