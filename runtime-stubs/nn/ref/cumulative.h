// SPDX-License-Identifier: 0BSD
// Running sums or products over the middle dimension of [outer, axis_dim, inner]. x and y may be the same memory.
#pragma once

#include "../reducers.h"

namespace nn::ref {

// F: reduce_sum or reduce_prod. `exclusive`: a result leaves out its own element; `reverse`: they run from the end.
template <class F, class D, class T>
KILN_INLINE void cumulative(const D& d, const T* x, T* y) {
  for (int32_t o = 0; o < d.outer; ++o, x += d.axis_dim * d.inner, y += d.axis_dim * d.inner) {
    for (int32_t i = 0; i < d.inner; ++i) {
      T result = F::template start<T>();
      for (int32_t k = 0; k < d.axis_dim; ++k) {
        const int32_t at = (d.reverse != 0 ? d.axis_dim - 1 - k : k) * d.inner + i;
        const T next = F::step(result, x[at]);
        y[at] = d.exclusive != 0 ? result : next;
        result = next;
      }
    }
  }
}

}  // namespace nn::ref
