// SPDX-License-Identifier: 0BSD
// The input rows under one output row, padding included, as a strip[column][row of taps][channels]: the window of an output
// pixel is one run of memory, and overlaps the next one's. Taps come in the order [kernel_w][kernel_h].
#pragma once

#include "../rows.h"
#include "copy.h"

namespace nn::mve {

// `channels` bytes of each of `columns` columns, which lie `channels` bytes apart in x and `step` in the strip. Bits of `flip` change
// in all of them. 16 channels of all columns, then the next.
inline __attribute__((naked, noinline)) void copy_columns(const uint8_t* /*x*/, uint8_t* /*strip*/, int32_t /*channels*/, int32_t /*columns*/,
                                                         int32_t /*step*/, uint32_t /*flip*/) {
  __asm__ volatile(
      KILN_ASM_STACK(20)
      "push {r4-r7, lr}\n\t"
      "ldrd r4, r5, [sp, #20]\n\t"
      "vdup.8 q1, r5\n\t"
      "lsl r12, r5, #20\n\t"
      "add r12, r12, #16\n\t"  // with as many channels there is nothing to change or to leave out
      "mov r7, r2\n"
      "1:\n\t"
      "vctp.8 r2\n\t"
      "mov r5, r0\n\t"
      "mov r6, r1\n\t"
      "dls lr, r3\n\t"
      "cmp r2, r12\n\t"
      "bge 3f\n"
      "2:\n\t"
      "vpsttt\n\t"
      "vldrbt.u8 q0, [r5]\n\t"
      "veort q0, q0, q1\n\t"
      "vstrbt.8 q0, [r6]\n\t"
      "add r5, r5, r7\n\t"
      "add r6, r6, r4\n\t"
      "le lr, 2b\n\t"
      "b 4f\n"
      "3:\n\t"
      "vldrb.u8 q0, [r5]\n\t"
      "add r5, r5, r7\n\t"
      "vstrb.8 q0, [r6]\n\t"
      "add r6, r6, r4\n\t"
      "le lr, 3b\n"
      "4:\n\t"
      "adds r0, #16\n\t"
      "adds r1, #16\n\t"
      "subs r2, #16\n\t"
      "bgt 1b\n\t"
      "pop {r4-r7, pc}");
}

// The same for columns in the padding.
template <class X>
__attribute__((noinline)) void fill_columns(int32_t x_zero_point, uint8_t* strip, int32_t channels, int32_t columns, int32_t step) {
  for (int32_t i = 0; i < columns; ++i, strip += step) copy_padding<X>(x_zero_point, channels, strip);
}

// The columns are those of all windows, without dilation. Channels take `space` bytes.
template <class X, class D, class Rows>
KILN_INLINE void copy_strip(const D& d, const Rows& rows, Span ky, int32_t channels, int32_t space, uint8_t* strip) {
  const int32_t columns = (d.out_w - 1) * d.stride_w + d.kernel_w, step = d.kernel_h * space;
  const int32_t first = min(d.pad_left, columns), end = max(first, min(d.pad_left + d.in_w, columns));
  for (int32_t tap = 0; tap < d.kernel_h; ++tap, strip += space) {
    if (tap < ky.begin || tap >= ky.end) {
      fill_columns<X>(d.x_zero_point, strip, channels, columns, step);
      continue;
    }
    if (first > 0) fill_columns<X>(d.x_zero_point, strip, channels, first, step);
    if (end > first) copy_columns(rows(tap), strip + first * step, channels, end - first, step, is_unsigned<X> ? 0x80 : 0);
    if (columns > end) fill_columns<X>(d.x_zero_point, strip + end * step, channels, columns - end, step);
  }
}

}  // namespace nn::mve
