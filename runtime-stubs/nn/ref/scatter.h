// SPDX-License-Identifier: 0BSD
// Slices written at positions that are known at run time.
#pragma once

#include "../functors.h"

namespace nn::ref {

// y = x [rows, inner], then for i = 0, 1, ...: y[index[i], n] = F(y[index[i], n], updates[i, n]). Negative indices count from the end; updates whose
// index lies outside are left out. y may be x, and must not overlap the other operands.
template <class F, class D, class T, class I>
KILN_INLINE void scatter(const D& d, const T* x, const I* index, const T* updates, T* y) {
  if (x != y) __builtin_memcpy(y, x, static_cast<size_t>(d.rows) * static_cast<size_t>(d.inner) * sizeof(T));
  for (int32_t i = 0; i < d.updates; ++i, updates += d.inner) {
    const I from_end = index[i] < 0 ? static_cast<I>(index[i] + d.rows) : index[i];
    if (from_end < 0 || from_end >= d.rows) continue;
    T* slice = y + static_cast<int32_t>(from_end) * d.inner;
    for (int32_t n = 0; n < d.inner; ++n) slice[n] = F::apply(slice[n], updates[n]);
  }
}

}  // namespace nn::ref
