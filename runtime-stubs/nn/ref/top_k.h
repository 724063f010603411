// SPDX-License-Identifier: 0BSD
// The first k elements in an order, and where they stand, over the middle dimension of [outer, axis_dim, inner].
#pragma once

#include "../functors.h"

namespace nn::ref {

// F::apply(a, b) says whether a comes before b; of equal elements the one with the lower index does. values and indices are [outer, k, inner], 0 < k <=
// axis_dim. Each element is put into the sorted list of the best so far: no memory is needed, and elements that do not get into it cost one comparison.
template <class F, class D, class T>
KILN_INLINE void top_k(const D& d, const T* x, T* values, int64_t* indices) {
  for (int32_t o = 0; o < d.outer; ++o, x += d.axis_dim * d.inner, values += d.k * d.inner, indices += d.k * d.inner) {
    for (int32_t i = 0; i < d.inner; ++i) {
      for (int32_t a = 0; a < d.axis_dim; ++a) {
        const T v = x[a * d.inner + i];
        if (a >= d.k && !F::apply(v, values[(d.k - 1) * d.inner + i])) continue;
        int32_t at = a < d.k ? a : d.k - 1;
        for (; at > 0 && F::apply(v, values[(at - 1) * d.inner + i]); --at) {
          values[at * d.inner + i] = values[(at - 1) * d.inner + i];
          indices[at * d.inner + i] = indices[(at - 1) * d.inner + i];
        }
        values[at * d.inner + i] = v;
        indices[at * d.inner + i] = a;
      }
    }
  }
}

}  // namespace nn::ref
