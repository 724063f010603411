// SPDX-License-Identifier: 0BSD
// Integer convolutions of [batch, h, w, c] by SMLAD. General ones widen the windows of 4 neighbouring output pixels to columns and go on as
// a dense layer (qdense.h); the inputs of a row of taps are rounded up to 4.
#pragma once

#include "../rows.h"
#include "qdense.h"

namespace nn::dsp {

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

}  // namespace nn::dsp
