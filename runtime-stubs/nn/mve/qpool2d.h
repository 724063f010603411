// SPDX-License-Identifier: 0BSD
// Average pooling of bytes [batch, h, w, c] by MVE, 4 channels at a time; see ../ref/qpool2d.h for the multipliers.
#pragma once

#include <arm_mve.h>

#include "../ref/qpool2d.h"
#include "qbinary.h"

namespace nn::mve {

// As nn::requantize.
template <class D>
KILN_INLINE int32x4_t requantize(const D& d, int32x4_t sum, float m) {
  const int32x4_t value = vqaddq_n_s32(vcvtnq_s32_f32(vmulq_n_f32(vcvtq_f32_s32(sum), m)), d.y_zero_point);
  return vminq_s32(vmaxq_s32(value, vdupq_n_s32(d.low)), vdupq_n_s32(d.high));
}

template <class D, class Rows>
KILN_INLINE void qaverage_pool2d_row(const D& d, const Rows& rows, int32_t oy, Span ky, const float* m, int8_t* y) {
  const bool padded = d.count_include_pad != 0;
  const int32_t high = ref::counted_taps(padded, ky, oy * d.stride_h, d.kernel_h, d.dilation_h, d.padded_h);
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    const int32_t count = high * ref::counted_taps(padded, kx, ox * d.stride_w, d.kernel_w, d.dilation_w, d.padded_w);
    const float factor = count > 0 ? m[d.uniform_count != 0 ? 0 : count - 1] : 0.0f;
    for (int32_t c = 0; c < d.channels; c += 4) {
      const mve_pred16_t some = vctp32q(static_cast<uint32_t>(d.channels - c));
      int32x4_t sum = vdupq_n_s32(-d.x_zero_point * (ky.end - ky.begin) * (kx.end - kx.begin));
      for (int32_t tap = ky.begin; tap < ky.end; ++tap) {
        const auto* x = rows(tap) + (left + kx.begin * d.dilation_w) * d.channels + c;
        for (int32_t i = kx.begin; i < kx.end; ++i, x += d.dilation_w * d.channels) sum = vaddq_s32(sum, load_bytes(x, some));
      }
      vstrbq_p_s32(y + ox * d.channels + c, requantize(d, sum, factor), some);
    }
  });
}

template <class D, class X, class Y>
KILN_INLINE void qaverage_pool2d(const D& d, const X* x, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.channels, reinterpret_cast<int8_t*>(y), d.out_w * d.channels,
               [&](const auto& rows, int32_t oy, Span ky, int8_t* y_row) { qaverage_pool2d_row(d, rows, oy, ky, m, y_row); });
}

}  // namespace nn::mve
