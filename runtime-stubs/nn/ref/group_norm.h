// SPDX-License-Identifier: 0BSD
// Normalization of x [batch, pixels, channels] over the pixels and the channels of each group, scale[channels] and bias[channels]:
//   mean = sum(x) / n;  variance = sum((x - mean)^2) / n;  y = (x - mean) * (1 / sqrt(variance + epsilon)) * scale + bias
// With as many groups as channels it is instance normalization. Every operation rounds, so that all cores give the same bits.
// y may be x.
#pragma once

#include "../math.h"
#include "../requant.h"

namespace nn::ref {

// Channels [first, first + width) of one image. `lanes` sums run beside each other: each channel is a group of its own, or all of
// them are one group whose channels are folded onto the lanes.
template <class D, int32_t kLanes>
KILN_INLINE void normalize_channels(const D& d, const float* x, const float* scale, const float* bias, int32_t first, int32_t width,
                                    bool one_group, float* y) {
  float mean[kLanes] = {}, factor[kLanes] = {};
  const auto sum_up = [&](float* sums, const auto& term) {
    for (int32_t p = 0; p < d.pixels; ++p)
      for (int32_t c = 0; c < width; ++c) sums[c % kLanes] += term(x[p * d.channels + first + c], c % kLanes);
    if (!one_group) return;
    for (int32_t i = 1; i < kLanes; ++i) sums[0] += sums[i];
    for (int32_t i = 1; i < kLanes; ++i) sums[i] = sums[0];
  };
  const float count = static_cast<float>(one_group ? d.pixels * width : d.pixels);
  sum_up(mean, [](float value, int32_t) { return value; });
  for (int32_t i = 0; i < kLanes; ++i) mean[i] /= count;
  sum_up(factor, [&](float value, int32_t i) { return rounded((value - mean[i]) * (value - mean[i])); });
  for (int32_t i = 0; i < kLanes; ++i) factor[i] = 1.0f / nn::sqrt(factor[i] / count + d.epsilon);
  for (int32_t p = 0; p < d.pixels; ++p) {
    for (int32_t c = 0; c < width; ++c) {
      const int32_t at = p * d.channels + first + c, i = c % kLanes;
      y[at] = rounded((x[at] - mean[i]) * factor[i] * scale[first + c]) + bias[first + c];
    }
  }
}

template <class D>
KILN_INLINE void group_norm(const D& d, const float* x, const float* scale, const float* bias, float* y) {
  constexpr int32_t kLanes = 8;
  const int32_t size = d.channels / d.groups, image = d.pixels * d.channels;
  for (int32_t n = 0; n < d.batch; ++n, x += image, y += image) {
    if (size == 1) {
      for (int32_t c = 0; c < d.channels; c += kLanes)
        normalize_channels<D, kLanes>(d, x, scale, bias, c, nn::min(kLanes, d.channels - c), false, y);
    } else {
      for (int32_t g = 0; g < d.groups; ++g) normalize_channels<D, kLanes>(d, x, scale, bias, g * size, size, true, y);
    }
  }
}

}  // namespace nn::ref
