// SPDX-License-Identifier: 0BSD
// Weighted sums of elements along the middle dimension of [outer, in, inner], by tables that are computed at compile time:
//   y[o, j, n] = sum over k < taps of weights[j, k] * x[o, positions[j, k], n]
#pragma once

#include "../base.h"

namespace nn::ref {

template <class D, class T>
KILN_INLINE void resample(const D& d, const T* x, const int32_t* positions, const float* weights, T* y) {
  for (int32_t o = 0; o < d.outer; ++o, x += d.in * d.inner) {
    for (int32_t j = 0; j < d.out; ++j, y += d.inner) {
      for (int32_t n = 0; n < d.inner; ++n) {
        T sum = T(0);
        for (int32_t k = 0; k < d.taps; ++k) sum += static_cast<T>(weights[j * d.taps + k]) * x[positions[j * d.taps + k] * d.inner + n];
        y[n] = sum;
      }
    }
  }
}

}  // namespace nn::ref
