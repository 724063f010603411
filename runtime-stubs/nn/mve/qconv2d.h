// SPDX-License-Identifier: 0BSD
// Integer convolutions of [batch, h, w, c] by VMLADAV: see product.h for the order of the weights. Pointwise ones multiply the image itself; others copy
// the windows of a few output pixels first, each as a row of a matrix.
#pragma once

#include "../rows.h"
#include "qdense.h"
#include "strip.h"

namespace nn::mve {

// One row of taps of one window; `left` is the input column of tap 0, taps kx lie inside.
template <class X, class D>
KILN_INLINE uint8_t* copy_taps(const D& d, const uint8_t* row, int32_t left, Span kx, uint8_t* to) {
  if (kx.begin == 0 && kx.end == d.kernel_w && (d.dilation_w == 1 || d.kernel_w == 1)) return copy_inputs<X>(row + left * d.in_c, d.kernel_w * d.in_c, to);
  for (int32_t tap = 0; tap < d.kernel_w; ++tap) {
    if (tap < kx.begin || tap >= kx.end) to = copy_padding<X>(d.x_zero_point, d.in_c, to);
    else to = copy_inputs<X>(row + (left + tap * d.dilation_w) * d.in_c, d.in_c, to);
  }
  return to;
}

template <class X, class D>
KILN_INLINE uint8_t* copy_window(const D& d, const uint8_t* x, int32_t oy, int32_t ox, uint8_t* to) {
  const int32_t top = oy * d.stride_h - d.pad_top, left = ox * d.stride_w - d.pad_left, run = d.kernel_w * d.in_c;
  const Span ky = taps_inside(top, d.kernel_h, d.dilation_h, d.in_h), kx = taps_inside(left, d.kernel_w, d.dilation_w, d.in_w);
  const ImageRows<uint8_t> rows{x, d.in_w * d.in_c, top, d.dilation_h};
  for (int32_t tap = 0; tap < d.kernel_h; ++tap) {
    if (tap < ky.begin || tap >= ky.end) to = copy_padding<X>(d.x_zero_point, run, to);
    else to = copy_taps<X>(d, rows(tap), left, kx, to);
  }
  return to;
}

template <class X, class D>
KILN_INLINE void qconv2d_windows(const D& d, const uint8_t* x, const Product& product, uint8_t* y, uint8_t* scratch) {
  const int32_t pixels = d.out_h * d.out_w;
  int32_t oy = 0, ox = 0;
  for (int32_t first = 0; first < pixels; first += d.columns) {
    const int32_t count = min(pixels - first, d.columns);
    uint8_t* to = scratch;
    for (int32_t i = 0; i < count; ++i) {
      to = copy_window<X>(d, x, oy, ox, to);
      if (++ox == d.out_w) ox = 0, ++oy;
    }
    multiply(product, scratch, count, y);
    y += count * d.out_c;
  }
}

// Where d.strip is set, scratch is a strip for one output row (strip.h), whose windows overlap. Otherwise it holds d.columns windows, which run
// over the pixels of an image regardless of rows, so that narrow images fill them.
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
  for (int32_t n = 0; n < d.batch; ++n, image += d.in_h * d.in_w * d.in_c, results += d.out_h * d.out_w * d.out_c)
    qconv2d_windows<X>(d, image, product, results, scratch);
}

// Pointwise.
template <class D, class Y>
KILN_INLINE void qconv2d(const D& d, const int8_t* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  multiply(product_of(d, w, b, m, d.in_c, d.out_c, d.in_c), reinterpret_cast<const uint8_t*>(x), d.batch * d.out_h * d.out_w, reinterpret_cast<uint8_t*>(y));
}

}  // namespace nn::mve
