// SPDX-License-Identifier: 0BSD
// Sampling x [batch, sizes[0], ..., sizes[rank - 1], channels] at `points` places per image, rank 2 or 3. A place is `rank` numbers of
// grid [batch, points, rank], that of the last dimension first. y [batch, points, channels].
//   coordinates: 0 the number is a position; -1 and 1 are the centres (1) or the outer edges (2) of the first and last element
//   mode: 0 linear, 1 nearest (ties to even), 2 cubic (a = -0.75)
//   padding, for what lies outside: 0 zeros, 1 the nearest element, 2 mirrored at the centres (coordinates 1) or at the outer edges
#pragma once

#include "../math.h"

namespace nn::ref {

namespace detail {

// What one output takes along one dimension: elements `at` (-1: zero) and their weights.
template <class T>
struct SampleTaps {
  int32_t count;
  int32_t at[4];
  T weight[4];
};

// x mirrored at low and high until it lies between them.
template <class T>
KILN_INLINE T mirror(T x, T low, T high) {
  const T range = high - low;
  if (!(range > T(0))) return low;
  if (x >= low && x <= high) return x;
  const T beyond = x < low ? low - x : x - high;
  const int32_t times = static_cast<int32_t>(beyond / range);
  const T rest = beyond - static_cast<T>(times) * range;
  return (x < low) == (times % 2 == 0) ? low + rest : high - rest;
}

template <class D, class T>
KILN_INLINE int32_t padded_element(const D& d, int32_t i, int32_t size, T low, T high) {
  if (i >= 0 && i < size) return i;
  if (d.padding == 0) return -1;
  const int32_t at = d.padding == 1 ? i : static_cast<int32_t>(mirror(static_cast<T>(i), low, high));
  return at < 0 ? 0 : at < size ? at : size - 1;
}

// The taps' weights for a position that lies `f` behind the second of them, by Keys' cubic convolution.
template <class T>
KILN_INLINE void cubic_weights(T f, T* w) {
  constexpr T a = T(-0.75);
  const T g = T(1) - f, far = f + T(1), back = g + T(1);
  w[0] = ((a * far - T(5) * a) * far + T(8) * a) * far - T(4) * a;
  w[1] = ((a + T(2)) * f - (a + T(3))) * f * f + T(1);
  w[2] = ((a + T(2)) * g - (a + T(3))) * g * g + T(1);
  w[3] = ((a * back - T(5) * a) * back + T(8) * a) * back - T(4) * a;
}

template <class D, class T>
KILN_INLINE SampleTaps<T> sample_taps(const D& d, T place, int32_t size) {
  const T length = static_cast<T>(size), edge = d.coordinates == 2 ? T(0.5) : T(0), low = T(0) - edge, high = length - T(1) + edge;
  T x = place;
  if (d.coordinates == 1) x = (place + T(1)) / T(2) * (length - T(1));
  if (d.coordinates == 2) x = ((place + T(1)) * length - T(1)) / T(2);
  constexpr T kFar = T(1 << 22);  // keeps positions within int32_t; nothing that far matters
  x = x > -kFar ? nn::min(x, kFar) : -kFar;
  if (d.mode == 1) x = nn::round_half_even(x);
  if (d.padding == 1 && (x < low || x > high)) x = nn::min(nn::max(x, T(0)), length - T(1));
  if (d.padding == 2) x = mirror(x, low, high);
  const T below = nn::floor(x);
  const T f = x - below;
  const int32_t first = static_cast<int32_t>(below) - (d.mode == 2 ? 1 : 0);
  SampleTaps<T> taps = {d.mode == 1 ? 1 : d.mode == 2 ? 4 : 2, {}, {T(1) - f, f}};
  if (d.mode == 1) taps.weight[0] = T(1);
  if (d.mode == 2) cubic_weights(f, taps.weight);
  for (int32_t k = 0; k < taps.count; ++k) taps.at[k] = padded_element(d, first + k, size, low, high);
  return taps;
}

}  // namespace detail

template <class D, class T>
KILN_INLINE void grid_sample(const D& d, const T* x, const T* grid, T* y) {
  int32_t image = d.channels;
  for (int32_t k = 0; k < d.rank; ++k) image *= d.sizes[k];
  for (int32_t n = 0; n < d.batch; ++n, x += image) {
    for (int32_t p = 0; p < d.points; ++p, grid += d.rank, y += d.channels) {
      detail::SampleTaps<T> taps[3] = {{1, {}, {T(1)}}, {1, {}, {T(1)}}, {1, {}, {T(1)}}};
      for (int32_t k = 0; k < d.rank; ++k) taps[k] = detail::sample_taps(d, grid[d.rank - 1 - k], d.sizes[k]);
      for (int32_t c = 0; c < d.channels; ++c) y[c] = T(0);
      for (int32_t i = 0; i < taps[0].count; ++i) {
        for (int32_t j = 0; j < taps[1].count; ++j) {
          for (int32_t l = 0; l < taps[2].count; ++l) {
            if (taps[0].at[i] < 0 || taps[1].at[j] < 0 || taps[2].at[l] < 0) continue;
            const T weight = taps[0].weight[i] * taps[1].weight[j] * taps[2].weight[l];
            const int32_t depth = d.rank == 3 ? d.sizes[d.rank - 1] : 1;
            const T* from = x + ((taps[0].at[i] * d.sizes[1] + taps[1].at[j]) * depth + taps[2].at[l]) * d.channels;
            for (int32_t c = 0; c < d.channels; ++c) y[c] += weight * from[c];
          }
        }
      }
    }
  }
}

}  // namespace nn::ref
