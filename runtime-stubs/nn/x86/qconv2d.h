// SPDX-License-Identifier: 0BSD
// Convolutions of 8-bit integers [batch, h, w, c] without groups. Row kernels: see ../rows.h.
#pragma once

#include "qdense.h"

namespace nn::x86 {

// The elements under the window of one output pixel, [kernel_h][kernel_w][in_c], followed by zeros up to `depth`; x_zero_point in the padding.
template <class X, class D, class Rows, class Column>
KILN_INLINE void fill_column(const D& d, const Rows& rows, Span ky, int32_t left, Span kx, int32_t depth, Column* to) {
  const auto pad = [&](int32_t taps) {
    for (int32_t i = 0; i < taps * d.in_c; ++i) to[i] = column_element<Column>(static_cast<X>(d.x_zero_point));
    to += taps * d.in_c;
  };
  Column* end = to + depth;
  for (int32_t y_tap = 0; y_tap < d.kernel_h; ++y_tap) {
    if (y_tap < ky.begin || y_tap >= ky.end) {
      pad(d.kernel_w);
      continue;
    }
    const auto* row = rows(y_tap);
    pad(kx.begin);
    if (d.dilation_w == 1) {
      copy_elements((kx.end - kx.begin) * d.in_c, row + (left + kx.begin) * d.in_c, to);
      to += (kx.end - kx.begin) * d.in_c;
    } else {
      for (int32_t x_tap = kx.begin; x_tap < kx.end; ++x_tap, to += d.in_c) copy_elements(d.in_c, row + (left + x_tap * d.dilation_w) * d.in_c, to);
    }
    pad(d.kernel_w - kx.end);
  }
  while (to < end) *to++ = 0;
}

template <class X, class D, class Rows, class Y>
KILN_INLINE void qconv2d_row(const D& d, const Rows& rows, Span ky, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  using Column = typename dot_of<D::step, D::lanes>::type::Column;
  constexpr int32_t depth = round_up(D::kernel_h * D::kernel_w * D::in_c, D::step);
  const Span inner = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  alignas(64) Column columns[D::pixels * depth];
  for (int32_t i = 0; i < block_count(D::pixels, d.out_w); ++i) {
    const int32_t first = block_start(i, D::pixels, d.out_w);
    for (int32_t p = 0; p < D::pixels; ++p) {
      const int32_t ox = first + p, left = ox * d.stride_w - d.pad_left;
      if (ox >= inner.begin && ox < inner.end) fill_column<X>(d, rows, ky, left, Span{0, d.kernel_w}, depth, columns + p * depth);
      else fill_column<X>(d, rows, ky, left, taps_inside(left, d.kernel_w, d.dilation_w, d.in_w), depth, columns + p * depth);
    }
    all_channels<D::pixels, false>(d, depth, d.out_c, columns, depth, w, b, m, y + first * d.out_c);
  }
}

// d has, besides the fields of the descriptor: step, lanes, vectors, pixels (pixels <= out_w, lanes * vectors <= out_c).
template <class D, class X, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  for_each_row(d, x, d.in_w * d.in_c, y, d.out_w * d.out_c,
               [&](const auto& rows, int32_t, Span ky, Y* y_row) { qconv2d_row<X>(d, rows, ky, w, b, m, y_row); });
}

}  // namespace nn::x86
