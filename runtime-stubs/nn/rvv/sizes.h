// SPDX-License-Identifier: 0BSD
// Sizes that the kernels and the compiler, which packs weights and plans scratch memory for them, both need.
#pragma once

#include "../base.h"

namespace nn::rvv {

// Pixels of a tile whose sums take so many registers each. The other registers hold weights, of two inputs where compilers load ahead.
KILN_INLINE constexpr int32_t tile_pixels(int32_t registers) { return registers == 8 ? 3 : registers == 4 ? 5 : 12; }
KILN_INLINE constexpr int32_t float_tile_pixels(int32_t registers) { return registers == 8 ? 2 : registers == 4 ? 5 : 12; }
// The same for depthwise layers, whose inputs need registers as well.
KILN_INLINE constexpr int32_t window_pixels(int32_t registers) { return 16 / registers; }
KILN_INLINE constexpr int32_t float_window_pixels(int32_t registers) { return registers == 8 ? 1 : registers == 4 ? 3 : 8; }

// Rows that a window reaches over, and columns that all windows of a row of outputs reach over, padding included.
template <class D>
KILN_INLINE constexpr int32_t reached_rows(const D& d) {
  return (d.kernel_h - 1) * d.dilation_h + 1;
}
template <class D>
KILN_INLINE constexpr int32_t reached_columns(const D& d) {
  return (d.out_w - 1) * d.stride_w + (d.kernel_w - 1) * d.dilation_w + 1;
}

// Whether windows reach into the padding.
template <class D>
KILN_INLINE constexpr bool needs_padding(const D& d) {
  return d.pad_top != 0 || d.pad_left != 0 || (d.out_h - 1) * d.stride_h + reached_rows(d) > d.in_h || reached_columns(d) > d.in_w;
}

// Elements of the ring of padded rows (window.h) and its row of padding.
template <class D>
KILN_INLINE constexpr int32_t ring_elements(const D& d, int32_t channels) {
  return needs_padding(d) ? (reached_rows(d) + 1) * reached_columns(d) * channels : 0;
}

}  // namespace nn::rvv
