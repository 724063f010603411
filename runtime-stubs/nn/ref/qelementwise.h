// SPDX-License-Identifier: 0BSD
// Elementwise kernels on quantized tensors, and the conversions from and to float. See ../requant.h for the rounding.
#pragma once

#include "../requant.h"
#include "elementwise.h"

namespace nn::ref {

// y = quantize(act(f(a, b))) with a and b as real numbers: all steps in float, each rounded. Strides as in `binary`; y may be an
// operand that has its shape and element size.
template <class F, class Act, class D, class A, class B, class Y>
KILN_INLINE void qbinary(const D& d, const A* a, const B* b, Y* y) {
  const int32_t row = d.dims[d.rank - 1];
  const int32_t a_step = d.a_strides[d.rank - 1], b_step = d.b_strides[d.rank - 1];
  int32_t index[8] = {};
  do {
    const A* row_a = a + detail::row_offset(d, index, d.a_strides);
    const B* row_b = b + detail::row_offset(d, index, d.b_strides);
    for (int32_t i = 0; i < row; ++i) {
      const float left = rounded(static_cast<float>(row_a[i * a_step] - d.a_zero_point) * d.a_scale);
      const float right = rounded(static_cast<float>(row_b[i * b_step] - d.b_zero_point) * d.b_scale);
      const float real = Act::apply(d, rounded(F::apply(left, right)));
      y[i] = static_cast<Y>(quantize_value(real, d.y_scale, d.y_zero_point, d.low, d.high));
    }
    y += row;
  } while (detail::next_row(d, index));
}

// y = quantize(f(x)) with x as a real number: for operands of 16 bits, whose tables would be large. y may be x where the sizes are equal.
template <class F, class D, class X, class Y>
KILN_INLINE void qunary(const D& d, const X* x, Y* y) {
  for (int32_t i = 0; i < d.count; ++i) {
    const float real = F::apply(d, rounded(static_cast<float>(x[i] - d.x_zero_point) * d.x_scale));
    y[i] = static_cast<Y>(quantize_value(real, d.y_scale, d.y_zero_point, d.low, d.high));
  }
}

// y = clamp(round_half_even(x / scale) + zero_point); one scale and zero point per channel of [outer, channels, inner]. NaN gives low.
template <class D, class Y>
KILN_INLINE void quantize(const D& d, const float* x, const float* scale, const int32_t* zero_point, Y* y) {
  for (int32_t o = 0; o < d.outer; ++o) {
    for (int32_t c = 0; c < d.channels; ++c) {
      const float divisor = scale[c];
      const int32_t zero = zero_point[c];
      for (int32_t i = 0; i < d.inner; ++i) *y++ = static_cast<Y>(quantize_value(*x++, divisor, zero, d.low, d.high));
    }
  }
}

// y = (x - zero_point) * scale; one of each per channel of [outer, channels, inner].
template <class D, class X>
KILN_INLINE void dequantize(const D& d, const X* x, const float* scale, const int32_t* zero_point, float* y) {
  for (int32_t o = 0; o < d.outer; ++o) {
    for (int32_t c = 0; c < d.channels; ++c) {
      const float factor = scale[c];
      const int32_t zero = zero_point[c];
      for (int32_t i = 0; i < d.inner; ++i) *y++ = static_cast<float>(static_cast<int32_t>(*x++) - zero) * factor;
    }
  }
}

// y = table[x], x taken as a byte: the table of an int8_t operand starts with 0 and has its negative numbers from 128 on. y may
// be x where the sizes are equal.
template <class D, class X, class Y>
KILN_INLINE void lookup(const D& d, const X* x, const Y* table, Y* y) {
  static_assert(sizeof(X) == 1, "a table has 256 entries");
  for (int32_t i = 0; i < d.count; ++i) y[i] = table[static_cast<uint8_t>(x[i])];
}

// DynamicQuantizeLinear: *scale and *zero_point such that the range of x, widened to contain 0, becomes 0 to 255. A tensor
// of zeros has scale 1. Numbers that are NaN do not widen the range and become 0.
template <class D>
KILN_INLINE void dynamic_quantize(const D& d, const float* x, uint8_t* y, float* scale, uint8_t* zero_point) {
  float low = 0.0f, high = 0.0f;
  for (int32_t i = 0; i < d.count; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  const float step = low == high ? 1.0f : (high - low) / 255.0f;
  const int32_t zero = quantize_value(0.0f - low, step, 0, 0, 255);
  for (int32_t i = 0; i < d.count; ++i) y[i] = static_cast<uint8_t>(quantize_value(x[i], step, zero, 0, 255));
  *scale = step;
  *zero_point = static_cast<uint8_t>(zero);
}

}  // namespace nn::ref
