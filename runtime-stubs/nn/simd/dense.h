// SPDX-License-Identifier: 0BSD
// Dense layers, pointwise and general convolutions in float by outer products: a tile of `pixels` x (`vectors` * `lanes`)
// outputs stays in registers, and each step adds one input of every pixel times one weight of every output channel.
// Weights are packed as [block][k][vectors * lanes] so that the tile reads them in order, bias as [block][vectors * lanes].
// The last block of channels ends at the last channel and overlaps the one before it (block_start).
#pragma once

#include "vec.h"

namespace nn::simd {

// The outputs of a tile while they are being summed.
template <int32_t Pixels, int32_t Vectors, int32_t Lanes>
struct Tile {
  Vec<Lanes> sum[Pixels][Vectors];

  KILN_INLINE void start(const float* bias) {
#pragma GCC unroll 16
    for (int32_t v = 0; v < Vectors; ++v) {
#pragma GCC unroll 16
      for (int32_t p = 0; p < Pixels; ++p) sum[p][v] = load<Lanes>(bias + v * Lanes);
    }
  }

  // Adds `count` inputs: pixel p's stand in a row from x + p * stride on; weights in order from w on.
  template <class W>
  KILN_INLINE void add(int32_t count, const float* x, int32_t stride, W w) {
    for (int32_t k = 0; k < count; ++k) {
#pragma GCC unroll 16
      for (int32_t p = 0; p < Pixels; ++p) {
#pragma GCC unroll 16
        for (int32_t v = 0; v < Vectors; ++v) sum[p][v] += load<Lanes>(w + v * Lanes) * x[p * stride];
      }
      ++x;
      w += Vectors * Lanes;
    }
  }

  template <class F, class D>
  KILN_INLINE void finish(const D& d, float* y, int32_t stride) {
#pragma GCC unroll 16
    for (int32_t p = 0; p < Pixels; ++p) {
#pragma GCC unroll 16
      for (int32_t v = 0; v < Vectors; ++v) store<Lanes>(y + p * stride + v * Lanes, Activation<F>::template apply<Lanes>(d, sum[p][v]));
    }
  }
};

// d has, besides the fields of the descriptor: lanes, vectors, pixels (pixels <= rows, lanes * vectors <= out).
template <class F, class D, class W>
KILN_INLINE void dense(const D& d, const float* x, W w, const float* b, float* y) {
  constexpr int32_t block = D::vectors * D::lanes;
  for (int32_t o = 0; o < block_count(block, d.out); ++o) {
    const int32_t channel = block_start(o, block, d.out);
    for (int32_t r = 0; r < block_count(D::pixels, d.rows); ++r) {
      const int32_t row = block_start(r, D::pixels, d.rows);
      Tile<D::pixels, D::vectors, D::lanes> tile;
      tile.start(b + o * block);
      tile.add(d.in, x + row * d.in, d.in, w + o * d.in * block);
      tile.template finish<F>(d, y + row * d.out + channel, d.out);
    }
  }
}

}  // namespace nn::simd
