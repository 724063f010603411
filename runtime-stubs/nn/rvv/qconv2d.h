// SPDX-License-Identifier: 0BSD
// Integer convolutions of [batch, h, w, c] by RISC-V vectors: general ones as tiles of pixels and output channels (qdense.h), depthwise ones with
// the products of a tap in 32 bits. See window.h for the padding, which makes the scratch memory necessary.
#pragma once

#include "qdense.h"
#include "window.h"

namespace nn::rvv {

// Where `starts` lies in the scratch memory, behind d.ring_bytes bytes of padded rows.
KILN_INLINE int32_t* starts_in(uint8_t* scratch, int32_t ring_bytes) { return static_cast<int32_t*>(static_cast<void*>(scratch + ring_bytes)); }

// w [kernel_h][kernel_w][in_c][out_c]. d.registers: see run_pixels.
template <class D, class X, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const bool by_rows = d.dilation_w == 1 || d.kernel_w == 1;  // the taps of a row are one run of memory
  int32_t* const starts = starts_in(scratch, d.ring_bytes);
  const TileLayer layer{d.out_c, d.kernel_h * (by_rows ? 1 : d.kernel_w), d.in_c * (by_rows ? d.kernel_w : 1), starts, w, b, results_of(d, m)};
  for_each_window_row(d, d.in_c, by_rows, x, bytes_of(y), d.out_w * d.out_c, scratch, starts,
                      [&](const X* from, int8_t* to) { run_pixels<D::registers>(layer, from, d.stride_w * d.in_c, d.out_w, to); });
}

// ---- depthwise

// A depthwise layer as its tiles see it. `lanes` channels make a pixel, or several copies of the channels that many neighbouring ones.
struct DepthwiseLayer {
  int32_t lanes, taps;
  const int32_t* starts;
  const int8_t* w;
  const int32_t* b;
  Results results;
};

// Lanes c, c + 1, ... of `pixels` pixels; x + starts[tap] is where a tap's inputs are.
template <int32_t pixels, class G, class X, class Sum, class... Sums>
KILN_INLINE void finish_window(const DepthwiseLayer& layer, const X* x, int32_t x_step, int32_t c, int8_t* y, int32_t y_step, size_t vl, Sum first, Sums... others) {
  if constexpr (sizeof...(Sums) + 1 < pixels) {
    finish_window<pixels, G>(layer, x, x_step, c, y, y_step, vl, first, first, others...);
  } else {
    const int8_t* w = layer.w + c;
    const auto add = [&](const X*& at, auto weights, auto& sum) {
      sum = __riscv_vwmacc(sum, G::widen(at, vl), weights, vl);
      at += x_step;
    };
    for (int32_t tap = 0; tap < layer.taps; ++tap, w += layer.lanes) {
      const auto weights = G::widen(w, vl);
      const X* at = x + layer.starts[tap] + c;
      add(at, weights, first);
      (add(at, weights, others), ...);
    }
    store_all<G>(layer.results, c, y, y_step, vl, first, others...);
  }
}

// All lanes of `count` pixels, a multiple of `pixels`.
template <int32_t registers, int32_t pixels, class X>
__attribute__((noinline)) void run_windows(const DepthwiseLayer& given, const X* x, int32_t x_step, int32_t count, int8_t* y, int32_t y_step) {
  using G = Group<registers>;
  const DepthwiseLayer layer = given;
  for (; count > 0; count -= pixels, x += pixels * x_step, y += pixels * y_step) {
    size_t vl;
    for (int32_t c = 0; c < layer.lanes; c += static_cast<int32_t>(vl)) {
      vl = G::lanes(layer.lanes - c);
      finish_window<pixels, G>(layer, x, x_step, c, y, y_step, vl, G::sums(layer.b + c, vl));
    }
  }
}

// w [kernel_h][kernel_w][d.together][channels]: d.together copies of the channels, and as many in b and m, serve neighbouring pixels at
// once where stride_w is 1; d.registers of a sum hold them, if possible.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  constexpr int32_t kPixels = window_pixels(D::registers);
  int32_t* const starts = starts_in(scratch, d.ring_bytes);
  const DepthwiseLayer layer{d.channels * d.together, d.kernel_h * d.kernel_w, starts, w, b, results_of(d, m)};
  const int32_t x_step = d.together * d.stride_w * d.channels, y_step = d.together * d.channels;
  const int32_t count = d.out_w / d.together, tiled = count / kPixels * kPixels;
  for_each_window_row(d, d.channels, false, x, bytes_of(y), d.out_w * d.channels, scratch, starts, [&](const X* from, int8_t* to) {
    if (tiled > 0) run_windows<D::registers, kPixels>(layer, from, x_step, tiled, to, y_step);
    if (tiled < count) run_windows<D::registers, 1>(layer, from + tiled * x_step, x_step, count - tiled, to + tiled * y_step, y_step);
    // Pixels that do not make a group: the last group computes some again.
    const int32_t last = d.out_w - d.together;
    if (count * d.together < d.out_w) run_windows<D::registers, 1>(layer, from + last * d.channels, x_step, 1, to + last * d.channels, y_step);
  });
}

}  // namespace nn::rvv
