// SPDX-License-Identifier: 0BSD
// Average pooling of integers [batch, h, w, c]; maxima need no arithmetic on the values, so max_pool2d serves them. m[n - 1] is
// x_scale / (n * y_scale) for a window of n counted elements; only m[0] is read if all windows count as many. y must not overlap x.
#pragma once

#include "../requant.h"
#include "pool2d.h"

namespace nn::ref {

template <class D, class Rows, class Y>
KILN_INLINE void qaverage_pool2d_row(const D& d, const Rows& rows, int32_t oy, Span ky, const float* m, Y* y) {
  const bool padded = d.count_include_pad != 0;
  const int32_t high = counted_taps(padded, ky, oy * d.stride_h, d.kernel_h, d.dilation_h, d.padded_h);
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    const int32_t count = high * counted_taps(padded, kx, ox * d.stride_w, d.kernel_w, d.dilation_w, d.padded_w);
    // A dilated window can miss the input altogether; its average is 0.
    const float factor = count > 0 ? m[d.uniform_count != 0 ? 0 : count - 1] : 0.0f;
    for (int32_t c = 0; c < d.channels; ++c) {
      int32_t sum = -d.x_zero_point * (ky.end - ky.begin) * (kx.end - kx.begin);
      for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
        const auto* row = rows(y_tap) + c;
#pragma GCC unroll 4
        for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap) sum += row[(left + x_tap * d.dilation_w) * d.channels];
      }
      y[ox * d.channels + c] = static_cast<Y>(requantize(sum, factor, d.y_zero_point, d.low, d.high));
    }
  });
}

// Windows of at most 2^15 elements, whose sums fit int32_t.
template <class D, class X, class Y>
KILN_INLINE void qaverage_pool2d(const D& d, const X* x, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t oy, Span ky, Y* y_row) {
    qaverage_pool2d_row(d, rows, oy, ky, m, y_row);
  });
}

}  // namespace nn::ref
