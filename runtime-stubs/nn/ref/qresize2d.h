// SPDX-License-Identifier: 0BSD
// Linear resizing of integers, along the tables that resize_linear2d takes (resize2d.h). (x - x_zero_point) is interpolated in
// float, each step rounded, and multiplied by multiplier = x_scale / y_scale. Nearest neighbours need no arithmetic: see there.
// y must not overlap x.
#pragma once

#include "../requant.h"

namespace nn::ref {

// One output row between input rows `upper` and `lower`, the latter with weight `row_weight`.
template <class D, class X, class Y>
KILN_INLINE void qresize_linear2d_row(const D& d, const X* upper, const X* lower, float row_weight, const int32_t* columns,
                                      const float* column_weights, Y* y) {
  const float down = row_weight, up = 1.0f - down;
  for (int32_t j = 0; j < d.out_w; ++j, y += d.channels) {
    const int32_t left = columns[j] * d.channels;
    const int32_t right = columns[j] + 1 < d.in_w ? left + d.channels : left;
    const float to_right = column_weights[j], to_left = 1.0f - to_right;
    const float upper_left = to_left * up, upper_right = to_right * up, lower_left = to_left * down, lower_right = to_right * down;
    const auto part = [&](float weight, const X* row, int32_t at) { return rounded(weight * static_cast<float>(row[at] - d.x_zero_point)); };
    for (int32_t c = 0; c < d.channels; ++c) {
      const float sum = part(upper_left, upper, left + c) + part(upper_right, upper, right + c) + part(lower_left, lower, left + c) +
                        part(lower_right, lower, right + c);
      y[c] = static_cast<Y>(round_within(sum * d.multiplier, d.y_zero_point, d.low, d.high));
    }
  }
}

template <class D, class X, class Y>
KILN_INLINE void qresize_linear2d(const D& d, const X* x, const int32_t* rows, const float* row_weights, const int32_t* columns,
                                  const float* column_weights, Y* y) {
  const int32_t in_row = d.in_w * d.channels;
  for (int32_t b = 0; b < d.batch; ++b, x += d.in_h * in_row) {
    for (int32_t i = 0; i < d.out_h; ++i, y += d.out_w * d.channels) {
      const X* upper = x + rows[i] * in_row;
      const X* lower = rows[i] + 1 < d.in_h ? upper + in_row : upper;
      qresize_linear2d_row(d, upper, lower, row_weights[i], columns, column_weights, y);
    }
  }
}

}  // namespace nn::ref
