// SPDX-License-Identifier: 0BSD
// Integer depthwise convolutions of [batch, h, w, channels] by MVE, 16 channels at a time: VMULLB and VMULLT multiply the even and the
// odd ones of 16 bytes, products of two taps are added in 16 bits, and their sums in 32.
//   weights[16 channels][tap][16], taps in the order of strip.h; blocks overlap where 16 does not divide the channels, and are filled
//   up with zeros where there are fewer
//   bias, multipliers[16 channels][part][4]: part 0 has the channels 0 4 8 12, part 1 those behind 2, part 2 behind 1, part 3 behind 3
#pragma once

#include "strip.h"
#include "../requant.h"

namespace nn::mve {

// The pixels of a row, 16 channels of each. Offsets are part of the assembly.
struct ChannelBlock {
  const uint8_t* x;    // 0: the first window
  int32_t x_step;      // 4: bytes from one window to the next
  int32_t tap_step;    // 8: bytes from one tap to the next
  const int8_t* w;     // 12
  const int32_t* b;    // 16
  const float* m;      // 20
  uint8_t* y;          // 24
  int32_t zero_point;  // 28
  int32_t low, high;   // 32, 36
  int32_t taps;        // 40
  int32_t y_step;      // 44: bytes from one pixel's results to the next one's
  uint8_t* y_end;      // 48
  uint32_t mask;       // 52: the channels that are stored
};

// Sums of 32 bits are q0 to q3, the parts above; q4 inputs, q5 weights, q6 and q7 the sums of 16 bits of the even and the odd channels.
// Adding their upper halves is one instruction: VQDMLAH adds (2 * a * 2^15) / 2^32.
#define KILN_MVE_FIRST_TAP          \
  "vldrb.u8 q4, [r1]\n\t"           \
  "vldrb.u8 q5, [r3], #16\n\t"      \
  "add r1, r1, r2\n\t"              \
  "vmullb.s8 q6, q4, q5\n\t"        \
  "vmullt.s8 q7, q4, q5\n\t"
#define KILN_MVE_SECOND_TAP         \
  "vldrb.u8 q4, [r1]\n\t"           \
  "vldrb.u8 q5, [r3], #16\n\t"      \
  "vmullb.s8 q4, q4, q5\n\t"        \
  "vadd.i16 q6, q6, q4\n\t"         \
  "vldrb.u8 q4, [r1]\n\t"           \
  "add r1, r1, r2\n\t"              \
  "vmullt.s8 q4, q4, q5\n\t"        \
  "vadd.i16 q7, q7, q4\n\t"
#define KILN_MVE_WIDEN              \
  "vmovlb.s16 q4, q6\n\t"           \
  "vqdmlah.s32 q1, q6, r12\n\t"     \
  "vadd.i32 q0, q0, q4\n\t"         \
  "vmovlb.s16 q4, q7\n\t"           \
  "vqdmlah.s32 q3, q7, r12\n\t"     \
  "vadd.i32 q2, q2, q4\n\t"
inline __attribute__((naked, noinline)) void loop_pixels(const ChannelBlock*) {
  __asm__ volatile(
      KILN_ASM_STACK(104)
      "push {r0, r4-r11, lr}\n\t"
      "vpush {d8-d15}\n\t"
      "mov r1, r0\n\t"
      "ldr r0, [r1, #52]\n\t"
      "vmsr p0, r0\n\t"
      "ldr r0, [r1]\n\t"
      "ldrd r6, r2, [r1, #4]\n\t"
      "ldrd r7, r4, [r1, #12]\n\t"
      "ldrd r5, r11, [r1, #20]\n\t"
      "ldrd r8, r9, [r1, #28]\n\t"
      "ldr r10, [r1, #36]\n\t"
      "mov r12, #0x8000\n"
      "1:\n\t"
      "mov r1, r0\n\t"
      "add r0, r0, r6\n\t"
      "mov r3, r7\n\t"
      "ldr lr, [sp, #64]\n\t"
      "vldrw.u32 q0, [r4]\n\t"
      "ldr lr, [lr, #40]\n\t"
      "vldrw.u32 q1, [r4, #16]\n\t"
      "lsrs lr, lr, #1\n\t"
      "vldrw.u32 q2, [r4, #32]\n\t"
      "vldrw.u32 q3, [r4, #48]\n\t"
      "bcc 2f\n\t" KILN_MVE_FIRST_TAP KILN_MVE_WIDEN
      "2:\n\t"
      "wls lr, lr, 4f\n"
      "3:\n\t" KILN_MVE_FIRST_TAP KILN_MVE_SECOND_TAP KILN_MVE_WIDEN
      "le lr, 3b\n"
      "4:\n\t"
      "vcvt.f32.s32 q0, q0\n\t"
      "vldrw.u32 q4, [r5]\n\t"
      "vcvt.f32.s32 q1, q1\n\t"
      "vldrw.u32 q5, [r5, #16]\n\t"
      "vcvt.f32.s32 q2, q2\n\t"
      "vldrw.u32 q6, [r5, #32]\n\t"
      "vcvt.f32.s32 q3, q3\n\t"
      "vldrw.u32 q7, [r5, #48]\n\t"
      "vmul.f32 q0, q0, q4\n\t"
      "vdup.16 q4, r9\n\t"
      "vmul.f32 q1, q1, q5\n\t"
      "vdup.16 q5, r10\n\t"
      "vmul.f32 q2, q2, q6\n\t"
      "vmul.f32 q3, q3, q7\n\t"
      "vcvtn.s32.f32 q0, q0\n\t"
      "vcvtn.s32.f32 q1, q1\n\t"
      "vcvtn.s32.f32 q2, q2\n\t"
      "vcvtn.s32.f32 q3, q3\n\t"
      "vqmovnb.s32 q0, q0\n\t"
      "vqmovnt.s32 q0, q1\n\t"
      "vqmovnb.s32 q2, q2\n\t"
      "vqmovnt.s32 q2, q3\n\t"
      "vqadd.s16 q0, q0, r8\n\t"
      "vqadd.s16 q2, q2, r8\n\t"
      "vmax.s16 q0, q0, q4\n\t"
      "vmax.s16 q2, q2, q4\n\t"
      "vmin.s16 q0, q0, q5\n\t"
      "vmin.s16 q2, q2, q5\n\t"
      "ldr r1, [sp, #64]\n\t"
      "vmovnt.i16 q0, q2\n\t"
      "ldrd r1, r3, [r1, #44]\n\t"
      "vpst\n\t"
      "vstrbt.8 q0, [r11]\n\t"
      "add r11, r11, r1\n\t"
      "cmp r11, r3\n\t"
      "bne 1b\n\t"
      "vpop {d8-d15}\n\t"
      "pop {r0, r4-r11, pc}");
}
#undef KILN_MVE_WIDEN
#undef KILN_MVE_SECOND_TAP
#undef KILN_MVE_FIRST_TAP

// scratch: a strip, whose channels take at least 16 bytes. No weight is -128 in a pair of taps that also has another -128.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const int32_t space = max(d.channels, int32_t{16}), taps = d.kernel_h * d.kernel_w;
  for_each_row(d, reinterpret_cast<const uint8_t*>(x), d.in_w * d.channels, reinterpret_cast<uint8_t*>(y), d.out_w * d.channels,
               [&](const auto& rows, int32_t, Span ky, uint8_t* y_row) {
                 copy_strip<X>(d, rows, ky, d.channels, space, scratch);
                 ChannelBlock block{scratch, d.stride_w * d.kernel_h * space, space, w, b, m, y_row, d.y_zero_point, d.low, d.high,
                                    taps, d.channels, nullptr, 0xffff};
                 if (d.channels < 16) block.mask = (1u << d.channels) - 1;
                 for (int32_t i = 0; i < d.channels; i += 16) {
                   const int32_t c = max(min(i, d.channels - 16), int32_t{0});
                   block.x = scratch + c;
                   block.y = y_row + c;
                   block.y_end = block.y + d.out_w * d.channels;
                   loop_pixels(&block);
                   block.w += 16 * taps;
                   block.b += 16;
                   block.m += d.multiplier_stride != 0 ? 16 : 0;
                 }
               });
}

}  // namespace nn::mve
