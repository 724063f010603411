// SPDX-License-Identifier: 0BSD
// Average pooling of 8-bit integers [batch, h, w, c]: a depthwise convolution whose weights are 1. See ../ref/qpool2d.h.
#pragma once

#include "../ref/pool2d.h"
#include "qdepthwise2d.h"

namespace nn::x86 {

template <class X, class D>
struct AverageOp {
  static constexpr int32_t lanes = kLanes<D::bytes>, taps = D::kernel_h * D::kernel_w;
  const D& d;
  const float* m;
  int32_t high;  // counted taps of a column
  // Every tap counts x_zero_point too much, padding as well, and what makes x unsigned.
  KILN_INLINE Ints<lanes> start(int32_t, int32_t) const { return splat_int<lanes>(-taps * (d.x_zero_point + (kFlip<X> != 0 ? 128 : 0))); }
  KILN_INLINE Ints<lanes> weights(int32_t, int32_t t, int32_t) const {
    constexpr int32_t bits = 32 / D::step, ones = D::step == 4 ? 0x01010101 : 0x00010001;
    const int32_t beyond = max(t + D::step - taps, 0);  // the taps that fill up the last step
    return splat_int<lanes>(static_cast<int32_t>(static_cast<uint32_t>(ones) >> (beyond * bits)));
  }
  template <class Y>
  KILN_INLINE simd::Vec<lanes> scaled(Ints<lanes> sum, int32_t, int32_t, int32_t ox) const {
    return __builtin_convertvector(sum, simd::Vec<lanes>) * simd::splat<lanes>(multiplier(ox));
  }
  KILN_INLINE float multiplier(int32_t ox) const {
    if (d.uniform_count != 0) return *m;
    const int32_t left = ox * d.stride_w - d.pad_left;
    const Span kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
    const int32_t count = high * ref::counted_taps(d.count_include_pad != 0, kx, ox * d.stride_w, d.kernel_w, d.dilation_w, d.padded_w);
    return count > 0 ? m[count - 1] : 0.0f;
  }
};

// d has, besides the fields of the descriptor, those that qdepthwise2d needs. Y is int8_t or uint8_t.
template <class D, class X, class Y>
KILN_INLINE void qaverage_pool2d(const D& d, const X* x, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t oy, Span ky, Y* y_row) {
    const int32_t high = ref::counted_taps(d.count_include_pad != 0, ky, oy * d.stride_h, d.kernel_h, d.dilation_h, d.padded_h);
    window_row<X>(d, rows, ky, AverageOp<X, D>{d, m, high}, y_row);
  });
}

}  // namespace nn::x86
