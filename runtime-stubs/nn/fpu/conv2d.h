// SPDX-License-Identifier: 0BSD
// Convolutions of [batch, h, w, c] in float by the tiles of tile.h. The output is divided into regions whose windows have the same taps
// inside the image: the interior, and the rows and columns of the border. The pixels of a region, one row after the other, fill tiles of 4.
// y must not overlap x.
#pragma once

#include "../rows.h"
#include "dense.h"

namespace nn::fpu {

// A layer as run-time data: all layers share the code below. Depthwise ones have in_c == out_c.
struct Layer {
  int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  bool relu;
};

// Where the region that begins at output row or column `at` ends.
KILN_INLINE int32_t region_end(Span inner, int32_t at) { return at == inner.begin && inner.end > inner.begin ? inner.end : at + 1; }

// A convolution with all channels: weights [block of 4 channels][kernel_h][kernel_w][in_c][4], they and the bias padded to a multiple of 4
// channels.
struct Conv {
  static KILN_INLINE void set_taps(const Layer& d, int32_t cols, Tile& t) {
    const bool run = d.dilation_w == 1;  // the taps of a row are one run of inputs
    const int32_t step = d.dilation_w * d.in_c;
    t.cols = run ? 1 : cols;
    t.count = run ? cols * d.in_c : d.in_c;
    t.x_col = 4 * (step - t.count);
    t.x_row = 4 * (d.dilation_h * d.in_w * d.in_c - ((t.cols - 1) * step + t.count));
    t.w_row = 4 * (d.kernel_w - cols) * d.in_c * kBlock;
  }
  static KILN_INLINE int32_t tap_weights(const Layer& d) { return d.in_c * kBlock; }
  static KILN_INLINE bool lines(const Layer&, int32_t) { return false; }
  template <int32_t Pixels, class W>
  static KILN_INLINE void channels(const Layer& d, Tile& t, bool, W w, const float* b) {
    conv_channels<Pixels>(t, w, d.kernel_h * d.kernel_w * d.in_c * kBlock, b, d.out_c);
  }
};

// One filter per channel, at least 4 channels: weights [block of 4 channels][kernel_h][kernel_w][4]; the last block ends at the last
// channel and overlaps the one before it.
struct Depthwise {
  static KILN_INLINE void set_taps(const Layer& d, int32_t cols, Tile& t) {
    t.cols = cols;
    t.count = 1;
    t.x_col = 4 * d.dilation_w * d.in_c;
    t.x_row = 4 * d.dilation_h * d.in_w * d.in_c - cols * t.x_col;
    t.x_line = t.x_row - 3 * t.x_col;
    t.w_row = 4 * (d.kernel_w - cols) * kBlock;
  }
  static KILN_INLINE int32_t tap_weights(const Layer&) { return kBlock; }
  // Whether 4 neighbouring pixels of a row are a line: windows of 3 columns that overlap in 2.
  static KILN_INLINE bool lines(const Layer& d, int32_t cols) {
    return d.kernel_w == 3 && cols == 3 && d.stride_w == 1 && d.dilation_w == 1;
  }
  template <int32_t Pixels, class W>
  static KILN_INLINE void tile(const Tile& t, bool line, W w, const float* b, int32_t c) {
    if (Pixels == 4 && line)
      depthwise_line(t, w, b, c);
    else
      depthwise_tile<Pixels>(t, w, b, c);
  }
  template <int32_t Pixels, class W>
  static KILN_INLINE void channels(const Layer& d, Tile& t, bool line, W w, const float* b) {
    t.end = d.in_c / kBlock * kBlock;
    tile<Pixels>(t, line, w, b, 0);
    if (t.end == d.in_c) return;
    const int32_t last = d.in_c - kBlock;
    w += t.end * d.kernel_h * d.kernel_w;
    t.end = d.in_c;
    tile<Pixels>(t, line, w, b + last, last);
  }
};

// The pixels of a region of `height` x `width`; x points to the first input of its first pixel.
template <class Kind, class W>
KILN_INLINE void region_tiles(const Layer& d, Tile& t, bool lines, int32_t height, int32_t width, const float* x, W w, const float* b,
                              float* y) {
  const int32_t next_row = (d.stride_h * d.in_w - width * d.stride_w) * d.in_c;
  int32_t column = 0;
  const auto put = [&](int32_t p) {
    t.x[p] = x;
    t.y[p] = y;
    x += d.stride_w * d.in_c;
    y += d.out_c;
    if (++column < width) return;
    column = 0;
    x += next_row;
    y += (d.out_w - width) * d.out_c;
  };
  for (int32_t left = height * width, count; left > 0; left -= count) {
    count = left >= 4 ? 4 : 1;
    const bool line = lines && column + 4 <= width;
#pragma GCC unroll 1
    for (int32_t p = 0; p < count; ++p) put(p);
    if (count == 4)
      Kind::template channels<4>(d, t, line, w, b);
    else
      Kind::template channels<1>(d, t, false, w, b);
  }
}

template <class Kind, class W>
inline __attribute__((noinline)) void convolve(const Layer& d, const float* x, W w, const float* b, float* y) {
  const Span inner_h = interior(d.out_h, d.stride_h, d.pad_top, d.kernel_h, d.dilation_h, d.in_h);
  const Span inner_w = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  Tile t;
  t.relu = d.relu;
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * d.in_w * d.in_c, y += d.out_h * d.out_w * d.out_c) {
    for (int32_t oy = 0, bottom; oy < d.out_h; oy = bottom) {
      bottom = region_end(inner_h, oy);
      const int32_t row = oy * d.stride_h - d.pad_top;
      const Span ky = taps_inside(row, d.kernel_h, d.dilation_h, d.in_h);
      for (int32_t ox = 0, right; ox < d.out_w; ox = right) {
        right = region_end(inner_w, ox);
        const int32_t column = ox * d.stride_w - d.pad_left;
        const Span kx = taps_inside(column, d.kernel_w, d.dilation_w, d.in_w);
        t.rows = kx.begin < kx.end ? ky.end - ky.begin : 0;
        Kind::set_taps(d, kx.end - kx.begin, t);
        t.w_block = 4 * (d.kernel_h - t.rows) * d.kernel_w * Kind::tap_weights(d);
        const int32_t first = (row + ky.begin * d.dilation_h) * d.in_w + column + kx.begin * d.dilation_w;
        region_tiles<Kind>(d, t, Kind::lines(d, kx.end - kx.begin), bottom - oy, right - ox, x + first * d.in_c,
                           w + (ky.begin * d.kernel_w + kx.begin) * Kind::tap_weights(d), b, y + (oy * d.out_w + ox) * d.out_c);
      }
    }
  }
}

template <class F, class D, class W>
KILN_INLINE void conv2d(const D& d, const float* x, W w, const float* b, float* y) {
  const Layer layer{d.batch,    d.in_h,     d.in_w,     d.in_c,       d.out_h,      d.out_w,   d.out_c,    d.kernel_h,
                    d.kernel_w, d.stride_h, d.stride_w, d.dilation_h, d.dilation_w, d.pad_top, d.pad_left, is_relu<F>};
  convolve<Conv>(layer, x, w, b, y);
  activate_layer<F>(d, y, d.batch * d.out_h * d.out_w * d.out_c);
}

template <class F, class D, class W>
KILN_INLINE void depthwise2d(const D& d, const float* x, W w, const float* b, float* y) {
  const Layer layer{d.batch,    d.in_h,     d.in_w,     d.channels,   d.out_h,      d.out_w,   d.channels, d.kernel_h,
                    d.kernel_w, d.stride_h, d.stride_w, d.dilation_h, d.dilation_w, d.pad_top, d.pad_left, is_relu<F>};
  convolve<Depthwise>(layer, x, w, b, y);
  activate_layer<F>(d, y, d.batch * d.out_h * d.out_w * d.channels);
}

}  // namespace nn::fpu
