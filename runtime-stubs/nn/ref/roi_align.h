// SPDX-License-Identifier: 0BSD
// Pools regions of x [batch, in_h, in_w, channels]: box r of boxes [regions, 4] (left, top, right, bottom, times `scale`, less `offset`) of
// image images[r] is divided into out_h x out_w cells, each sampled linearly at sampling x sampling points, or, where sampling is 0, at one
// for each element begun. y [regions, out_h, out_w, channels] is the mean of a cell's samples, or with `maximum` the greatest weighted
// neighbour of all samples, as the ONNX text defines it.
#pragma once

#include "../limits.h"
#include "../math.h"

namespace nn::ref {

namespace detail {

struct RoiTap {
  int32_t low, high;
  float to_low, to_high;  // weights; both 0 outside
};

KILN_INLINE RoiTap roi_tap(float at, int32_t size) {
  if (!(at >= -1.0f && at <= static_cast<float>(size))) return {0, 0, 0.0f, 0.0f};
  if (at < 0.0f) at = 0.0f;
  const int32_t low = static_cast<int32_t>(at);
  if (low >= size - 1) return {size - 1, size - 1, 1.0f, 0.0f};
  return {low, low + 1, 1.0f - (at - static_cast<float>(low)), at - static_cast<float>(low)};
}

// Samples of a cell along one side; boxes of broken models must not keep the loop busy.
KILN_INLINE int32_t roi_samples(int32_t sampling, float cell) {
  constexpr float kMost = 1024.0f;
  if (sampling > 0) return sampling;
  return cell > 0.0f ? static_cast<int32_t>(nn::ceil(nn::min(cell, kMost))) : 0;
}

}  // namespace detail

template <class D, class I>
KILN_INLINE void roi_align(const D& d, const float* x, const float* boxes, const I* images, float* y) {
  const int32_t row = d.in_w * d.channels;
  for (int32_t r = 0; r < d.regions; ++r, boxes += 4) {
    const I wanted = images[r];
    const int32_t image = wanted < 0 ? 0 : wanted < d.batch ? static_cast<int32_t>(wanted) : d.batch - 1;
    const float* from = x + image * d.in_h * row;
    const float left = boxes[0] * d.scale - d.offset, top = boxes[1] * d.scale - d.offset;
    float width = boxes[2] * d.scale - d.offset - left, height = boxes[3] * d.scale - d.offset - top;
    if (d.offset == 0.0f) {
      width = nn::max(width, 1.0f);
      height = nn::max(height, 1.0f);
    }
    const float cell_h = height / static_cast<float>(d.out_h), cell_w = width / static_cast<float>(d.out_w);
    const int32_t high = detail::roi_samples(d.sampling, cell_h), wide = detail::roi_samples(d.sampling, cell_w);
    const int32_t count = high * wide > 0 ? high * wide : 1;
    for (int32_t i = 0; i < d.out_h; ++i) {
      for (int32_t j = 0; j < d.out_w; ++j, y += d.channels) {
        for (int32_t c = 0; c < d.channels; ++c) y[c] = d.maximum && high * wide > 0 ? limits<float>::lowest() : 0.0f;
        for (int32_t s = 0; s < high * wide; ++s) {
          const float down = top + static_cast<float>(i) * cell_h + (static_cast<float>(s / wide) + 0.5f) * cell_h / static_cast<float>(high);
          const float right = left + static_cast<float>(j) * cell_w + (static_cast<float>(s % wide) + 0.5f) * cell_w / static_cast<float>(wide);
          detail::RoiTap v = detail::roi_tap(down, d.in_h), h = detail::roi_tap(right, d.in_w);
          const float* upper = from + v.low * row;
          const float* lower = from + v.high * row;
          for (int32_t c = 0; c < d.channels; ++c) {
            const float a = v.to_low * h.to_low * upper[h.low * d.channels + c], b = v.to_low * h.to_high * upper[h.high * d.channels + c];
            const float e = v.to_high * h.to_low * lower[h.low * d.channels + c], f = v.to_high * h.to_high * lower[h.high * d.channels + c];
            if (d.maximum) y[c] = nn::max(y[c], nn::max(nn::max(a, b), nn::max(e, f)));
            else y[c] += a + b + e + f;
          }
        }
        if (!d.maximum)
          for (int32_t c = 0; c < d.channels; ++c) y[c] /= static_cast<float>(count);
      }
    }
  }
}

}  // namespace nn::ref
