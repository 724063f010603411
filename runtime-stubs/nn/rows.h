// SPDX-License-Identifier: 0BSD
// Windows sliding over [batch, h, w, c], by rows. A spatial kernel is a *row kernel*: it computes one output row from the input
// rows under its window, which it asks a row source for: `rows(ky)` points to the row of tap `ky`. Rows in the vertical
// padding are never asked for: the caller says which taps [ky.begin, ky.end) lie inside. So the same kernel runs over a tensor
// that lies in memory as a whole (for_each_row below) and over a ring of the last few rows.
// The descriptor has out_h, out_w, in_h, in_w, kernel_*, stride_*, dilation_*, pad_top, pad_left, batch.
#pragma once

#include "base.h"

namespace nn {

// begin <= i < end, and begin <= end.
struct Span {
  int32_t begin, end;
};

// Taps k of [0, kernel) whose source position start + k * dilation lies in [0, size).
KILN_INLINE Span taps_inside(int32_t start, int32_t kernel, int32_t dilation, int32_t size) {
  const int32_t begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int32_t all = start < size ? (size - start + dilation - 1) / dilation : 0;
  const int32_t end = all < kernel ? all : kernel;
  return {begin, end > begin ? end : begin};
}

// Output positions whose taps all lie inside; within [0, out).
KILN_INLINE Span interior(int32_t out, int32_t stride, int32_t pad, int32_t kernel, int32_t dilation, int32_t size) {
  const int32_t first = (pad + stride - 1) / stride;
  const int32_t slack = size + pad - (kernel - 1) * dilation - 1;  // the last start of a window that ends inside
  const int32_t last = slack < 0 ? -1 : slack / stride;
  const int32_t begin = first < out ? first : out;
  const int32_t end = last < out ? last + 1 : out;
  return {begin, end > begin ? end : begin};
}

// Row source over an image that lies in memory as a whole.
template <class T>
struct ImageRows {
  const T* image;
  int32_t row_elements;
  int32_t top;   // the row of tap 0; negative within the padding
  int32_t step;  // rows from one tap to the next
  KILN_INLINE const T* operator()(int32_t ky) const { return image + (top + ky * step) * row_elements; }
};

// Calls row(rows, oy, ky, y) for every output row: x has in_row elements per row, y out_row.
template <class D, class T, class U, class Row>
KILN_INLINE void for_each_row(const D& d, const T* x, int32_t in_row, U* y, int32_t out_row, const Row& row) {
  for (int32_t n = 0; n < d.batch; ++n) {
    for (int32_t oy = 0; oy < d.out_h; ++oy) {
      const int32_t top = oy * d.stride_h - d.pad_top;
      row(ImageRows<T>{x, in_row, top, d.dilation_h}, oy, taps_inside(top, d.kernel_h, d.dilation_h, d.in_h), y);
      y += out_row;
    }
    x += d.in_h * in_row;
  }
}

// Calls column(ox, left, kx) for every output column: tap 0 reads input column `left`, the taps kx lie inside. In the
// interior kx is the whole kernel, a compile-time constant.
template <class D, class Column>
KILN_INLINE void for_each_column(const D& d, const Column& column) {
  const Span inner = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  const auto border = [&](int32_t ox) {
    const int32_t left = ox * d.stride_w - d.pad_left;
    column(ox, left, taps_inside(left, d.kernel_w, d.dilation_w, d.in_w));
  };
  for (int32_t ox = 0; ox < inner.begin; ++ox) border(ox);
  for (int32_t ox = inner.begin; ox < inner.end; ++ox) column(ox, ox * d.stride_w - d.pad_left, Span{0, d.kernel_w});
  for (int32_t ox = inner.end; ox < d.out_w; ++ox) border(ox);
}

}  // namespace nn
