// SPDX-License-Identifier: 0BSD
// Windows of convolutions of [batch, h, w, c] without borders: if windows reach into the padding, input rows are copied to a ring in the scratch memory,
// between columns of padding, and there is a row that is all padding. A row of outputs then has its taps at the same places
// for all its pixels, and vectors need no tests.
#pragma once

#include "sizes.h"
#include "vec.h"

namespace nn::rvv {

template <class X>
KILN_INLINE void copy_bytes(X* to, const X* from, int32_t count) {
  size_t vl;
  for (int32_t i = 0; i < count; i += static_cast<int32_t>(vl)) {
    vl = __riscv_vsetvl_e8m8(static_cast<size_t>(count - i));
    __riscv_vse8(bytes_of(to + i), __riscv_vle8_v_i8m8(bytes_of(from + i), vl), vl);
  }
}
template <class X>
KILN_INLINE void fill_bytes(X* to, X value, int32_t count) {
  size_t vl;
  for (int32_t i = 0; i < count; i += static_cast<int32_t>(vl)) {
    vl = __riscv_vsetvl_e8m8(static_cast<size_t>(count - i));
    __riscv_vse8(bytes_of(to + i), __riscv_vmv_v_x_i8m8(static_cast<int8_t>(value), vl), vl);
  }
}

// The ring: `rows` rows of `row` elements and one of padding.
template <class X>
struct PaddedRows {
  X* memory;
  int32_t rows, row, copied, left;  // `copied` elements of an input row, behind `left` elements of padding
  int32_t next;                     // the first input row that was not copied yet
};

// Copies what is missing of the input rows [next, end) that a window from row `top` on needs. Out of line: it runs once for each row.
template <class X>
__attribute__((noinline)) void copy_rows(PaddedRows<X>& ring, const X* image, int32_t image_row, int32_t top, int32_t end) {
  ring.next = max(ring.next, top);
  for (; ring.next < end; ++ring.next)
    copy_bytes(ring.memory + ring.next % ring.rows * ring.row + ring.left, image + ring.next * image_row, ring.copied);
}

// Calls row(x, y) for each output row; starts[] then says where, from x on, the taps of the row's first pixel begin: one entry for each tap of
// the window, or for each row of taps if `by_rows`. Other pixels are stride_w pixels apart. The ring and `starts` lie in `scratch`.
template <class D, class X, class Row>
KILN_INLINE void for_each_window_row(const D& d, int32_t channels, bool by_rows, const X* x, int8_t* y, int32_t out_row, uint8_t* scratch, int32_t* starts, const Row& row) {
  const bool padded = needs_padding(d);
  const int32_t width = padded ? reached_columns(d) : d.in_w;
  X* const memory = static_cast<X*>(static_cast<void*>(scratch));
  PaddedRows<X> ring{memory, reached_rows(d), width * channels, max(0, min(d.in_w, width - d.pad_left)) * channels, d.pad_left * channels, 0};
  if (padded) fill_bytes(memory, static_cast<X>(d.x_zero_point), (ring.rows + 1) * ring.row);
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * d.in_w * channels) {
    ring.next = 0;
    for (int32_t oy = 0; oy < d.out_h; ++oy, y += out_row) {
      const int32_t top = oy * d.stride_h - d.pad_top;
      if (padded) copy_rows(ring, x, d.in_w * channels, top, min(top + ring.rows, d.in_h));
      int32_t* to = starts;
      for (int32_t ky = 0; ky < d.kernel_h; ++ky) {
        const int32_t iy = top + ky * d.dilation_h;
        const int32_t slot = !padded ? iy : iy < 0 || iy >= d.in_h ? ring.rows : iy % ring.rows;
        for (int32_t kx = 0; kx < (by_rows ? 1 : d.kernel_w); ++kx) *to++ = slot * ring.row + kx * d.dilation_w * channels;
      }
      row(padded ? memory : x, y);
    }
  }
}

}  // namespace nn::rvv
