// SPDX-License-Identifier: 0BSD
// Recurrent layers (../recurrent.h) in float by the tiles of tile.h: 4 units at a time. Weights [block of 4 units][gate][in][4] and bias
// [block of 4 units][sum][4] are padded with zeros to a multiple of 4 units.
#pragma once

#include "../recurrent.h"
#include "tile.h"

namespace nn::fpu {

// sums[channel] += w . x for `channels` channels, a multiple of 4.
template <class W>
inline __attribute__((noinline)) void add_product(int32_t channels, W w, int32_t in, const float* x, float* sums) {
  Tile t;
  t.x[0] = x;
  t.y[0] = sums;
  t.rows = t.cols = 1;
  t.count = in;
  t.x_col = t.x_row = t.w_row = t.w_block = 0;
  t.end = channels;
  t.relu = 0;
  conv_tile<1>(t, w, sums, 0);
}

struct BlockOfUnits {
  template <class D>
  static constexpr int32_t kUnits = kBlock;

  template <int32_t Sums, class D>
  static KILN_INLINE void start(const D&, int32_t unit, const float* b, float* sums) {
    for (int32_t s = 0; s < Sums * kBlock; ++s) sums[s] = b[unit * Sums + s];
  }

  template <int32_t Count, class D, class W>
  static KILN_INLINE void add(const D&, int32_t unit, int32_t first, int32_t gates, W w, int32_t in, const float* x, float* sums) {
    add_product(Count * kBlock, w + (unit * gates + first * kBlock) * in, in, x, sums);
  }
};

using Recurrent = recurrent::Layers<BlockOfUnits>;

}  // namespace nn::fpu
