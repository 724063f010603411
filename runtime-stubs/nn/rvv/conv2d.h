// SPDX-License-Identifier: 0BSD
// Float dense layers and convolutions of [batch, h, w, c] by RISC-V vectors (zve32f and up). The activation is a second pass, which
// compilers vectorise.
#pragma once

#include "../functors.h"
#include "tile.h"
#include "window.h"

namespace nn::rvv {

#if defined(__riscv_v_elen_fp) && __riscv_v_elen_fp >= 32

template <class Widest>
struct FloatProducts {
  using Largest = Widest;
  template <class Sum>
  static KILN_INLINE Sum add_product(Sum sum, float x, Sum weights, size_t vl) {
    return __riscv_vfmacc(sum, x, weights, vl);
  }
  template <class Sum>
  static KILN_INLINE Sum add_products(Sum sum, Sum x, Sum weights, size_t vl) {
    return __riscv_vfmacc(sum, x, weights, vl);
  }
};

template <int32_t registers>
struct FloatGroup;

template <>
struct FloatGroup<8> : FloatProducts<FloatGroup<8>> {
  static KILN_INLINE size_t lanes(int32_t wanted) { return __riscv_vsetvl_e32m8(static_cast<size_t>(wanted)); }
  static KILN_INLINE vfloat32m8_t sums(const float* p, size_t vl) { return __riscv_vle32_v_f32m8(p, vl); }
  static KILN_INLINE vfloat32m8_t widen(const float* p, size_t vl) { return __riscv_vle32_v_f32m8(p, vl); }
};

template <>
struct FloatGroup<4> : FloatProducts<FloatGroup<8>> {
  static KILN_INLINE size_t lanes(int32_t wanted) { return __riscv_vsetvl_e32m4(static_cast<size_t>(wanted)); }
  static KILN_INLINE vfloat32m4_t sums(const float* p, size_t vl) { return __riscv_vle32_v_f32m4(p, vl); }
  static KILN_INLINE vfloat32m4_t widen(const float* p, size_t vl) { return __riscv_vle32_v_f32m4(p, vl); }
};

template <>
struct FloatGroup<2> : FloatProducts<FloatGroup<8>> {
  static KILN_INLINE size_t lanes(int32_t wanted) { return __riscv_vsetvl_e32m2(static_cast<size_t>(wanted)); }
  static KILN_INLINE vfloat32m2_t sums(const float* p, size_t vl) { return __riscv_vle32_v_f32m2(p, vl); }
  static KILN_INLINE vfloat32m2_t widen(const float* p, size_t vl) { return __riscv_vle32_v_f32m2(p, vl); }
};

// Sums are the results.
struct FloatResults {};

template <class G, class... Sums>
KILN_INLINE void store_all(const FloatResults&, int32_t c, float* y, int32_t step, size_t vl, Sums... sums) {
  y += c;
  ((__riscv_vse32(y, sums, vl), y += step), ...);
}

using FloatTiles = TileLayer<float, float, FloatResults>;

template <class F, class D>
KILN_INLINE void activate(const D& d, float* y, int32_t count) {
  for (int32_t i = 0; i < count; ++i) y[i] = F::apply(d, y[i]);
}

// w [in][out]; d.registers of a sum are 8, 4 or 2.
template <class F, class D>
KILN_INLINE void dense(const D& d, const float* x, const float* w, const float* b, float* y) {
  const int32_t start = 0;
  run_pixels<FloatGroup<D::registers>, float_tile_pixels(D::registers)>(FloatTiles{d.out, 1, d.in, &start, w, b, {}}, x, d.in, d.rows, y);
  activate<F>(d, y, d.rows * d.out);
}

// w [kernel_h][kernel_w][in_c][out_c]. d.registers of a sum are 8, 4 or 2.
template <class F, class D>
KILN_INLINE void conv2d(const D& d, const float* x, const float* w, const float* b, float* y, uint8_t* scratch) {
  const bool by_rows = taps_are_a_run(d);
  const Windows windows{d.in_c, by_rows, 0, scratch};
  const int32_t runs = d.kernel_h * (by_rows ? 1 : d.kernel_w), run = d.in_c * (by_rows ? d.kernel_w : 1);
  const FloatTiles layer{d.out_c, runs, run, windows.starts(d), w, b, {}};
  for_each_window_row(d, windows, x, y, d.out_w * d.out_c, [&](const float* from, float* to) {
    run_pixels<FloatGroup<D::registers>, float_tile_pixels(D::registers)>(layer, from, d.stride_w * d.in_c, d.out_w, to);
    activate<F>(d, to, d.out_w * d.out_c);
  });
}

// w [kernel_h][kernel_w][d.together][channels]: d.together copies of the channels, and as many in b; d.registers of a sum hold them, if
// possible.
template <class F, class D>
KILN_INLINE void depthwise2d(const D& d, const float* x, const float* w, const float* b, float* y, uint8_t* scratch) {
  const Windows windows{d.channels, false, 0, scratch};
  const WindowLayer<float, float, FloatResults> layer{d.channels * d.together, d.kernel_h * d.kernel_w, windows.starts(d), w, b, {}};
  for_each_window_row(d, windows, x, y, d.out_w * d.channels, [&](const float* from, float* to) {
    run_window_row<FloatGroup<D::registers>, float_window_pixels(D::registers)>(d, layer, from, to);
    activate<F>(d, to, d.out_w * d.channels);
  });
}

#endif

}  // namespace nn::rvv
