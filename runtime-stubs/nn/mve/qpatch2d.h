// SPDX-License-Identifier: 0BSD
// Integer depthwise convolutions of [batch, h, w, channels] by 3 x 3 taps with stride 1: a patch of 4 x 4 inputs of a channel, 16
// bytes, holds the windows of 2 x 2 outputs, each of them the sum of 16 products with the weights at another place of the patch. VMLADAV computes it.
//   weights[channel][kernel_w, 4][kernel_h, 4]
// The input rows under two output rows become patches[column][channel][row, 4] first: 4 columns of a channel are a gathering load.
#pragma once

#include "strip.h"

namespace nn::mve {

// Two output rows. Offsets are part of the assembly.
struct PatchRows {
  const uint8_t* x;     // 0: the patches
  const int8_t* w;      // 4
  const int32_t* b;     // 8
  const float* m;       // 12
  uint8_t* y;           // 16
  int32_t m_step;       // 20: bytes from one channel's multiplier to the next one's
  int32_t channels;     // 24
  int32_t pairs;        // 28: of columns
  int32_t odd;          // 32: whether there is one more, to be computed with the one before it
  int32_t x_step;       // 36: bytes from one patch to the next
  int32_t y_step;       // 40
  int32_t top;          // 44: added to a number it saturates one above the upper bound
  int32_t back;         // 48: takes it away and adds the zero point
  int32_t low;          // 52
  int32_t row_bytes;    // 56: from one output row to the next
};

// r1 points to a patch, r3 to its results; r8 and r10 are the channel's bias and multiplier. q1 holds the places of the 4 results, q2
// the lower bound, q3 the places of a patch's columns, q4 to q7 the weights for the 4 windows.
#define KILN_MVE_PATCH              \
  "vldrw.u32 q0, [r1, q3]\n\t"      \
  "vmladav.s8 r0, q0, q4\n\t"       \
  "vmladav.s8 r2, q0, q5\n\t"       \
  "vmladav.s8 r4, q0, q6\n\t"       \
  "vmladav.s8 r6, q0, q7\n\t"       \
  "vmov q0[2], q0[0], r0, r2\n\t"   \
  "vmov q0[3], q0[1], r4, r6\n\t"   \
  "vadd.i32 q0, q0, r8\n\t"         \
  "vcvt.f32.s32 q0, q0\n\t"         \
  "vmul.f32 q0, q0, r10\n\t"        \
  "vcvtn.s32.f32 q0, q0\n\t"        \
  "vqadd.s32 q0, q0, r9\n\t"        \
  "vqadd.s32 q0, q0, r11\n\t"       \
  "vmax.s32 q0, q0, q2\n\t"         \
  "vstrb.32 q0, [r3, q1]\n\t"
inline __attribute__((naked, noinline)) void loop_patches(PatchRows*) {
  __asm__ volatile(
      KILN_ASM_STACK(100)
      "push {r4-r11, lr}\n\t"
      "vpush {d8-d15}\n\t"
      "mov r12, r0\n\t"
      "ldrd r5, r7, [r12, #36]\n\t"
      "ldrd r9, r11, [r12, #44]\n\t"
      "ldrd r0, r1, [r12, #52]\n\t"
      "vdup.32 q2, r0\n\t"
      "mov r0, #0\n\t"
      "lsr r2, r7, #1\n\t"
      "add r3, r1, r2\n\t"
      "vmov q1[2], q1[0], r0, r1\n\t"
      "vmov q1[3], q1[1], r2, r3\n\t"
      "lsr r2, r5, #1\n\t"
      "add r3, r5, r2\n\t"
      "vmov q3[2], q3[0], r0, r5\n\t"
      "vmov q3[3], q3[1], r2, r3\n"
      "1:\n\t"
      "ldr r1, [r12]\n\t"
      "add r0, r1, #4\n\t"
      "ldr r3, [r12, #16]\n\t"
      "add r2, r3, #1\n\t"
      "str r0, [r12]\n\t"
      "str r2, [r12, #16]\n\t"
      "ldrd r0, r2, [r12, #4]\n\t"
      "vldrb.u8 q4, [r0], #16\n\t"
      "ldr r8, [r2], #4\n\t"
      "strd r0, r2, [r12, #4]\n\t"
      "ldr r0, [r12, #12]\n\t"
      "ldr r2, [r12, #20]\n\t"
      "ldr r10, [r0]\n\t"
      "add r0, r0, r2\n\t"
      "str r0, [r12, #12]\n\t"
      "vmov q6, q4\n\t"
      "mov r0, #0\n\t"
      "vshl.i32 q5, q4, #8\n\t"
      "vshlc q6, r0, #32\n\t"
      "vshl.i32 q7, q6, #8\n\t"
      "ldr lr, [r12, #28]\n"
      "2:\n\t" KILN_MVE_PATCH
      "add r1, r1, r5\n\t"
      "add r3, r3, r7\n\t"
      "le lr, 2b\n\t"
      "ldr r0, [r12, #32]\n\t"
      "cbz r0, 3f\n\t"
      "sub r1, r1, r5, lsr #1\n\t"
      "sub r3, r3, r7, lsr #1\n\t" KILN_MVE_PATCH
      "3:\n\t"
      "ldr r0, [r12, #24]\n\t"
      "subs r0, r0, #1\n\t"
      "str r0, [r12, #24]\n\t"
      "bne 1b\n\t"
      "vpop {d8-d15}\n\t"
      "pop {r4-r11, pc}");
}
#undef KILN_MVE_PATCH

// `count` bytes of 4 rows, a word of 4 bytes each; writes multiples of 64 bytes. Rows advance by 16 bytes, or by none where all
// bytes are the same.
struct RowStart {
  const uint8_t* at;
  int32_t step;
};
template <class X>
__attribute__((noinline)) void interleave_rows(RowStart (&rows)[4], int32_t count, uint8_t* to) {
  for (; count > 0; count -= 16, to += 64) {
    const mve_pred16_t some = vctp8q(static_cast<uint32_t>(count));
    uint8x16x4_t bytes;
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; ++i) {
      bytes.val[i] = as_signed<X>(vldrbq_z_u8(rows[i].at, some));
      rows[i].at += rows[i].step;
    }
    vst4q_u8(to, bytes);
  }
}

// The patches of the output rows oy and oy + 1.
template <class X, class D>
KILN_INLINE void copy_patches(const D& d, const uint8_t* image, int32_t oy, uint8_t* to) {
  const int32_t columns = d.out_w + 2, inside = min(d.in_w, columns - d.pad_left), words = d.channels;
  uint8_t padding[16];
  vstrbq_u8(padding, vdupq_n_u8(static_cast<uint8_t>(d.x_zero_point)));
  RowStart rows[4];
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t iy = oy - d.pad_top + i;
    rows[i] = iy >= 0 && iy < d.in_h ? RowStart{image + iy * d.in_w * d.channels, 16} : RowStart{padding, 0};
  }
  const int32_t left = d.pad_left * 4 * words, right = (columns - d.pad_left - inside) * 4 * words;
  if (left > 0) fill_columns<X>(d.x_zero_point, to, left, 1, 0);
  interleave_rows<X>(rows, inside * words, to + left);
  if (right > 0) fill_columns<X>(d.x_zero_point, to + left + inside * 4 * words, right, 1, 0);
}

// scratch: 4 bytes for each of out_w + 2 columns of channels, and 64 more. At least 2 output rows and 2 columns.
template <class D, class X, class Y>
KILN_INLINE void qdepthwise2d_patches(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  const uint8_t* image = reinterpret_cast<const uint8_t*>(x);
  uint8_t* results = reinterpret_cast<uint8_t*>(y);
  const int32_t row_bytes = d.out_w * d.channels, top = 0x7fffffff - (d.high - d.y_zero_point);
  for (int32_t n = 0; n < d.batch; ++n, image += d.in_h * d.in_w * d.channels, results += d.out_h * row_bytes) {
    for (int32_t row = 0; row < d.out_h; row += 2) {
      const int32_t oy = min(row, d.out_h - 2);  // an odd last row is computed with the one before it
      copy_patches<X>(d, image, oy, scratch);
      PatchRows rows{scratch, w, b, m, results + oy * row_bytes, d.multiplier_stride * 4, d.channels, d.out_w / 2, d.out_w % 2, 8 * d.channels,
                     2 * d.channels, top, d.y_zero_point - top, d.low, row_bytes};
      loop_patches(&rows);
    }
  }
}

}  // namespace nn::mve
