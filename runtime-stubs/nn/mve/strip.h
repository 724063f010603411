// SPDX-License-Identifier: 0BSD
// The input rows under one output row, padding included, as a strip[column][row of taps][channels]: the window of an output pixel is one run of memory, and
// overlaps the next one's. Taps come in the order [kernel_w][kernel_h].
#pragma once

#include "../rows.h"
#include "copy.h"

namespace nn::mve {

// The columns are those of all windows, without dilation. Channels take `space` bytes.
template <class X, class D, class Rows>
KILN_INLINE void copy_strip(const D& d, const Rows& rows, Span ky, int32_t channels, int32_t space, uint8_t* strip) {
  const int32_t columns = (d.out_w - 1) * d.stride_w + d.kernel_w, step = d.kernel_h * space;
  const int32_t first = min(d.pad_left, columns), end = max(first, min(d.pad_left + d.in_w, columns));
  for (int32_t tap = 0; tap < d.kernel_h; ++tap) {
    uint8_t* to = strip + tap * space;
    if (tap < ky.begin || tap >= ky.end) {
      for (int32_t i = 0; i < columns; ++i, to += step) copy_padding<X>(d.x_zero_point, channels, to);
      continue;
    }
    const uint8_t* from = rows(tap);
    for (int32_t i = 0; i < first; ++i, to += step) copy_padding<X>(d.x_zero_point, channels, to);
    for (int32_t i = first; i < end; ++i, from += channels, to += step) copy_inputs<X>(from, channels, to);
    for (int32_t i = end; i < columns; ++i, to += step) copy_padding<X>(d.x_zero_point, channels, to);
  }
}

}  // namespace nn::mve
