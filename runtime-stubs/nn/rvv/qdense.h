// SPDX-License-Identifier: 0BSD
// Integer dense layers by RISC-V vectors.
#pragma once

#include "tile.h"

namespace nn::rvv {

using ByteTiles = TileLayer<int8_t, int32_t, Results>;

template <class D>
KILN_INLINE Results results_of(const D& d, const float* m) {
  return {m, d.y_zero_point, d.low, d.high};
}

// w [in][out]; d.registers of a sum are 8, 4 or 2.
template <class D, class X, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  const int32_t start = 0;
  const ByteTiles layer{d.out, 1, d.in, &start, w, b, results_of(d, m)};
  run_pixels<Group<D::registers>, tile_pixels(D::registers)>(layer, x, d.in, d.rows, bytes_of(y));
}

}  // namespace nn::rvv
