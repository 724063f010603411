// SPDX-License-Identifier: 0BSD
// Pooling of [batch, h, w, c] in float, by the window kernels of conv2d.h.
#pragma once

#include "../ref/pool2d.h"
#include "conv2d.h"

namespace nn::simd {

template <class D>
struct MaxOp {
  KILN_INLINE Vec<D::lanes> start(int32_t) const { return splat<D::lanes>(limits<float>::lowest()); }
  KILN_INLINE Vec<D::lanes> step(Vec<D::lanes> best, Vec<D::lanes> x, int32_t, int32_t, int32_t) const { return best > x ? best : x; }
  KILN_INLINE Vec<D::lanes> finish(Vec<D::lanes> best, int32_t, Span) const { return best; }
};

template <class D>
KILN_INLINE void max_pool2d(const D& d, const float* x, float* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels,
               [&](const auto& rows, int32_t, Span ky, float* y_row) { window_row(d, rows, ky, MaxOp<D>{}, y_row); });
}

template <class D>
struct AverageOp {
  const D& d;
  int32_t high;  // counted taps of the column
  KILN_INLINE Vec<D::lanes> start(int32_t) const { return splat<D::lanes>(0.0f); }
  KILN_INLINE Vec<D::lanes> step(Vec<D::lanes> sum, Vec<D::lanes> x, int32_t, int32_t, int32_t) const { return sum + x; }
  KILN_INLINE Vec<D::lanes> finish(Vec<D::lanes> sum, int32_t left, Span kx) const {
    const int32_t wide = ref::counted_taps(d.count_include_pad != 0, kx, left + d.pad_left, d.kernel_w, d.dilation_w, d.padded_w);
    const int32_t count = high * wide;
    return sum / static_cast<float>(count > 0 ? count : 1);
  }
};

template <class D>
KILN_INLINE void average_pool2d(const D& d, const float* x, float* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t oy, Span ky, float* y_row) {
    const int32_t high = ref::counted_taps(d.count_include_pad != 0, ky, oy * d.stride_h, d.kernel_h, d.dilation_h, d.padded_h);
    window_row(d, rows, ky, AverageOp<D>{d, high}, y_row);
  });
}

}  // namespace nn::simd
