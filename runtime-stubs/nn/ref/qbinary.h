// SPDX-License-Identifier: 0BSD
// Sums and products of two quantized tensors by integer operations only, with factors for which the compiler has proved that they give
// the result of qbinary for every pair of operands.
#pragma once

#include "../functors.h"
#include "../requant.h"
#include "elementwise.h"

namespace nn::ref {

namespace detail {

// Sums: (a * a_factor + b * b_factor + offset) / 2^shift in 32 bits. Products: ((a - a_zero_point) * (b - b_zero_point) * a_factor +
// offset * 2^(shift - 16)) / 2^shift in 64 bits. Both rounded down.
template <class F, class D>
KILN_INLINE int32_t qbinary_value(const D& d, int32_t a, int32_t b) {
  if constexpr (F::kProduct) {
    const int64_t product = static_cast<int64_t>((a - d.a_zero_point) * (b - d.b_zero_point)) * d.a_factor;
    return static_cast<int32_t>((product + static_cast<int64_t>(d.offset) * (int64_t{1} << (d.shift - 16))) >> d.shift);
  } else {
    return (a * d.a_factor + b * d.b_factor + d.offset) >> d.shift;
  }
}

struct sum_form { static constexpr bool kProduct = false; };
struct product_form { static constexpr bool kProduct = true; };
template <class F>
struct qbinary_form { using type = sum_form; };
template <>
struct qbinary_form<fn::mul> { using type = product_form; };

}  // namespace detail

// F is fn::add, fn::sub or fn::mul; the activation is in low and high. d has, besides the fields of the descriptor: a_factor, b_factor,
// offset, shift. y may be an operand that has its shape and element size.
template <class F, class Act, class D, class A, class B, class Y>
KILN_INLINE void qbinary_integer(const D& d, const A* a, const B* b, Y* y) {
  const int32_t row = d.dims[d.rank - 1];
  const int32_t a_step = d.a_strides[d.rank - 1], b_step = d.b_strides[d.rank - 1];
  int32_t index[8] = {};
  do {
    const A* row_a = a + detail::row_offset(d, index, d.a_strides);
    const B* row_b = b + detail::row_offset(d, index, d.b_strides);
    for (int32_t i = 0; i < row; ++i) {
      const int32_t value = detail::qbinary_value<typename detail::qbinary_form<F>::type>(d, row_a[i * a_step], row_b[i * b_step]);
      y[i] = static_cast<Y>(min(max(value, d.low), d.high));
    }
    y += row;
  } while (detail::next_row(d, index));
}

}  // namespace nn::ref
