// SPDX-License-Identifier: 0BSD
// Integer convolutions of [batch, h, w, c] by SMLAD. General ones widen the windows of 4 neighbouring output pixels to columns and go on as
// a dense layer (qdense.h); the inputs of a row of taps are rounded up to 4. Depthwise ones take 4 channels of a pixel at a time.
#pragma once

#include "../rows.h"
#include "qdense.h"

namespace nn::arm {

// `words` groups of a column that all hold x_zero_point.
template <class X>
KILN_INLINE uint32_t* widen_padding(int32_t x_zero_point, int32_t words, uint32_t* column) {
  const uint32_t word = repeat_byte(x_zero_point);
  for (int32_t i = 0; i < words; ++i, column += 2 * kPixels) widen_group<X>(word, column);
  return column;
}

// One row of taps of one pixel; `left` is the input column of tap 0, taps kx lie inside.
template <class X, class D>
KILN_INLINE uint32_t* widen_taps(const D& d, const X* row, int32_t left, Span kx, uint32_t* column) {
  const int32_t run = d.kernel_w * d.in_c;
  if (kx.begin == 0 && kx.end == d.kernel_w && (d.dilation_w == 1 || d.kernel_w == 1)) return widen_run<X>(row + left * d.in_c, run, column);
  if (d.in_c % 4 == 0) {
    for (int32_t tap = 0; tap < d.kernel_w; ++tap) {
      if (tap < kx.begin || tap >= kx.end) column = widen_padding<X>(d.x_zero_point, d.in_c / 4, column);
      else column = widen_run<X>(row + (left + tap * d.dilation_w) * d.in_c, d.in_c, column);
    }
    return column;
  }
  for (int32_t i = 0; i < run; i += 4, column += 2 * kPixels) {
    uint32_t word = 0;
    for (int32_t k = i; k < i + 4 && k < run; ++k) {
      const int32_t tap = k / d.in_c;
      const bool inside = tap >= kx.begin && tap < kx.end;
      const X value = inside ? row[(left + tap * d.dilation_w) * d.in_c + k % d.in_c] : static_cast<X>(d.x_zero_point);
      word |= static_cast<uint32_t>(static_cast<uint8_t>(value)) << 8 * (k - i);
    }
    widen_group<X>(word, column);
  }
  return column;
}

// One output pixel's column.
template <class X, class D>
KILN_INLINE void widen_window(const D& d, const X* x, int32_t oy, int32_t ox, int32_t words, uint32_t* column) {
  const int32_t top = oy * d.stride_h - d.pad_top, left = ox * d.stride_w - d.pad_left;
  const Span ky = taps_inside(top, d.kernel_h, d.dilation_h, d.in_h), kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
  const ImageRows<X> rows{x, d.in_w * d.in_c, top, d.dilation_h};
  column = widen_padding<X>(d.x_zero_point, ky.begin * words, column);
  for (int32_t tap = ky.begin; tap < ky.end; ++tap) column = widen_taps<X>(d, rows(tap), left, kx, column);
  widen_padding<X>(d.x_zero_point, (d.kernel_h - ky.end) * words, column);
}

// Tiles run over the pixels of an image regardless of rows, so that narrow images fill them. scratch: 8 bytes for each input of a
// window, a row of taps rounded up to 4 inputs.
template <class D, class X, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  uint32_t* const columns = static_cast<uint32_t*>(static_cast<void*>(scratch));
  const int32_t words = (d.kernel_w * d.in_c + 3) / 4, pixels = d.out_h * d.out_w;
  const uint32_t* const end = columns + d.kernel_h * words * 2 * kPixels;
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * d.in_w * d.in_c, y += pixels * d.out_c) {
    for (int32_t tile = 0; tile < pixels; tile += kPixels) {
      // The last tile computes some pixels again; an image of fewer than 4 its last one.
      const int32_t start = tile + kPixels <= pixels || pixels < kPixels ? tile : pixels - kPixels;
      Y* outputs[kPixels];
      for (int32_t p = 0; p < kPixels; ++p) {
        const int32_t pixel = min(start + p, pixels - 1), oy = pixel / d.out_w;
        widen_window<X>(d, x, oy, pixel - oy * d.out_w, words, columns + p);
        outputs[p] = y + pixel * d.out_c;
      }
      finish_tile(d, d.out_c, columns, end, w, b, m, outputs);
    }
  }
}

// ---- depthwise: w[4 channels][kernel_h][kernel_w], a word of 4 channels per tap; blocks overlap where 4 does not divide the channels.
// D::taps is kernel_h * kernel_w.

// One pixel of 4 channels; word(tap_y, tap_x) is the input's.
template <class X, class D, class Word, class Y>
KILN_INLINE void depthwise_pixel(const D& d, const int8_t* w, const int32_t* b, const float* m, Y* y, const Word& word) {
  int32_t sum[4] = {b[0], b[1], b[2], b[3]};
#pragma GCC unroll 4
  for (int32_t ty = 0; ty < d.kernel_h; ++ty) {
#pragma GCC unroll 8
    for (int32_t tx = 0; tx < d.kernel_w; ++tx) {
      const uint32_t weights = load_word(w + 4 * (ty * d.kernel_w + tx)), inputs = word(ty, tx);
      const uint32_t even = even_bytes<int8_t>(weights), odd = odd_bytes<int8_t>(weights);
      const uint32_t x_even = even_bytes<X>(inputs), x_odd = odd_bytes<X>(inputs);
      sum[0] = add_low_product(x_even, even, sum[0]);
      sum[1] = add_low_product(x_odd, odd, sum[1]);
      sum[2] = add_high_product(x_even, even, sum[2]);
      sum[3] = add_high_product(x_odd, odd, sum[3]);
    }
  }
#pragma GCC unroll 4
  for (int32_t i = 0; i < 4; ++i) y[i] = static_cast<Y>(requantize_sum(d, sum[i], m[i * d.multiplier_stride]));
}

KILN_INLINE int32_t block_channel(int32_t block, int32_t channels) { return block + 4 <= channels ? block : channels - 4; }

// All channels of a pixel whose window reaches into the padding: each block's window is collected first, around words of padding that stay.
template <class X, class D, class Rows, class Y>
__attribute__((noinline)) void depthwise_border(const D& d, const Rows& rows, Span ky, int32_t ox, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  const int32_t left = ox * d.stride_w - d.pad_left;
  const Span kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
  uint32_t window[D::taps];
  for (uint32_t& word : window) word = repeat_byte(d.x_zero_point);
  for (int32_t block = 0; block < d.channels; block += 4, w += 4 * d.kernel_h * d.kernel_w) {
    const int32_t c = block_channel(block, d.channels);
    for (int32_t ty = ky.begin; ty < ky.end; ++ty) {
      const X* from = rows(ty) + (left + kx.begin * d.dilation_w) * d.channels + c;
      uint32_t* to = window + ty * d.kernel_w + kx.begin;
      for (int32_t tx = kx.begin; tx < kx.end; ++tx, from += d.dilation_w * d.channels) *to++ = load_word(from);
    }
    depthwise_pixel<X>(d, w, b + c, m + c * d.multiplier_stride, y + c, [&](int32_t ty, int32_t tx) { return window[ty * d.kernel_w + tx]; });
  }
}

template <class X, class D, class Rows, class Y>
KILN_INLINE void qdepthwise2d_row(const D& d, const Rows& rows, Span ky, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  Span inner = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  if (ky.begin > 0 || ky.end < d.kernel_h) inner = {d.out_w, d.out_w};
  for (int32_t ox = 0; ox < inner.begin; ++ox) depthwise_border<X>(d, rows, ky, ox, w, b, m, y + ox * d.channels);
  for (int32_t ox = inner.end; ox < d.out_w; ++ox) depthwise_border<X>(d, rows, ky, ox, w, b, m, y + ox * d.channels);
  const int32_t step_y = static_cast<int32_t>(rows(1) - rows(0)), step_x = d.dilation_w * d.channels;
  for (int32_t block = 0; block < d.channels; block += 4, w += 4 * d.kernel_h * d.kernel_w) {
    const int32_t c = block_channel(block, d.channels);
    const X* start = rows(0) + (inner.begin * d.stride_w - d.pad_left) * d.channels + c;
    Y* out = y + inner.begin * d.channels + c;
    for (int32_t ox = inner.begin; ox < inner.end; ++ox, out += d.channels, start += d.stride_w * d.channels)
      depthwise_pixel<X>(d, w, b + c, m + c * d.multiplier_stride, out, [&](int32_t ty, int32_t tx) { return load_word(start + ty * step_y + tx * step_x); });
  }
}

template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels,
               [&](const auto& rows, int32_t, Span ky, Y* y_row) { qdepthwise2d_row<X>(d, rows, ky, w, b, m, y_row); });
}

}  // namespace nn::arm
