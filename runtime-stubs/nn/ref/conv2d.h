// SPDX-License-Identifier: 0BSD
// Convolutions of [batch, h, w, c]. y must not overlap x.
#pragma once

#include "../rows.h"
#include "dense.h"

namespace nn::ref {

// One output pixel: all output channels. w [out_c][kernel_h][kernel_w][in_c / groups], b [out_c].
template <class F, class D, class Rows, class T, class W>
KILN_INLINE void conv2d_pixel(const D& d, const Rows& rows, Span ky, int32_t left, Span kx, W w, const T* b, T* y) {
  const int32_t group_in = d.in_c / d.groups, group_out = d.out_c / d.groups;
  // Without groups and dilation the taps of a row are one run of memory, in the input as in the weights.
  const bool run = d.groups == 1 && d.dilation_w == 1;
  const int32_t chunk = run ? (kx.end - kx.begin) * d.in_c : group_in;
  const int32_t last = run && kx.end > kx.begin ? kx.begin + 1 : kx.end;
  for (int32_t o = 0; o < d.out_c; ++o) {
    T sum = b[o];
    for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
      const T* row = rows(y_tap) + o / group_out * group_in;
      for (int32_t x_tap = kx.begin; x_tap < last; ++x_tap)
        sum = dot(chunk, row + (left + x_tap * d.dilation_w) * d.in_c,
                  w + ((o * d.kernel_h + y_tap) * d.kernel_w + x_tap) * group_in, sum);
    }
    y[o] = F::apply(d, sum);
  }
}

template <class F, class D, class Rows, class T, class W>
KILN_INLINE void conv2d_row(const D& d, const Rows& rows, Span ky, W w, const T* b, T* y) {
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    conv2d_pixel<F>(d, rows, ky, left, kx, w, b, y + ox * d.out_c);
  });
}

template <class F, class D, class T, class W>
KILN_INLINE void conv2d(const D& d, const T* x, W w, const T* b, T* y) {
  for_each_row(d, x, d.in_w * d.in_c, y, d.out_w * d.out_c, [&](const auto& rows, int32_t, Span ky, T* y_row) {
    conv2d_row<F>(d, rows, ky, w, b, y_row);
  });
}

// One filter per channel: w [kernel_h][kernel_w][channels], b [channels].
template <class F, class D, class Rows, class T, class W>
KILN_INLINE void depthwise2d_row(const D& d, const Rows& rows, Span ky, W w, const T* b, T* y) {
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    for (int32_t c = 0; c < d.channels; ++c) {
      T sum = b[c];
      for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
        const T* row = rows(y_tap) + c;
        for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap)
          sum += row[(left + x_tap * d.dilation_w) * d.channels] * w[(y_tap * d.kernel_w + x_tap) * d.channels + c];
      }
      y[ox * d.channels + c] = F::apply(d, sum);
    }
  });
}

template <class F, class D, class T, class W>
KILN_INLINE void depthwise2d(const D& d, const T* x, W w, const T* b, T* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t, Span ky, T* y_row) {
    depthwise2d_row<F>(d, rows, ky, w, b, y_row);
  });
}

}  // namespace nn::ref
