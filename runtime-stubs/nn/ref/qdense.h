// SPDX-License-Identifier: 0BSD
// Products of integer matrices. Sums are int32_t, or int64_t where d.wide says so; see ../requant.h for the results: y is
// quantized, float (sum * multiplier), or int32_t (the sum). y must not overlap the operands.
#pragma once

#include "../functors.h"
#include "../requant.h"

namespace nn::ref {

// A sum of (x - x_zero_point) * (w - w_zero_point), as sums of products and of operands whose zero points are brought in at the end:
// GCC 12 miscompiles sums of products of such differences of bytes for AVX-512 VNNI (it takes them as unsigned). Arithmetic is modulo
// 2^32 or 2^64, so only the result has to fit.
template <class Acc>
struct ProductSum {
  using Bits = nn::detail::wrapping<Acc>;
  Bits products = 0, xs = 0, ws = 0, count = 0;

  template <class X, class W>
  KILN_INLINE void add(int32_t x_zero_point, int32_t w_zero_point, X x, W w) {
    products += static_cast<Bits>(x) * static_cast<Bits>(w);
    if (w_zero_point != 0) xs += static_cast<Bits>(x);
    if (x_zero_point != 0) ws += static_cast<Bits>(w);
    if (x_zero_point != 0 && w_zero_point != 0) ++count;
  }
  KILN_INLINE Acc result(int32_t x_zero_point, int32_t w_zero_point, Acc start) const {
    const Bits x_zero = static_cast<Bits>(x_zero_point), w_zero = static_cast<Bits>(w_zero_point);
    return static_cast<Acc>(static_cast<Bits>(start) + products - w_zero * xs - x_zero * ws + x_zero * w_zero * count);
  }
};

// start + sum of x[i] * (w[i] - w_zero_point)
template <class Acc, class X, class W>
KILN_INLINE Acc qdot(int32_t count, const X* x, const W* w, int32_t w_zero_point, Acc start) {
  ProductSum<Acc> sum;
  for (int32_t i = 0; i < count; ++i) sum.add(0, w_zero_point, x[i], w[i]);
  return sum.result(0, w_zero_point, start);
}

namespace detail {

template <class Acc, class D, class X, class W, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const W* w, const int32_t* b, const float* m, Y* y) {
  for (int32_t row = 0; row < d.rows; ++row) {
    for (int32_t o = 0; o < d.out; ++o) {
      const Acc sum = qdot<Acc>(d.in, x, w + o * d.in, d.w_zero_point, b[o]);
      *y++ = nn::detail::finish_channel<Y>(d, sum, m, o);
    }
    x += d.in;
  }
}

template <class Acc, class D, class A, class B, class Y>
KILN_INLINE void qmatmul(const D& d, const A* a, const B* b, Y* y) {
  int32_t batches = 1;
  for (int32_t i = 0; i < d.rank; ++i) batches *= d.batch[i];
  for (int32_t batch = 0; batch < batches; ++batch) {
    const A* a_row = a;
    const B* b_matrix = b;
    int32_t rest = batch;
    for (int32_t i = d.rank - 1; i >= 0; --i) {
      a_row += rest % d.batch[i] * d.a_strides[i];
      b_matrix += rest % d.batch[i] * d.b_strides[i];
      rest /= d.batch[i];
    }
    for (int32_t row = 0; row < d.m; ++row, a_row += d.k) {
      for (int32_t n = 0; n < d.n; ++n) {
        ProductSum<Acc> sum;
        for (int32_t k = 0; k < d.k; ++k) sum.add(d.a_zero_point, d.b_zero_point, a_row[k], b_matrix[k * d.n + n]);
        *y++ = nn::detail::finish_sum<Y>(d, sum.result(d.a_zero_point, d.b_zero_point, Acc{0}), d.multiplier);
      }
    }
  }
}

}  // namespace detail

// y[rows][out] from x[rows][in], w[out][in] and b[out], which contains -x_zero_point * (w - w_zero_point) for every weight.
template <class D, class X, class W, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const W* w, const int32_t* b, const float* m, Y* y) {
  if (d.wide != 0) detail::qdense<int64_t>(d, x, w, b, m, y);
  else detail::qdense<int32_t>(d, x, w, b, m, y);
}

// y[m][n] from a[m][k] and b[k][n] for each batch index; a_strides and b_strides step through the batch dimensions.
template <class D, class A, class B, class Y>
KILN_INLINE void qmatmul(const D& d, const A* a, const B* b, Y* y) {
  if (d.wide != 0) detail::qmatmul<int64_t>(d, a, b, y);
  else detail::qmatmul<int32_t>(d, a, b, y);
}

}  // namespace nn::ref
