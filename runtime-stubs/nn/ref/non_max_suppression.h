// SPDX-License-Identifier: 0BSD
// The boxes that survive where others with higher scores overlap them.
#pragma once

#include "../base.h"

namespace nn::ref {

namespace detail {

// Corners in ascending order; box: two opposite corners (y, x, y, x), or, with `centred`, centre and size (x, y, width, height).
struct Corners {
  float low[2], high[2];
};
KILN_INLINE Corners corners_of(const float* box, int32_t centred) {
  Corners c{};
  for (int32_t i = 0; i < 2; ++i) {
    const float a = centred != 0 ? box[i] - box[2 + i] / 2.0f : box[i], b = centred != 0 ? box[i] + box[2 + i] / 2.0f : box[2 + i];
    c.low[i] = a < b ? a : b;
    c.high[i] = a < b ? b : a;
  }
  return c;
}

// Whether the intersection takes more than `threshold` of the union; boxes without area overlap nothing.
KILN_INLINE bool overlap(const float* first, const float* second, int32_t centred, float threshold) {
  const Corners a = corners_of(first, centred), b = corners_of(second, centred);
  float common = 1.0f, area_a = 1.0f, area_b = 1.0f;
  for (int32_t i = 0; i < 2; ++i) {
    const float low = a.low[i] > b.low[i] ? a.low[i] : b.low[i], high = a.high[i] < b.high[i] ? a.high[i] : b.high[i];
    if (!(high > low)) return false;
    common *= high - low;
    area_a *= a.high[i] - a.low[i];
    area_b *= b.high[i] - b.low[i];
  }
  const float all = area_a + area_b - common;
  return area_a > 0.0f && area_b > 0.0f && all > 0.0f && common / all > threshold;
}

}  // namespace detail

// boxes [batch, boxes, 4], scores [batch, classes, boxes]; y [rows, 3]: batch, class and box of each survivor, by batch and class, then by descending
// score (of equal ones the lower index first), at most `limit` per class; the rows behind them are -1. Boxes count with a score above *least_score,
// and survive unless one before them overlaps them by more than *overlap_limit. Needs no memory: the next candidate is looked for among all boxes.
template <class D>
KILN_INLINE void non_max_suppression(const D& d, const float* boxes, const float* scores, const float* overlap_limit, const float* least_score, int64_t* y) {
  int32_t row = 0;
  for (int32_t n = 0; n < d.batch; ++n) {
    const float* box = boxes + n * d.boxes * 4;
    for (int32_t c = 0; c < d.classes; ++c) {
      const float* score = scores + (n * d.classes + c) * d.boxes;
      const int32_t first = row;
      for (int32_t last = -1; row - first < d.limit;) {
        int32_t next = -1;
        for (int32_t i = 0; i < d.boxes; ++i) {
          const bool later = last < 0 || score[i] < score[last] || (score[i] == score[last] && i > last);
          if (later && score[i] > *least_score && (next < 0 || score[i] > score[next])) next = i;
        }
        if (next < 0) break;
        last = next;
        bool survives = true;
        for (int32_t k = first; survives && k < row; ++k)
          survives = !detail::overlap(box + 4 * next, box + 4 * static_cast<int32_t>(y[3 * k + 2]), d.centred, *overlap_limit);
        if (!survives) continue;
        y[3 * row] = n;
        y[3 * row + 1] = c;
        y[3 * row + 2] = next;
        ++row;
      }
    }
  }
  for (int32_t i = 3 * row; i < 3 * d.rows; ++i) y[i] = -1;
}

}  // namespace nn::ref
