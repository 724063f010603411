// SPDX-License-Identifier: 0BSD
// Positions of extremes over the middle dimension of [outer, axis_dim, inner], axis_dim > 0: of the first element that no later one beats, where
// F::apply(a, b) says whether a beats b. fn::greater finds the first maximum, fn::greater_equal the last one.
#pragma once

#include "../functors.h"

namespace nn::ref {

template <class F, class D, class T>
KILN_INLINE void arg_reduce(const D& d, const T* x, int64_t* y) {
  for (int32_t o = 0; o < d.outer; ++o, x += d.axis_dim * d.inner) {
    for (int32_t i = 0; i < d.inner; ++i) {
      int32_t best = 0;
      for (int32_t k = 1; k < d.axis_dim; ++k)
        if (F::apply(x[k * d.inner + i], x[best * d.inner + i])) best = k;
      *y++ = best;
    }
  }
}

}  // namespace nn::ref
