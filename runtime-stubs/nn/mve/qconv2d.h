// SPDX-License-Identifier: 0BSD
// Integer convolutions of [batch, h, w, c] by VMLADAV: see product.h for the order of the weights. Pointwise ones multiply the image
// itself; others copy the windows of a few output pixels first, each as a row of a matrix.
#pragma once

#include "../rows.h"
#include "qdense.h"
#include "strip.h"

namespace nn::mve {

// One row of taps of one window; `left` is the input column of tap 0, taps kx lie inside.
template <class X, class D>
KILN_INLINE uint8_t* copy_taps(const D& d, const uint8_t* row, int32_t left, Span kx, uint8_t* to) {
  if (d.dilation_w == 1 || d.kernel_w == 1) {
    to = copy_padding<X>(d.x_zero_point, kx.begin * d.in_c, to);
    to = copy_inputs<X>(row + (left + kx.begin) * d.in_c, (kx.end - kx.begin) * d.in_c, to);
    return copy_padding<X>(d.x_zero_point, (d.kernel_w - kx.end) * d.in_c, to);
  }
  for (int32_t tap = 0; tap < d.kernel_w; ++tap) {
    if (tap < kx.begin || tap >= kx.end) to = copy_padding<X>(d.x_zero_point, d.in_c, to);
    else to = copy_inputs<X>(row + (left + tap * d.dilation_w) * d.in_c, d.in_c, to);
  }
  return to;
}

template <class X, class D>
__attribute__((noinline)) void copy_window(const D& d, const uint8_t* x, int32_t oy, int32_t ox, uint8_t* to) {
  const int32_t top = oy * d.stride_h - d.pad_top, left = ox * d.stride_w - d.pad_left, run = d.kernel_w * d.in_c;
  const Span ky = taps_inside(top, d.kernel_h, d.dilation_h, d.in_h), kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
  const ImageRows<uint8_t> rows{x, d.in_w * d.in_c, top, d.dilation_h};
  for (int32_t tap = 0; tap < d.kernel_h; ++tap) {
    if (tap < ky.begin || tap >= ky.end) to = copy_padding<X>(d.x_zero_point, run, to);
    else to = copy_taps<X>(d, rows(tap), left, kx, to);
  }
}

// A window that lies inside, in steps of 16 bytes: reads up to 15 bytes behind each row of taps and writes as many behind the window.
template <class X, class D>
KILN_INLINE void copy_inside(const D& d, const uint8_t* from, uint8_t* to) {
  const int32_t run = d.kernel_w * d.in_c, row = d.dilation_h * d.in_w * d.in_c;
#pragma GCC unroll 4
  for (int32_t tap = 0; tap < d.kernel_h; ++tap, from += row, to += run)
    for (int32_t i = 0; i < run; i += 16) vstrbq_u8(to + i, as_signed<X>(vldrbq_u8(from + i)));
}

// The windows of one image, d.columns at a time, which `take(count)` consumes.
template <class X, class D, class Take>
KILN_INLINE void copy_windows(const D& d, const uint8_t* x, uint8_t* windows, const Take& take) {
  const int32_t row = d.in_w * d.in_c, run = d.kernel_w * d.in_c, reach = (d.kernel_h - 1) * d.dilation_h * row + (run + 15) / 16 * 16;
  const uint8_t* const last = x + d.in_h * row - reach;  // behind it copy_inside would leave the image
  const Span rows = interior(d.out_h, d.stride_h, d.pad_top, d.kernel_h, d.dilation_h, d.in_h);
  Span columns = interior(d.out_w, d.stride_w, d.pad_left, d.kernel_w, d.dilation_w, d.in_w);
  if (d.dilation_w != 1 && d.kernel_w != 1) columns = {0, 0};
  int32_t count = 0;
  uint8_t* to = windows;
  for (int32_t oy = 0; oy < d.out_h; ++oy) {
    const Span inner = oy >= rows.begin && oy < rows.end ? columns : Span{0, 0};
    const uint8_t* from = x + (oy * d.stride_h - d.pad_top) * row - d.pad_left * d.in_c;
    for (int32_t ox = 0; ox < d.out_w; ++ox, from += d.stride_w * d.in_c) {
      if (ox >= inner.begin && ox < inner.end && from <= last) copy_inside<X>(d, from, to);
      else copy_window<X>(d, x, oy, ox, to);
      to += d.kernel_h * run;
      if (++count == d.columns) take(count), count = 0, to = windows;
    }
  }
  if (count > 0) take(count);
}

// Where d.strip is set, scratch is a strip for one output row (strip.h), whose windows overlap. Otherwise it holds d.columns windows and 15
// bytes, which run over the pixels of an image regardless of rows, so that narrow images fill them.
template <class D, class X, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const int32_t inputs = d.kernel_h * d.kernel_w * d.in_c;
  const uint8_t* image = reinterpret_cast<const uint8_t*>(x);
  uint8_t* results = reinterpret_cast<uint8_t*>(y);
  if (d.strip != 0) {
    const Product product = product_of(d, w, b, m, inputs, d.out_c, d.stride_w * d.kernel_h * d.in_c);
    for_each_row(d, image, d.in_w * d.in_c, results, d.out_w * d.out_c, [&](const auto& rows, int32_t, Span ky, uint8_t* y_row) {
      copy_strip<X>(d, rows, ky, d.in_c, d.in_c, scratch);
      multiply(product, scratch, d.out_w, y_row);
    });
    return;
  }
  const Product product = product_of(d, w, b, m, inputs, d.out_c, inputs);
  for (int32_t n = 0; n < d.batch; ++n, image += d.in_h * d.in_w * d.in_c) {
    copy_windows<X>(d, image, scratch, [&](int32_t count) {
      multiply(product, scratch, count, results);
      results += count * d.out_c;
    });
  }
}

// Pointwise.
template <class D, class Y>
KILN_INLINE void qconv2d(const D& d, const int8_t* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  const Product product = product_of(d, w, b, m, d.in_c, d.out_c, d.in_c);
  multiply(product, reinterpret_cast<const uint8_t*>(x), d.batch * d.out_h * d.out_w, reinterpret_cast<uint8_t*>(y));
}

}  // namespace nn::mve
