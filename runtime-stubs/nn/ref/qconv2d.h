// SPDX-License-Identifier: 0BSD
// Convolutions of integers [batch, h, w, c]. Sums are int32_t, or int64_t where d.wide says so; see ../requant.h for the results: y is
// quantized, float (sum * multiplier), or int32_t (the sum). Taps in the padding read x_zero_point, and the bias contains
// -x_zero_point * (w - w_zero_point) for every weight: together nothing, as padding is the real number 0. y must not overlap x.
#pragma once

#include "../rows.h"
#include "qdense.h"

namespace nn::ref {

// Calls tap(ky, kx) for each tap that lies in the padding.
template <class D, class Tap>
KILN_INLINE void for_taps_outside(const D& d, Span ky, Span kx, const Tap& tap) {
  if (ky.begin == 0 && ky.end == d.kernel_h && kx.begin == 0 && kx.end == d.kernel_w) return;
  for (int32_t y_tap = 0; y_tap < d.kernel_h; ++y_tap) {
    const bool row_inside = ky.begin <= y_tap && y_tap < ky.end;
    for (int32_t x_tap = 0; x_tap < d.kernel_w; ++x_tap)
      if (!row_inside || x_tap < kx.begin || x_tap >= kx.end) tap(y_tap, x_tap);
  }
}

// One output pixel: all output channels. w [out_c][kernel_h][kernel_w][in_c / groups], b [out_c].
template <class Acc, class D, class Rows, class W, class Y>
KILN_INLINE void qconv2d_pixel(const D& d, const Rows& rows, Span ky, int32_t left, Span kx, const W* w, const int32_t* b, const float* m, Y* y) {
  const int32_t group_in = d.in_c / d.groups, group_out = d.out_c / d.groups;
  // Without groups and dilation the taps of a row are one run of memory, in the input as in the weights.
  const bool run = d.groups == 1 && d.dilation_w == 1;
  const int32_t chunk = run ? (kx.end - kx.begin) * d.in_c : group_in;
  const int32_t last = run && kx.end > kx.begin ? kx.begin + 1 : kx.end;
  for (int32_t o = 0; o < d.out_c; ++o) {
    const W* filter = w + o * d.kernel_h * d.kernel_w * group_in;
    Acc sum = b[o];
    for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
      const auto* row = rows(y_tap) + o / group_out * group_in;
      for (int32_t x_tap = kx.begin; x_tap < last; ++x_tap)
        sum = qdot<Acc>(chunk, row + (left + x_tap * d.dilation_w) * d.in_c, filter + (y_tap * d.kernel_w + x_tap) * group_in, d.w_zero_point, sum);
    }
    if (d.x_zero_point != 0) {
      for_taps_outside(d, ky, kx, [&](int32_t y_tap, int32_t x_tap) {
        for (int32_t i = 0; i < group_in; ++i)
          sum += static_cast<Acc>(d.x_zero_point) * static_cast<Acc>(filter[(y_tap * d.kernel_w + x_tap) * group_in + i] - d.w_zero_point);
      });
    }
    y[o] = nn::detail::finish_channel<Y>(d, sum, m, o);
  }
}

template <class Acc, class D, class Rows, class W, class Y>
KILN_INLINE void qconv2d_row(const D& d, const Rows& rows, Span ky, const W* w, const int32_t* b, const float* m, Y* y) {
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) { qconv2d_pixel<Acc>(d, rows, ky, left, kx, w, b, m, y + ox * d.out_c); });
}

template <class D, class X, class W, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const W* w, const int32_t* b, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.in_c, y, d.out_w * d.out_c, [&](const auto& rows, int32_t, Span ky, Y* y_row) {
    if (d.wide != 0) qconv2d_row<int64_t>(d, rows, ky, w, b, m, y_row);
    else qconv2d_row<int32_t>(d, rows, ky, w, b, m, y_row);
  });
}

// One filter per channel: w [kernel_h][kernel_w][channels], b [channels].
template <class Acc, class D, class Rows, class W, class Y>
KILN_INLINE void qdepthwise2d_row(const D& d, const Rows& rows, Span ky, const W* w, const int32_t* b, const float* m, Y* y) {
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    for (int32_t c = 0; c < d.channels; ++c) {
      ProductSum<Acc> sum;
      const auto add = [&](auto value, int32_t y_tap, int32_t x_tap) { sum.add(0, d.w_zero_point, value, w[(y_tap * d.kernel_w + x_tap) * d.channels + c]); };
      for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
        const auto* row = rows(y_tap) + c;
        for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap) add(row[(left + x_tap * d.dilation_w) * d.channels], y_tap, x_tap);
      }
      if (d.x_zero_point != 0) for_taps_outside(d, ky, kx, [&](int32_t y_tap, int32_t x_tap) { add(d.x_zero_point, y_tap, x_tap); });
      const Acc result = sum.result(0, d.w_zero_point, b[c]);
      y[ox * d.channels + c] = nn::detail::finish_channel<Y>(d, result, m, c);
    }
  });
}

template <class D, class X, class W, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const W* w, const int32_t* b, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t, Span ky, Y* y_row) {
    if (d.wide != 0) qdepthwise2d_row<int64_t>(d, rows, ky, w, b, m, y_row);
    else qdepthwise2d_row<int32_t>(d, rows, ky, w, b, m, y_row);
  });
}

}  // namespace nn::ref
