// SPDX-License-Identifier: 0BSD
// Running sums over the middle dimension of [outer, axis_dim, inner]. x and y may be the same memory.
#pragma once

#include "../functors.h"

namespace nn::ref {

// `exclusive`: a sum leaves out its own element; `reverse`: sums run from the end.
template <class D, class T>
KILN_INLINE void cumulative_sum(const D& d, const T* x, T* y) {
  for (int32_t o = 0; o < d.outer; ++o, x += d.axis_dim * d.inner, y += d.axis_dim * d.inner) {
    for (int32_t i = 0; i < d.inner; ++i) {
      T sum = T(0);
      for (int32_t k = 0; k < d.axis_dim; ++k) {
        const int32_t at = (d.reverse != 0 ? d.axis_dim - 1 - k : k) * d.inner + i;
        const T next = fn::add::apply(sum, x[at]);
        y[at] = d.exclusive != 0 ? sum : next;
        sum = next;
      }
    }
  }
}

}  // namespace nn::ref
