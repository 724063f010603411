// SPDX-License-Identifier: 0BSD
// Resizing of [batch, in_h, in_w, channels] to [batch, out_h, out_w, channels] along tables of source positions that are
// computed at compile time: `rows` has out_h entries, `columns` out_w.
#pragma once

#include "../base.h"

namespace nn::ref {

// One output row: y[j] = x[columns[j]], all channels.
template <class D, class T>
KILN_INLINE void resize_nearest2d_row(const D& d, const T* x, const int32_t* columns, T* y) {
  for (int32_t j = 0; j < d.out_w; ++j)
    __builtin_memcpy(y + j * d.channels, x + columns[j] * d.channels, static_cast<size_t>(d.channels) * sizeof(T));
}

template <class D, class T>
KILN_INLINE void resize_nearest2d(const D& d, const T* x, const int32_t* rows, const int32_t* columns, T* y) {
  const int32_t in_row = d.in_w * d.channels, out_row = d.out_w * d.channels;
  for (int32_t b = 0; b < d.batch; ++b, x += d.in_h * in_row) {
    for (int32_t i = 0; i < d.out_h; ++i, y += out_row) {
      if (i > 0 && rows[i] == rows[i - 1]) __builtin_memcpy(y, y - out_row, static_cast<size_t>(out_row) * sizeof(T));
      else resize_nearest2d_row(d, x + rows[i] * in_row, columns, y);
    }
  }
}

// The type that linear interpolation of T is computed in.
template <class T>
struct resize_weight { using type = float; };
template <>
struct resize_weight<double> { using type = double; };

// One output row between input rows `upper` and `lower`, the latter with weight `row_weight`. Column j lies between columns[j] and
// the next one (or the same, at the end), the latter with weight column_weights[j]. Integers are cut off, as ONNX Runtime does.
template <class D, class T>
KILN_INLINE void resize_linear2d_row(const D& d, const T* upper, const T* lower, float row_weight, const int32_t* columns,
                                     const float* column_weights, T* y) {
  using W = typename resize_weight<T>::type;
  const W down = W(row_weight), up = W(1) - down;
  for (int32_t j = 0; j < d.out_w; ++j, y += d.channels) {
    const int32_t left = columns[j] * d.channels;
    const int32_t right = columns[j] + 1 < d.in_w ? left + d.channels : left;
    const W to_right = W(column_weights[j]), to_left = W(1) - to_right;
    const W upper_left = to_left * up, upper_right = to_right * up, lower_left = to_left * down, lower_right = to_right * down;
    for (int32_t c = 0; c < d.channels; ++c) {
      y[c] = static_cast<T>(upper_left * static_cast<W>(upper[left + c]) + upper_right * static_cast<W>(upper[right + c]) +
                            lower_left * static_cast<W>(lower[left + c]) + lower_right * static_cast<W>(lower[right + c]));
    }
  }
}

template <class D, class T>
KILN_INLINE void resize_linear2d(const D& d, const T* x, const int32_t* rows, const float* row_weights, const int32_t* columns,
                                 const float* column_weights, T* y) {
  const int32_t in_row = d.in_w * d.channels;
  for (int32_t b = 0; b < d.batch; ++b, x += d.in_h * in_row) {
    for (int32_t i = 0; i < d.out_h; ++i, y += d.out_w * d.channels) {
      const T* upper = x + rows[i] * in_row;
      const T* lower = rows[i] + 1 < d.in_h ? upper + in_row : upper;
      resize_linear2d_row(d, upper, lower, row_weights[i], columns, column_weights, y);
    }
  }
}

}  // namespace nn::ref
