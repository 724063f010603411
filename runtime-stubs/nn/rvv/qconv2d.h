// SPDX-License-Identifier: 0BSD
// Integer convolutions of [batch, h, w, c] by RISC-V vectors; tile.h has general ones, window.h depthwise ones and the padding, for which
// there is the scratch memory.
#pragma once

#include "qdense.h"
#include "window.h"

namespace nn::rvv {

// w [kernel_h][kernel_w][in_c][out_c]. d.registers of a sum are 8, 4 or 2.
template <class D, class X, class Y>
KILN_INLINE void qconv2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const bool by_rows = taps_are_a_run(d);
  const Windows windows{d.in_c, by_rows, d.x_zero_point, scratch};
  const int32_t runs = d.kernel_h * (by_rows ? 1 : d.kernel_w), run = d.in_c * (by_rows ? d.kernel_w : 1);
  const ByteTiles layer{d.out_c, runs, run, windows.starts(d), w, b, results_of(d, m)};
  for_each_window_row(d, windows, x, bytes_of(y), d.out_w * d.out_c, [&](const X* from, int8_t* to) {
    run_pixels<Group<D::registers>, tile_pixels(D::registers)>(layer, from, d.stride_w * d.in_c, d.out_w, to);
  });
}

// w [kernel_h][kernel_w][d.together][channels]: d.together copies of the channels, and as many in b and m; d.registers of a sum hold them,
// if possible.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const Windows windows{d.channels, false, d.x_zero_point, scratch};
  const WindowLayer<int8_t, int32_t, Results> layer{d.channels * d.together, d.kernel_h * d.kernel_w, windows.starts(d), w, b,
                                                    results_of(d, m)};
  for_each_window_row(d, windows, x, bytes_of(y), d.out_w * d.channels, [&](const X* from, int8_t* to) {
    run_window_row<Group<D::registers>, window_pixels(D::registers)>(d, layer, from, to);
  });
}

}  // namespace nn::rvv
