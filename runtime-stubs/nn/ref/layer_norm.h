// SPDX-License-Identifier: 0BSD
// Layer normalization of each row of [rows, count], with scale[count] and bias[count]:
//   mean = sum(x) / count;  variance = sum((x - mean)^2) / count;  y = (x - mean) * (1 / sqrt(variance + epsilon)) * scale + bias
// Sums run in order over two passes, and every operation rounds, so that all cores give the same bits. y may be x.
#pragma once

#include "../math.h"
#include "../requant.h"

namespace nn::ref {

namespace detail {

// Normalizes one row: read(i) gives its numbers, write(i, value) takes the results.
template <class D, class Read, class Write>
KILN_INLINE void layer_norm_row(const D& d, const Read& read, const float* scale, const float* bias, const Write& write) {
  const float count = static_cast<float>(d.count);
  float sum = 0.0f, squares = 0.0f;
  for (int32_t i = 0; i < d.count; ++i) sum += read(i);
  const float mean = sum / count;
  for (int32_t i = 0; i < d.count; ++i) {
    const float difference = read(i) - mean;
    squares += rounded(difference * difference);
  }
  const float factor = 1.0f / nn::sqrt(squares / count + d.epsilon);
  for (int32_t i = 0; i < d.count; ++i) write(i, rounded((read(i) - mean) * factor * scale[i]) + bias[i]);
}

}  // namespace detail

template <class D>
KILN_INLINE void layer_norm(const D& d, const float* x, const float* scale, const float* bias, float* y) {
  for (int32_t row = 0; row < d.rows; ++row, x += d.count, y += d.count) {
    detail::layer_norm_row(d, [&](int32_t i) { return x[i]; }, scale, bias, [&](int32_t i, float value) { y[i] = value; });
  }
}

// Without mean and bias: y = x * (1 / sqrt(sum(x^2) / count + epsilon)) * scale. y may be x.
template <class D>
KILN_INLINE void rms_norm(const D& d, const float* x, const float* scale, float* y) {
  for (int32_t row = 0; row < d.rows; ++row, x += d.count, y += d.count) {
    float squares = 0.0f;
    for (int32_t i = 0; i < d.count; ++i) squares += rounded(x[i] * x[i]);
    const float factor = 1.0f / nn::sqrt(squares / static_cast<float>(d.count) + d.epsilon);
    for (int32_t i = 0; i < d.count; ++i) y[i] = x[i] * factor * scale[i];
  }
}

// layer_norm on quantized x and y; x is dequantized in every pass, which needs no memory.
template <class D, class X, class Y>
KILN_INLINE void qlayer_norm(const D& d, const X* x, const float* scale, const float* bias, Y* y) {
  for (int32_t row = 0; row < d.rows; ++row, x += d.count, y += d.count) {
    const auto read = [&](int32_t i) { return rounded(static_cast<float>(x[i] - d.x_zero_point) * d.x_scale); };
    detail::layer_norm_row(d, read, scale, bias, [&](int32_t i, float value) {
      y[i] = static_cast<Y>(quantize_value(value, d.y_scale, d.y_zero_point, d.low, d.high));
    });
  }
}

}  // namespace nn::ref
