// SPDX-License-Identifier: 0BSD
// Sums and means of integers: y = requantize(sum of (x - x_zero_point)); a mean has 1 / count in the multiplier. y must not overlap x.
#pragma once

#include "../requant.h"
#include "reduce.h"

namespace nn::ref {

namespace detail {

template <class Acc, class D, class X, class Y>
KILN_INLINE void qreduce_sum(const D& d, const X* x, Y* y) {
  const int32_t last = d.reduced_rank - 1, width = d.reduced[last], step = d.reduced_strides[last];
  const int32_t outputs = index_count(d.kept_rank, d.kept), runs = index_count(last, d.reduced);
  for (int32_t o = 0; o < outputs; ++o) {
    const X* start = x + index_offset(o, d.kept_rank, d.kept, d.kept_strides);
    Acc sum = 0;
    for (int32_t r = 0; r < runs; ++r) {
      const X* run = start + index_offset(r, last, d.reduced, d.reduced_strides);
      for (int32_t i = 0; i < width; ++i) sum += run[i * step] - d.x_zero_point;
    }
    y[o] = static_cast<Y>(requantize(sum, d.multiplier, d.y_zero_point, d.low, d.high));
  }
}

}  // namespace detail

template <class D, class X, class Y>
KILN_INLINE void qreduce_sum(const D& d, const X* x, Y* y) {
  // Differences have a bit more than X.
  if (index_count(d.reduced_rank, d.reduced) < 1 << (30 - 8 * static_cast<int32_t>(sizeof(X)))) detail::qreduce_sum<int32_t>(d, x, y);
  else detail::qreduce_sum<int64_t>(d, x, y);
}

}  // namespace nn::ref
