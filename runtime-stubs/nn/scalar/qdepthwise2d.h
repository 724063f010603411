// SPDX-License-Identifier: 0BSD
// Integer depthwise convolutions of [batch, h, w, c] on cores without SIMD, channel by channel: a channel is copied to a plane with its padding
// around it, so that no window is special, as unsigned bytes (of which Armv6-M addresses 32 from one register); the compiler's
// offsets take back the 128 that are added to int8_t. Tiles of D::tile neighbouring outputs share what their windows have in common.
// w[channel][kernel_h][kernel_w]. y must not overlap x.
#pragma once

#include "line.h"

namespace nn::scalar {

template <class X>
KILN_INLINE uint8_t unsigned_byte(X x) {
  return static_cast<uint8_t>(X(-1) < X(0) ? x ^ 0x80 : x);
}

// Sums of D::tile outputs whose windows start at `window`, stride_w apart.
template <class D>
KILN_INLINE void add_windows(const D& d, const uint8_t* window, int32_t row_step, const int8_t* w, int32_t (&sum)[D::tile]) {
#pragma GCC unroll 1
  for (int32_t ky = 0; ky < d.kernel_h; ++ky, window += row_step) {
#pragma GCC unroll 8
    for (int32_t kx = 0; kx < d.kernel_w; ++kx) {
      const int32_t weight = *w++;
#pragma GCC unroll 8
      for (int32_t t = 0; t < D::tile; ++t) sum[t] += weight * window[t * d.stride_w + kx * d.dilation_w];
    }
  }
}

// scratch: the plane, D::plane_h rows of D::plane_w bytes. It covers whole tiles.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* offset, const int32_t* factor, Y* y, uint8_t* scratch) {
  const Lines lines = lines_of(offset, factor);
  const int32_t taps = d.kernel_h * d.kernel_w, plane_w = D::plane_w;
  const int32_t rows = min(d.in_h, D::plane_h - d.pad_top), columns = min(d.in_w, plane_w - d.pad_left);
  for (int32_t i = 0; i < D::plane_h * plane_w; ++i) scratch[i] = unsigned_byte(static_cast<X>(d.x_zero_point));
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * d.in_w * d.channels, y += d.out_h * d.out_w * d.channels) {
    for (int32_t c = 0; c < d.channels; ++c) {
      for (int32_t row = 0; row < rows; ++row) {
        const X* from = x + row * d.in_w * d.channels + c;
        uint8_t* const to = scratch + (d.pad_top + row) * plane_w + d.pad_left;
#pragma GCC unroll 4
        for (int32_t i = 0; i < columns; ++i, from += d.channels) to[i] = unsigned_byte(*from);
      }
      Y* out = y + c;
      for (int32_t oy = 0; oy < d.out_h; ++oy) {
        const uint8_t* window = scratch + oy * d.stride_h * plane_w;
        for (int32_t ox = 0; ox < d.out_w; ox += D::tile, window += D::tile * d.stride_w) {
          int32_t sum[D::tile] = {};
          add_windows(d, window, d.dilation_h * plane_w, w + c * taps, sum);
          finish_channel<D::tile>(d, lines, c, sum, [&](int32_t p, int32_t value) {
            if (d.out_w % D::tile == 0 || ox + p < d.out_w) out[p * d.channels] = static_cast<Y>(value);
          });
          out += (ox + D::tile <= d.out_w ? D::tile : d.out_w - ox) * d.channels;
        }
      }
    }
  }
}

}  // namespace nn::scalar
