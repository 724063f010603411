// SPDX-License-Identifier: 0BSD
// Pooling of [batch, h, w, c]. Padding takes no part in a maximum. y must not overlap x.
#pragma once

#include "../limits.h"
#include "../rows.h"

namespace nn::ref {

template <class D, class Rows, class T>
KILN_INLINE void max_pool2d_row(const D& d, const Rows& rows, Span ky, T* y) {
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    for (int32_t c = 0; c < d.channels; ++c) {
      T best = limits<T>::lowest();
      for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
        const T* row = rows(y_tap) + c;
        for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap) {
          const T value = row[(left + x_tap * d.dilation_w) * d.channels];
          best = best > value ? best : value;
        }
      }
      y[ox * d.channels + c] = best;
    }
  });
}

template <class D, class T>
KILN_INLINE void max_pool2d(const D& d, const T* x, T* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t, Span ky, T* y_row) {
    max_pool2d_row(d, rows, ky, y_row);
  });
}

// Where the maximum is: row * in_w + column of the first element of the window that none exceeds; the same for every channel and image.
template <class D, class T>
KILN_INLINE void max_pool2d_positions(const D& d, const T* x, int64_t* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t oy, Span ky, int64_t* y_row) {
    for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
      for (int32_t c = 0; c < d.channels; ++c) {
        T best = limits<T>::lowest();
        int32_t position = -1;
        for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
          const T* row = rows(y_tap) + c;
          const int32_t first = (oy * d.stride_h - d.pad_top + y_tap * d.dilation_h) * d.in_w + left;
          for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap) {
            const T value = row[(left + x_tap * d.dilation_w) * d.channels];
            if (position >= 0 && !(value > best)) continue;
            best = value;
            position = first + x_tap * d.dilation_w;
          }
        }
        y_row[ox * d.channels + c] = position;
      }
    });
  });
}

// The number of taps that an average is divided by, along one axis: those inside, or those inside the padded input.
KILN_INLINE int32_t counted_taps(bool padded, Span inside, int32_t start, int32_t kernel, int32_t dilation, int32_t size) {
  if (!padded) return inside.end - inside.begin;
  const Span taps = taps_inside(start, kernel, dilation, size);
  return taps.end - taps.begin;
}

template <class D, class Rows, class T>
KILN_INLINE void average_pool2d_row(const D& d, const Rows& rows, int32_t oy, Span ky, T* y) {
  const bool padded = d.count_include_pad != 0;
  const int32_t high = counted_taps(padded, ky, oy * d.stride_h, d.kernel_h, d.dilation_h, d.padded_h);
  for_each_column(d, [&](int32_t ox, int32_t left, Span kx) {
    const int32_t count = high * counted_taps(padded, kx, ox * d.stride_w, d.kernel_w, d.dilation_w, d.padded_w);
    const T divisor = T(count > 0 ? count : 1);  // a dilated window can miss the input altogether; its average is 0
    for (int32_t c = 0; c < d.channels; ++c) {
      T sum = T(0);
      for (int32_t y_tap = ky.begin; y_tap < ky.end; ++y_tap) {
        const T* row = rows(y_tap) + c;
        for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap) sum += row[(left + x_tap * d.dilation_w) * d.channels];
      }
      y[ox * d.channels + c] = sum / divisor;
    }
  });
}

template <class D, class T>
KILN_INLINE void average_pool2d(const D& d, const T* x, T* y) {
  for_each_row(d, x, d.in_w * d.channels, y, d.out_w * d.channels, [&](const auto& rows, int32_t oy, Span ky, T* y_row) {
    average_pool2d_row(d, rows, oy, ky, y_row);
  });
}

}  // namespace nn::ref
