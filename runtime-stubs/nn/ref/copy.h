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

// The source index of position i of a dimension of n, which may lie outside of it, or -1: the padding value.
// mode: 0 constant, 1 edge, 2 reflect (the end is not repeated), 3 wrap.
KILN_INLINE int32_t pad_source(int32_t mode, int32_t i, int32_t n) {
  if (i >= 0 && i < n) return i;
  if (mode == 1) return i < 0 ? 0 : n - 1;
  if (mode == 2) {
    const int32_t period = n > 1 ? 2 * (n - 1) : 1;
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : period - i;
  }
  if (mode == 3) {
    i %= n;
    return i < 0 ? i + n : i;
  }
  return -1;
}

// One run of the last dimension: y[j] = x[pad_source(j - before)], or *value.
template <class D, class T>
KILN_INLINE void pad_row(const D& d, const T* x, const T* value, T* y) {
  const int32_t n = d.in_dims[d.rank - 1], before = d.before[d.rank - 1], out = d.out_dims[d.rank - 1];
  for (int32_t j = 0; j < before; ++j) {
    const int32_t from = pad_source(d.mode, j - before, n);
    y[j] = from < 0 ? *value : x[from];
  }
  __builtin_memcpy(y + before, x, static_cast<size_t>(n) * sizeof(T));
  for (int32_t j = before + n; j < out; ++j) {
    const int32_t from = pad_source(d.mode, j - before, n);
    y[j] = from < 0 ? *value : x[from];
  }
}

// value: one element; only read in mode 0.
template <class D, class T>
KILN_INLINE void pad(const D& d, const T* x, const T* value, T* y) {
  const int32_t width = d.out_dims[d.rank - 1];
  int32_t position[8] = {};
  int32_t rows = 1;
  for (int32_t k = 0; k < d.rank - 1; ++k) rows *= d.out_dims[k];
  for (int32_t row = 0; row < rows; ++row, y += width) {
    int32_t from = 0;
    bool inside = true;
    for (int32_t k = 0; k < d.rank - 1; ++k) {
      const int32_t source = pad_source(d.mode, position[k] - d.before[k], d.in_dims[k]);
      inside = inside && source >= 0;
      from = from * d.in_dims[k] + source;
    }
    if (inside) {
      pad_row(d, x + from * d.in_dims[d.rank - 1], value, y);
    } else {
      for (int32_t j = 0; j < width; ++j) y[j] = *value;
    }
    for (int32_t k = d.rank - 2; k >= 0 && ++position[k] == d.out_dims[k]; --k) position[k] = 0;
  }
}

// y[o, i, n] = x[o, index[i], n]. Negative indices count from the end; those outside of x are cut to its first or last.
template <class D, class T, class I>
KILN_INLINE void gather(const D& d, const T* x, const I* index, T* y) {
  for (int32_t o = 0; o < d.outer; ++o) {
    for (int32_t i = 0; i < d.indices; ++i) {
      const I from_end = index[i] < 0 ? static_cast<I>(index[i] + d.axis_dim) : index[i];
      const int32_t at = from_end < 0 ? 0 : from_end < d.axis_dim ? static_cast<int32_t>(from_end) : d.axis_dim - 1;
      __builtin_memcpy(y, x + (o * d.axis_dim + at) * d.inner, static_cast<size_t>(d.inner) * sizeof(T));
      y += d.inner;
    }
  }
}

}  // namespace nn::ref
