// SPDX-License-Identifier: 0BSD
// Products of matrices. y must not overlap the operands. Weights are a pointer to T, or of narrow.h.
#pragma once

#include "../functors.h"

namespace nn::ref {

// start + sum of a[i] * b[i]
template <class T, class W>
KILN_INLINE T dot(int32_t count, const T* a, W b, T start) {
  for (int32_t i = 0; i < count; ++i) start += a[i] * b[i];
  return start;
}

// y[rows][out] = f(x[rows][in] * w[out][in]^T + b[out])
template <class F, class D, class T, class W>
KILN_INLINE void dense(const D& d, const T* x, W w, const T* b, T* y) {
  for (int32_t row = 0; row < d.rows; ++row) {
    for (int32_t o = 0; o < d.out; ++o) *y++ = F::apply(d, dot(d.in, x, w + o * d.in, b[o]));
    x += d.in;
  }
}

// y[m][n] = a[m][k] * b[k][n] for each batch index; a_strides and b_strides step through the batch dimensions.
template <class D, class T, class W>
KILN_INLINE void matmul(const D& d, const T* a, W b, T* y) {
  int32_t batches = 1;
  for (int32_t i = 0; i < d.rank; ++i) batches *= d.batch[i];
  for (int32_t batch = 0; batch < batches; ++batch) {
    const T* a_row = a;
    W b_matrix = b;
    int32_t rest = batch;
    for (int32_t i = d.rank - 1; i >= 0; --i) {
      a_row += rest % d.batch[i] * d.a_strides[i];
      b_matrix += rest % d.batch[i] * d.b_strides[i];
      rest /= d.batch[i];
    }
    for (int32_t m = 0; m < d.m; ++m) {
      for (int32_t n = 0; n < d.n; ++n) y[n] = T(0);
      for (int32_t k = 0; k < d.k; ++k)
        for (int32_t n = 0; n < d.n; ++n) y[n] += a_row[k] * b_matrix[k * d.n + n];
      a_row += d.k;
      y += d.n;
    }
  }
}

}  // namespace nn::ref
