// SPDX-License-Identifier: 0BSD
// Softmax over the middle dimension of [outer, axis_dim, inner]. x and y may be the same memory.
#pragma once

#include "../limits.h"
#include "../math_exp.h"

namespace nn::ref {

// The largest of `count` elements that lie `stride` apart.
template <class T>
KILN_INLINE T strided_max(int32_t count, const T* x, int32_t stride) {
  T best = limits<T>::lowest();
  for (int32_t i = 0; i < count; ++i) best = x[i * stride] > best ? x[i * stride] : best;
  return best;
}

template <class D, class T>
KILN_INLINE void softmax(const D& d, const T* x, T* y) {
  for (int32_t o = 0; o < d.outer; ++o) {
    for (int32_t i = 0; i < d.inner; ++i) {
      const int32_t start = o * d.axis_dim * d.inner + i;
      const T top = strided_max(d.axis_dim, x + start, d.inner);
      T sum = T(0);
      for (int32_t k = 0; k < d.axis_dim; ++k) sum += y[start + k * d.inner] = nn::exp(x[start + k * d.inner] - top);
      const T scale = T(1) / sum;
      for (int32_t k = 0; k < d.axis_dim; ++k) y[start + k * d.inner] *= scale;
    }
  }
}

template <class D, class T>
KILN_INLINE void log_softmax(const D& d, const T* x, T* y) {
  for (int32_t o = 0; o < d.outer; ++o) {
    for (int32_t i = 0; i < d.inner; ++i) {
      const int32_t start = o * d.axis_dim * d.inner + i;
      const T top = strided_max(d.axis_dim, x + start, d.inner);
      T sum = T(0);
      for (int32_t k = 0; k < d.axis_dim; ++k) sum += nn::exp(x[start + k * d.inner] - top);
      const T log_sum = nn::log(sum);
      for (int32_t k = 0; k < d.axis_dim; ++k) y[start + k * d.inner] = x[start + k * d.inner] - top - log_sum;
    }
  }
}

}  // namespace nn::ref
