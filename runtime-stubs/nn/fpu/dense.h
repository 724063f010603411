// SPDX-License-Identifier: 0BSD
// Dense layers and pointwise convolutions in float by the tiles of tile.h. y must not overlap x.
// Weights [block of 4 channels][in][4] and bias are padded with zeros to a multiple of 4 channels.
#pragma once

#include "../functors.h"
#include "tile.h"

namespace nn::fpu {

template <class F>
inline constexpr bool is_relu = false;
template <>
inline constexpr bool is_relu<fn::relu> = true;
template <class F>
inline constexpr bool is_none = false;
template <>
inline constexpr bool is_none<fn::none> = true;

// Tiles do no other activation than relu; the others run over the complete layer.
template <class F, class D>
KILN_INLINE void activate_layer(const D& d, float* y, int32_t count) {
  if constexpr (!is_relu<F> && !is_none<F>)
    for (int32_t i = 0; i < count; ++i) y[i] = F::apply(d, y[i]);
}

// All output channels of a tile; a block has w_block weights. Fewer than 4 channels at the end go through `rest`.
template <int32_t Pixels, class W>
inline __attribute__((noinline)) void conv_channels(Tile& t, W w, int32_t w_block, const float* b, int32_t channels) {
  const int32_t whole = channels / kBlock * kBlock;
  t.end = whole;
  if (whole > 0) conv_tile<Pixels>(t, w, b, 0);
  if (whole == channels) return;
  float rest[Pixels * kBlock];
  float* y[Pixels];
#pragma GCC unroll 1
  for (int32_t p = 0; p < Pixels; ++p) {
    y[p] = t.y[p] + whole;
    t.y[p] = rest + p * kBlock;
  }
  t.end = kBlock;
  conv_tile<Pixels>(t, w + whole / kBlock * w_block, b + whole, 0);
#pragma GCC unroll 1
  for (int32_t p = 0; p < Pixels; ++p)
    for (int32_t i = 0; whole + i < channels; ++i) y[p][i] = rest[p * kBlock + i];
}

template <class W>
inline __attribute__((noinline)) void dense_rows(int32_t rows, int32_t in, int32_t out, bool relu, const float* x, W w, const float* b,
                                                 float* y) {
  Tile t;
  t.rows = t.cols = 1;
  t.count = in;
  t.x_col = t.x_row = t.w_row = t.w_block = 0;
  t.relu = relu;
  for (int32_t count; rows > 0; rows -= count) {
    count = rows >= 4 ? 4 : 1;
#pragma GCC unroll 1
    for (int32_t p = 0; p < count; ++p, x += in, y += out) {
      t.x[p] = x;
      t.y[p] = y;
    }
    if (count == 4)
      conv_channels<4>(t, w, in * kBlock, b, out);
    else
      conv_channels<1>(t, w, in * kBlock, b, out);
  }
}

template <class F, class D, class W>
KILN_INLINE void dense(const D& d, const float* x, W w, const float* b, float* y) {
  dense_rows(d.rows, d.in, d.out, is_relu<F>, x, w, b, y);
  activate_layer<F>(d, y, d.rows * d.out);
}

}  // namespace nn::fpu
