// SPDX-License-Identifier: 0BSD
// Integer dense layers and convolutions of [batch, h, w, c] on cores without SIMD: tiles of 4 output pixels, whose inputs become the columns of
// pairs.h once and serve all output channels. y must not overlap x.
#pragma once

#include "../rows.h"
#include "pairs.h"

namespace nn::scalar {

// Rows are the pixels. scratch: 8 bytes for each input and 8 more. At least 4 rows; the last tile computes some again.
template <class D, class X, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const int8_t* w, const int32_t* offset, const int32_t* factor, Y* y, uint8_t* scratch) {
  const Lines lines = lines_of(offset, factor);
  uint32_t* const column = static_cast<uint32_t*>(static_cast<void*>(scratch));
  for (int32_t row = 0; row < d.rows; row += kPixels) {
    const int32_t first = row + kPixels <= d.rows ? row : d.rows - kPixels;
    const X* const start = x + first * d.in;
    widen<X>({start, start + d.in, start + 2 * d.in, start + 3 * d.in}, d.in, column);
    Y* const out = y + first * d.out;
    finish_tile<D, Y>(d, d.out, column, w, lines, {out, out + d.out, out + 2 * d.out, out + 3 * d.out});
  }
}

// One row of taps of a window that reaches into the padding, or whose taps do not touch: collected in `patch`.
template <class X, class D>
__attribute__((noinline)) void collect_taps(const D& d, const X* x, int32_t row, int32_t left, X* patch) {
  const int32_t count = d.kernel_w * d.in_c;
  for (int32_t i = 0; i < count; ++i) patch[i] = static_cast<X>(d.x_zero_point);
  if (row < 0 || row >= d.in_h) return;
  const Span kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
  for (int32_t tap = kx.begin; tap < kx.end; ++tap) {
    const X* const from = x + (row * d.in_w + left + tap * d.dilation_w) * d.in_c;
    for (int32_t i = 0; i < d.in_c; ++i) patch[tap * d.in_c + i] = from[i];
  }
}

// Tiles run over the pixels of an image regardless of rows, so that narrow images fill them. scratch: for each input of a window 8 bytes, 8
// more, and 4 for each input of a row of taps.
template <class D, class X, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const int8_t* w, const int32_t* offset, const int32_t* factor, Y* y, uint8_t* scratch) {
  const Lines lines = lines_of(offset, factor);
  uint32_t* const column = static_cast<uint32_t*>(static_cast<void*>(scratch));
  const int32_t run = d.kernel_w * d.in_c, pixels = d.out_h * d.out_w;
  X* const patches = static_cast<X*>(static_cast<void*>(column + 2 * (d.kernel_h * run + 1)));
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * d.in_w * d.in_c, y += pixels * d.out_c) {
    int32_t oy = 0, ox = 0;
    for (int32_t tile = 0; tile < pixels; tile += kPixels) {
      int32_t top[kPixels], left[kPixels];
      Y* outputs[kPixels];
      for (int32_t p = 0; p < kPixels; ++p) {  // behind the last pixel the last one again
        top[p] = oy * d.stride_h - d.pad_top;
        left[p] = ox * d.stride_w - d.pad_left;
        outputs[p] = y + min(tile + p, pixels - 1) * d.out_c;
        if (tile + p + 1 >= pixels) continue;
        if (++ox == d.out_w) ox = 0, ++oy;
      }
      uint32_t* to = column;
      for (int32_t ky = 0; ky < d.kernel_h; ++ky) {
        const X* runs[kPixels];
        for (int32_t p = 0; p < kPixels; ++p) {
          const int32_t row = top[p] + ky * d.dilation_h;
          runs[p] = x + (row * d.in_w + left[p]) * d.in_c;
          if (row >= 0 && row < d.in_h && left[p] >= 0 && left[p] + d.kernel_w <= d.in_w && (d.dilation_w == 1 || d.kernel_w == 1)) continue;
          collect_taps(d, x, row, left[p], patches + p * run);
          runs[p] = patches + p * run;
        }
        to = widen<X>(runs, run, to);
      }
      finish_tile<D, Y>(d, d.out_c, column, w, lines, outputs);
    }
  }
}

}  // namespace nn::scalar
