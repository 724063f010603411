// SPDX-License-Identifier: 0BSD
// Windows of convolutions of [batch, h, w, c] without borders: if windows reach into the padding, input rows are copied to a ring in the
// scratch memory, between columns of padding, and there is a row that is all padding. A row of outputs then has its taps at the same
// places for all its pixels, and vectors need no tests. Also the depthwise kernels, of bytes and of floats.
#pragma once

#include "sizes.h"
#include "vec.h"

namespace nn::rvv {

template <class X>
KILN_INLINE void copy_elements(X* to, const X* from, int32_t count) {
  const int32_t bytes = count * static_cast<int32_t>(sizeof(X));
  size_t vl;
  for (int32_t i = 0; i < bytes; i += static_cast<int32_t>(vl)) {
    vl = __riscv_vsetvl_e8m8(static_cast<size_t>(bytes - i));
    __riscv_vse8(bytes_of(to) + i, __riscv_vle8_v_i8m8(bytes_of(from) + i, vl), vl);
  }
}
KILN_INLINE void fill_bytes(int8_t* to, int32_t value, int32_t count) {
  size_t vl;
  for (int32_t i = 0; i < count; i += static_cast<int32_t>(vl)) {
    vl = __riscv_vsetvl_e8m8(static_cast<size_t>(count - i));
    __riscv_vse8(to + i, __riscv_vmv_v_x_i8m8(static_cast<int8_t>(value), vl), vl);
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
    copy_elements(ring.memory + ring.next % ring.rows * ring.row + ring.left, image + ring.next * image_row, ring.copied);
}

// What for_each_window_row works with. starts[] says where, from the x that a row gets on, the taps of the row's first pixel begin: one
// entry for each tap of the window, or for each row of taps if `by_rows`. The next pixel's taps are stride_w input pixels further on.
struct Windows {
  int32_t channels;
  bool by_rows;
  int32_t pad_byte;  // of each byte of the padding
  uint8_t* scratch;  // d.ring_bytes bytes, and `starts`

  template <class D>
  KILN_INLINE int32_t* starts(const D& d) const {
    return static_cast<int32_t*>(static_cast<void*>(scratch + d.ring_bytes));
  }
};

// Calls row(x, y) for each output row.
template <class D, class X, class Y, class Row>
KILN_INLINE void for_each_window_row(const D& d, const Windows& windows, const X* x, Y* y, int32_t out_row, const Row& row) {
  const bool padded = needs_padding(d);
  const int32_t channels = windows.channels, width = padded ? reached_columns(d) : d.in_w;
  const int32_t copied = max(0, min(d.in_w, width - d.pad_left)) * channels;
  X* const memory = static_cast<X*>(static_cast<void*>(windows.scratch));
  PaddedRows<X> ring{memory, reached_rows(d), width * channels, copied, d.pad_left * channels, 0};
  if (padded) fill_bytes(bytes_of(memory), windows.pad_byte, (ring.rows + 1) * ring.row * static_cast<int32_t>(sizeof(X)));
  for (int32_t n = 0; n < d.batch; ++n, x += d.in_h * d.in_w * channels) {
    ring.next = 0;
    for (int32_t oy = 0; oy < d.out_h; ++oy, y += out_row) {
      const int32_t top = oy * d.stride_h - d.pad_top;
      if (padded) copy_rows(ring, x, d.in_w * channels, top, min(top + ring.rows, d.in_h));
      int32_t* to = windows.starts(d);
      for (int32_t ky = 0; ky < d.kernel_h; ++ky) {
        const int32_t iy = top + ky * d.dilation_h;
        const int32_t slot = !padded ? iy : iy < 0 || iy >= d.in_h ? ring.rows : iy % ring.rows;
        for (int32_t kx = 0; kx < (windows.by_rows ? 1 : d.kernel_w); ++kx) *to++ = slot * ring.row + kx * d.dilation_w * channels;
      }
      row(padded ? memory : x, y);
    }
  }
}

// Whether the taps of a row of the window are one run of memory.
template <class D>
KILN_INLINE constexpr bool taps_are_a_run(const D& d) {
  return d.dilation_w == 1 || d.kernel_w == 1;
}

// ---- depthwise

// A depthwise layer as its tiles see it. `lanes` channels make a pixel, or several copies of the channels that many neighbouring ones.
template <class W, class B, class Results>
struct WindowLayer {
  int32_t lanes, taps;
  const int32_t* starts;
  const W* w;
  const B* b;
  Results results;
};

// Pixels side by side in memory.
struct Steps {
  int32_t x, y;
};

// Lanes c, c + 1, ... of `pixels` pixels; x + starts[tap] is where a tap's inputs are.
template <int32_t pixels, class G, class Layer, class X, class Y, class Sum, class... Sums>
KILN_INLINE void finish_window(const Layer& layer, const X* x, Y* y, Steps steps, int32_t c, size_t vl, Sum first, Sums... others) {
  if constexpr (sizeof...(Sums) + 1 < pixels) {
    finish_window<pixels, G>(layer, x, y, steps, c, vl, first, first, others...);
  } else {
    const auto* w = layer.w + c;
    const auto add = [&](const X*& at, auto weights, auto& sum) {
      sum = G::add_products(sum, G::widen(at, vl), weights, vl);
      at += steps.x;
    };
    for (int32_t tap = 0; tap < layer.taps; ++tap, w += layer.lanes) {
      const auto weights = G::widen(w, vl);
      const X* at = x + layer.starts[tap] + c;
      add(at, weights, first);
      (add(at, weights, others), ...);
    }
    store_all<G>(layer.results, c, y, steps.y, vl, first, others...);
  }
}

// All lanes of `count` pixels, a multiple of `pixels`.
template <class G, int32_t pixels, class Layer, class X, class Y>
__attribute__((noinline)) void run_windows(const Layer& given, const X* x, Y* y, Steps steps, int32_t count) {
  const Layer layer = given;
  for (; count > 0; count -= pixels, x += pixels * steps.x, y += pixels * steps.y) {
    size_t vl;
    for (int32_t c = 0; c < layer.lanes; c += static_cast<int32_t>(vl)) {
      vl = G::lanes(layer.lanes - c);
      finish_window<pixels, G>(layer, x, y, steps, c, vl, G::sums(layer.b + c, vl));
    }
  }
}

// One row of a depthwise layer, `pixels` at a time. d.together neighbouring pixels are in the lanes at once, where stride_w is 1.
template <class G, int32_t pixels, class D, class Layer, class X, class Y>
KILN_INLINE void run_window_row(const D& d, const Layer& layer, const X* x, Y* y) {
  const Steps steps{d.together * d.stride_w * d.channels, d.together * d.channels};
  const int32_t count = d.out_w / d.together, tiled = count / pixels * pixels;
  if (tiled > 0) run_windows<G, pixels>(layer, x, y, steps, tiled);
  if (tiled < count) run_windows<G, 1>(layer, x + tiled * steps.x, y + tiled * steps.y, steps, count - tiled);
  // Pixels that do not make a group: the last group computes some again.
  const int32_t last = (d.out_w - d.together) * d.channels;
  if (count * d.together < d.out_w) run_windows<G, 1>(layer, x + last, y + last, steps, 1);
}

}  // namespace nn::rvv
