// SPDX-License-Identifier: 0BSD
// Elementwise kernels. x and y may be the same memory where they have the same type and every stride equals that of y.
#pragma once

#include "../base.h"

namespace nn::ref {

// y[i] = f(x[i]); U is T, or uint8_t for functions whose result is true or false.
template <class F, class D, class T, class U>
KILN_INLINE void unary(const D& d, const T* x, U* y) {
  for (int32_t i = 0; i < d.count; ++i) y[i] = static_cast<U>(F::apply(d, x[i]));
}

namespace detail {

// The index of the next row, a run along the last dimension, in row-major order; false after the last one.
template <class D>
KILN_INLINE bool next_row(const D& d, int32_t (&index)[8]) {
  for (int32_t k = d.rank - 2; k >= 0; --k) {
    if (++index[k] < d.dims[k]) return true;
    index[k] = 0;
  }
  return false;
}

// Where the row starts in an operand of the given strides.
template <class D, class S>
KILN_INLINE int32_t row_offset(const D& d, const int32_t (&index)[8], const S& strides) {
  int32_t offset = 0;
  for (int32_t k = 0; k < d.rank - 1; ++k) offset += index[k] * strides[k];
  return offset;
}

}  // namespace detail

// y = act(f(a, b)) over d.dims; y is dense. The step of an operand along the last dimension is 1, or 0 where it is repeated.
template <class F, class Act, class D, class T, class U>
KILN_INLINE void binary(const D& d, const T* a, const T* b, U* y) {
  const int32_t row = d.dims[d.rank - 1];
  const int32_t a_step = d.a_strides[d.rank - 1], b_step = d.b_strides[d.rank - 1];
  int32_t index[8] = {};
  do {
    const T* row_a = a + detail::row_offset(d, index, d.a_strides);
    const T* row_b = b + detail::row_offset(d, index, d.b_strides);
    for (int32_t i = 0; i < row; ++i)
      y[i] = Act::apply(d, static_cast<U>(F::apply(row_a[i * a_step], row_b[i * b_step])));
    y += row;
  } while (detail::next_row(d, index));
}

// y = c ? a : b over d.dims; y is dense.
template <class D, class T>
KILN_INLINE void where(const D& d, const uint8_t* c, const T* a, const T* b, T* y) {
  const int32_t row = d.dims[d.rank - 1];
  const int32_t c_step = d.c_strides[d.rank - 1], a_step = d.a_strides[d.rank - 1], b_step = d.b_strides[d.rank - 1];
  int32_t index[8] = {};
  do {
    const uint8_t* row_c = c + detail::row_offset(d, index, d.c_strides);
    const T* row_a = a + detail::row_offset(d, index, d.a_strides);
    const T* row_b = b + detail::row_offset(d, index, d.b_strides);
    for (int32_t i = 0; i < row; ++i) {
      const T if_true = row_a[i * a_step], if_false = row_b[i * b_step];
      y[i] = row_c[i * c_step] != 0 ? if_true : if_false;
    }
    y += row;
  } while (detail::next_row(d, index));
}

}  // namespace nn::ref
