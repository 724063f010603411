// SPDX-License-Identifier: 0BSD
// Softmax of 8-bit integers over the middle dimension of [outer, axis_dim, inner]. table[k] = exp(-k * x_scale), 256 entries: since
// the largest element is subtracted first, no other arguments occur. x and y may be the same memory if their sizes are equal.
#pragma once

#include "../requant.h"
#include "softmax.h"

namespace nn::ref {

template <class D, class X, class Y>
KILN_INLINE void qsoftmax(const D& d, const X* x, const float* table, Y* y) {
  static_assert(sizeof(X) == 1, "a table has 256 entries");
  for (int32_t o = 0; o < d.outer; ++o) {
    for (int32_t i = 0; i < d.inner; ++i) {
      const int32_t start = o * d.axis_dim * d.inner + i;
      const int32_t top = strided_max(d.axis_dim, x + start, d.inner);
      float sum = 0.0f;
      for (int32_t k = 0; k < d.axis_dim; ++k) sum += table[top - x[start + k * d.inner]];
      for (int32_t k = 0; k < d.axis_dim; ++k) {
        const int32_t at = start + k * d.inner;
        y[at] = static_cast<Y>(quantize_value(table[top - x[at]] / sum, d.y_scale, d.y_zero_point, d.low, d.high));
      }
    }
  }
}

}  // namespace nn::ref
