// SPDX-License-Identifier: 0BSD
// Elementwise kernels. x and y may be the same memory where every stride equals that of y.
#pragma once

#include "../base.h"

namespace nn::ref {

// y[i] = f(x[i])
template <class F, class D, class T>
KILN_INLINE void unary(const D& d, const T* x, T* y) {
  for (int32_t i = 0; i < d.count; ++i) y[i] = F::apply(d, x[i]);
}

}  // namespace nn::ref
