// SPDX-License-Identifier: 0BSD
// Integer dense layers by VMLADAV: see product.h for the order of the weights.
#pragma once

#include "copy.h"
#include "product.h"

namespace nn::mve {

// scratch: for unsigned inputs d.columns rows of them.
template <class D, class X, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const Product product = product_of(d, w, b, m, d.in, d.out, d.in);
  const uint8_t* from = reinterpret_cast<const uint8_t*>(x);
  uint8_t* to = reinterpret_cast<uint8_t*>(y);
  for (int32_t row = 0; row < d.rows; row += d.columns, from += d.columns * d.in, to += d.columns * d.out) {
    const int32_t rows = min(d.rows - row, d.columns);
    copy_inputs<X>(from, rows * d.in, scratch);
    multiply(product, scratch, rows, to);
  }
}
template <class D, class Y>
KILN_INLINE void qdense(const D& d, const int8_t* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  multiply(product_of(d, w, b, m, d.in, d.out, d.in), reinterpret_cast<const uint8_t*>(x), d.rows, reinterpret_cast<uint8_t*>(y));
}

}  // namespace nn::mve
