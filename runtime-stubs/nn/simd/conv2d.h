// SPDX-License-Identifier: 0BSD
// Convolutions of [batch, h, w, c] in float. Row kernels: see ../rows.h.
#pragma once

#include "../rows.h"
#include "dense.h"

namespace nn::simd {

// `Pixels` neighbouring output pixels of one block of channels; tap 0 of the first reads column `left`.
template <class F, int32_t Pixels, class D, class Rows, class W>
KILN_INLINE void conv2d_tile(const D& d, const Rows& rows, Span ky, int32_t left, Span kx, W w, const float* b, float* y) {
  constexpr int32_t block = D::vectors * D::lanes;
  Tile<Pixels, D::vectors, D::lanes> tile;
  tile.start(b);
  for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
    const float* row = rows(y_tap);
    const W w_row = w + y_tap * d.kernel_w * d.in_c * block;
    if (d.dilation_w == 1) {  // the taps of a row are one run of inputs and of weights
      tile.add((kx.end - kx.begin) * d.in_c, row + (left + kx.begin) * d.in_c, d.stride_w * d.in_c, w_row + kx.begin * d.in_c * block);
    } else {
      for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap)
        tile.add(d.in_c, row + (left + x_tap * d.dilation_w) * d.in_c, d.stride_w * d.in_c, w_row + x_tap * d.in_c * block);
    }
  }
  tile.template finish<F>(d, y, d.out_c);
}

template <class F, class D, class Rows, class W>
KILN_INLINE void conv2d_row(const D& d, const Rows& rows, Span ky, W w, const float* b, float* y) {
  constexpr int32_t block = D::vectors * D::lanes;
  const Span inner = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  for (int32_t o = 0; o < block_count(block, d.out_c); ++o) {
    const W w_block = w + o * d.kernel_h * d.kernel_w * d.in_c * block;
    const float* b_block = b + o * block;
    float* y_block = y + block_start(o, block, d.out_c);
    const auto border = [&](int32_t ox) {
      const int32_t left = ox * d.stride_w - d.pad_left;
      conv2d_tile<F, 1>(d, rows, ky, left, taps_inside(left, d.kernel_w, d.dilation_w, d.in_w), w_block, b_block, y_block + ox * d.out_c);
    };
    for (int32_t ox = 0; ox < inner.begin; ++ox) border(ox);
    for (int32_t i = 0; i < block_count(D::pixels, inner.end - inner.begin); ++i) {
      const int32_t ox = inner.begin + block_start(i, D::pixels, inner.end - inner.begin);
      conv2d_tile<F, D::pixels>(d, rows, ky, ox * d.stride_w - d.pad_left, Span{0, d.kernel_w}, w_block, b_block, y_block + ox * d.out_c);
    }
    for (int32_t ox = inner.end; ox < d.out_w; ++ox) border(ox);
  }
}

// d has, besides the fields of the descriptor: lanes, vectors, pixels (at most the pixels of a row's interior, at least 1).
template <class F, class D, class W>
KILN_INLINE void conv2d(const D& d, const float* x, W w, const float* b, float* y) {
  for_each_row(d, x, d.in_w * d.in_c, y, d.out_w * d.out_c,
               [&](const auto& rows, int32_t, Span ky, float* y_row) { conv2d_row<F>(d, rows, ky, w, b, y_row); });
}

// Windows that run over channels apart from each other: a tile is `Pixels` neighbouring output pixels of `lanes` channels.
// Op has start(c) -> Vec, step(sum, x, ky, kx, c) -> Vec and finish(sum, ky, kx) -> Vec.
template <int32_t Pixels, class D, class Rows, class Op>
KILN_INLINE void window_tile(const D& d, const Rows& rows, Span ky, int32_t left, Span kx, int32_t c, const Op& op, float* y) {
  constexpr int32_t lanes = D::lanes;
  Vec<lanes> sum[Pixels];
#pragma GCC unroll 16
  for (int32_t p = 0; p < Pixels; ++p) sum[p] = op.start(c);
  for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
    const float* row = rows(y_tap) + left * d.channels + c;
    for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap) {
#pragma GCC unroll 16
      for (int32_t p = 0; p < Pixels; ++p)
        sum[p] = op.step(sum[p], load<lanes>(row + (x_tap * d.dilation_w + p * d.stride_w) * d.channels), y_tap, x_tap, c);
    }
  }
#pragma GCC unroll 16
  for (int32_t p = 0; p < Pixels; ++p) store<lanes>(y + p * d.channels + c, op.finish(sum[p], left + p * d.stride_w, kx));
}

template <class D, class Rows, class Op>
KILN_INLINE void window_row(const D& d, const Rows& rows, Span ky, const Op& op, float* y) {
  const Span inner = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  for (int32_t block = 0; block < block_count(D::lanes, d.channels); ++block) {
    const int32_t c = block_start(block, D::lanes, d.channels);
    const auto border = [&](int32_t ox) {
      const int32_t left = ox * d.stride_w - d.pad_left;
      window_tile<1>(d, rows, ky, left, taps_inside(left, d.kernel_w, d.dilation_w, d.in_w), c, op, y + ox * d.channels);
    };
    for (int32_t ox = 0; ox < inner.begin; ++ox) border(ox);
    for (int32_t i = 0; i < block_count(D::pixels, inner.end - inner.begin); ++i) {
      const int32_t ox = inner.begin + block_start(i, D::pixels, inner.end - inner.begin);
      window_tile<D::pixels>(d, rows, ky, ox * d.stride_w - d.pad_left, Span{0, d.kernel_w}, c, op, y + ox * d.channels);
    }
    for (int32_t ox = inner.end; ox < d.out_w; ++ox) border(ox);
  }
}

template <class F, class D, class W>
struct DepthwiseOp {
  const D& d;
  W w;
  const float* b;
  KILN_INLINE Vec<D::lanes> start(int32_t c) const { return load<D::lanes>(b + c); }
  KILN_INLINE Vec<D::lanes> step(Vec<D::lanes> sum, Vec<D::lanes> x, int32_t ky, int32_t kx, int32_t c) const {
    return sum + x * load<D::lanes>(w + (ky * d.kernel_w + kx) * d.channels + c);
  }
  KILN_INLINE Vec<D::lanes> finish(Vec<D::lanes> sum, int32_t, Span) const { return Activation<F>::template apply<D::lanes>(d, sum); }
};

// d has, besides the fields of the descriptor: lanes (at most the channels), pixels.
template <class F, class D, class W>
KILN_INLINE void depthwise2d(const D& d, const float* x, W w, const float* b, float* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels,
               [&](const auto& rows, int32_t, Span ky, float* y_row) { window_row(d, rows, ky, DepthwiseOp<F, D, W>{d, w, b}, y_row); });
}

}  // namespace nn::simd
