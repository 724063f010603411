// SPDX-License-Identifier: 0BSD
// Kernels that move elements without looking at them. T is the stored type; x and y must not overlap.
#pragma once

#include "../base.h"

namespace nn::ref {

// y[out_offset + i . out_strides] = x[in_offset + i . in_strides] for all i below `dims`; rank is at least 2.
// The two last dimensions are the inner loops. Where the last but one steps through x by 1 and the last does not (a
// transposition), the plane is walked in strips, so that whole cache lines of x and of y are used.
template <class D, class T>
KILN_INLINE void copy_plane(const D& d, const T* x, T* y) {
  const int32_t rows = d.dims[d.rank - 2], columns = d.dims[d.rank - 1];
  const int32_t x_row = d.in_strides[d.rank - 2], x_column = d.in_strides[d.rank - 1];
  const int32_t y_row = d.out_strides[d.rank - 2], y_column = d.out_strides[d.rank - 1];
  if (x_column == 1 && y_column == 1) {
    for (int32_t i = 0; i < rows; ++i)
      __builtin_memcpy(y + i * y_row, x + i * x_row, static_cast<size_t>(columns) * sizeof(T));
    return;
  }
  const int32_t strip = x_row == 1 ? static_cast<int32_t>(64 / sizeof(T)) : rows;
  for (int32_t first = 0; first < rows; first += strip) {
    const int32_t last = rows - first < strip ? rows : first + strip;
    if (x_row == 1) {
      for (int32_t j = 0; j < columns; ++j)
        for (int32_t i = first; i < last; ++i) y[i * y_row + j * y_column] = x[i + j * x_column];
    } else {
      for (int32_t i = first; i < last; ++i)
        for (int32_t j = 0; j < columns; ++j) y[i * y_row + j * y_column] = x[i * x_row + j * x_column];
    }
  }
}

template <class D, class T>
KILN_INLINE void copy(const D& d, const T* x, T* y) {
  int32_t position[8] = {};
  int32_t from = d.in_offset, to = d.out_offset;
  for (;;) {
    copy_plane(d, x + from, y + to);
    int32_t k = d.rank - 3;
    for (; k >= 0; --k) {
      from += d.in_strides[k];
      to += d.out_strides[k];
      if (++position[k] < d.dims[k]) break;
      from -= d.dims[k] * d.in_strides[k];
      to -= d.dims[k] * d.out_strides[k];
      position[k] = 0;
    }
    if (k < 0) return;
  }
}

}  // namespace nn::ref
