// SPDX-License-Identifier: 0BSD
// Recurrent layers (../recurrent.h) in float by vectors: `lanes` * `vectors` units at a time, whose sums stay in registers. Weights
// [block of units][in][gate][unit] and bias [block of units][sum][unit] are padded with zeros to whole blocks.
#pragma once

#include "../recurrent.h"
#include "vec.h"

namespace nn::simd {

// d has, besides the fields of the descriptor: lanes, vectors.
struct VectorsOfUnits {
  template <class D>
  static constexpr int32_t kUnits = D::lanes* D::vectors;

  template <int32_t Sums, class D>
  static KILN_INLINE void start(const D&, int32_t unit, const float* b, float* sums) {
    for (int32_t s = 0; s < Sums * kUnits<D>; ++s) sums[s] = b[unit * Sums + s];
  }

  template <int32_t Count, class D, class W>
  static KILN_INLINE void add(const D&, int32_t unit, int32_t first, int32_t gates, W w, int32_t in, const float* x, float* sums) {
    constexpr int32_t lanes = D::lanes, vectors = Count * D::vectors;
    w += unit * gates * in + first * kUnits<D>;
    Vec<lanes> sum[vectors];
#pragma GCC unroll 16
    for (int32_t v = 0; v < vectors; ++v) sum[v] = load<lanes>(sums + v * lanes);
    for (int32_t i = 0; i < in; ++i, w += gates * kUnits<D>) {
#pragma GCC unroll 16
      for (int32_t v = 0; v < vectors; ++v) sum[v] += load<lanes>(w + v * lanes) * x[i];
    }
#pragma GCC unroll 16
    for (int32_t v = 0; v < vectors; ++v) store<lanes>(sums + v * lanes, sum[v]);
  }
};

using Recurrent = recurrent::Layers<VectorsOfUnits>;

}  // namespace nn::simd
