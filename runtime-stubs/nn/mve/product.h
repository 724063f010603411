// SPDX-License-Identifier: 0BSD
// Products of byte matrices by VMLADAV, which multiplies 16 pairs of bytes and adds them all up in a general register: 16 inputs of a pixel
// with 16 weights of a channel. Dense layers, pointwise and general convolutions are made of them.
//   weights[4 channels][chunk of 16 inputs][channel][16]: the first chunk has the inputs that 16 does not divide, at its end, behind zeros.
// Requantization takes vectors of 4 sums and its steps are those of ../requant.h: VCVT and VCVTN round to nearest, ties to even.
#pragma once

#include "../requant.h"

namespace nn::mve {

// One call of the loops below, which change some of it. Offsets are part of the assembly.
struct Tile {
  int32_t y_step;      // 0: bytes from one pixel's results to the next one's
  int32_t zero_point;  // 4
  uint8_t* y_end;      // 8: behind the last pixel's results, of the first channels
  int32_t x_gap;       // 12: x_step - 16 * chunks
  int32_t x_step;      // 16: bytes from one pixel to the next
  const int8_t* w;     // 20
  int32_t turns;       // 24: of the loop over chunks, 4 chunks each, without the first chunk
  uint32_t entry;      // 28: where the first turn starts, in bytes behind the loop's start
  const uint8_t* x;    // 32: the first chunk of the first pixel; may begin before the tensor does
  uint8_t* y;          // 36
  const int32_t* b;    // 40
  const float* m;      // 44
  int32_t m_step;      // 48: bytes from these channels' multipliers to the next ones'
  int32_t groups;      // 52: of 4 channels; loop_channels: of 8
  int32_t low, high;   // 56, 60
  uint32_t mask;       // 64: the bytes of the first chunk that are inputs
  int32_t group_bytes; // 68: of 4 channels' weights
};

// Both loops hold 8 sums in the even general registers, as many as VMLADAV can name: r0 r2 r4 r6 r8 r10 r12 lr. r1, r3 and r5 point to
// inputs and weights, r11 counts, r9 points to the Tile, r7 to results. q4 and q5 are the bounds as 16-bit numbers. Loads and products alternate, as
// the core then works on both at a time.

// 16 inputs (r1, r3) of 2 pixels and 16 weights (r5) of 4 channels; the sums of a pixel are those of the registers r0 r4 r8 r12.
#define KILN_MVE_PAIR_PRODUCTS(mla)     \
  mla ".s8 r0, q0, q2\n\t"              \
  "vldrb.u8 q3, [r5], #16\n\t"          \
  mla ".s8 r2, q1, q2\n\t"              \
  "vldrb.u8 q2, [r5], #16\n\t"          \
  mla ".s8 r4, q0, q3\n\t"              \
  mla ".s8 r6, q1, q3\n\t"              \
  "vldrb.u8 q3, [r5], #16\n\t"          \
  mla ".s8 r8, q0, q2\n\t"              \
  mla ".s8 r10, q1, q2\n\t"             \
  mla ".s8 r12, q0, q3\n\t"             \
  mla ".s8 lr, q1, q3\n\t"
#define KILN_MVE_PAIR_CHUNK             \
  "vldrb.u8 q0, [r1], #16\n\t"          \
  "vldrb.u8 q2, [r5], #16\n\t"          \
  "vldrb.u8 q1, [r3], #16\n\t" KILN_MVE_PAIR_PRODUCTS("vmladava")
// 16 inputs (r1) of a pixel and 16 weights of 4 + 4 channels (r3, r5): channels in the order of the registers.
#define KILN_MVE_ROW_PRODUCTS           \
  "vldrb.u8 q1, [r3], #16\n\t"          \
  "vmladava.s8 r0, q0, q1\n\t"          \
  "vldrb.u8 q2, [r3], #16\n\t"          \
  "vmladava.s8 r2, q0, q2\n\t"          \
  "vldrb.u8 q1, [r3], #16\n\t"          \
  "vmladava.s8 r4, q0, q1\n\t"          \
  "vldrb.u8 q2, [r3], #16\n\t"          \
  "vmladava.s8 r6, q0, q2\n\t"          \
  "vldrb.u8 q1, [r5], #16\n\t"          \
  "vmladava.s8 r8, q0, q1\n\t"          \
  "vldrb.u8 q2, [r5], #16\n\t"          \
  "vmladava.s8 r10, q0, q2\n\t"         \
  "vldrb.u8 q1, [r5], #16\n\t"          \
  "vmladava.s8 r12, q0, q1\n\t"         \
  "vldrb.u8 q2, [r5], #16\n\t"          \
  "vmladava.s8 lr, q0, q2\n\t"
#define KILN_MVE_ROW_CHUNK              \
  "vldrb.u8 q0, [r1], #16\n\t" KILN_MVE_ROW_PRODUCTS
// Registers, bounds, the predicate of the first chunk and the address of the first turn.
#define KILN_MVE_BEGIN                  \
  KILN_ASM_STACK(100)                   \
  "push {r4-r11, lr}\n\t"               \
  "vpush {d8-d15}\n\t"                  \
  "mov r9, r0\n\t"                      \
  "ldrd r0, r1, [r9, #56]\n\t"          \
  "vdup.16 q4, r0\n\t"                  \
  "vdup.16 q5, r1\n\t"                  \
  "ldr r0, [r9, #64]\n\t"               \
  "vmsr p0, r0\n\t"                     \
  "ldr r1, [r9, #28]\n\t"               \
  "adr.w r0, 3f\n\t"                    \
  "add r0, r0, r1\n\t"                  \
  "orr r0, r0, #1\n\t"                  \
  "str r0, [r9, #28]\n\t"               \
  "ldr r7, [r9, #36]\n\t"
// The loop over chunks behind the first, which is left for 4.
#define KILN_MVE_TURNS(chunk)           \
  "ldr.w pc, [r9, #28]\n\t"             \
  ".balign 4\n"                         \
  "3:\n\t" chunk chunk chunk chunk      \
  "subs.w r11, r11, #1\n\t"               \
  "bne.w 3b\n"
// Sums as vectors, in floats times q6 and q7, and back.
#define KILN_MVE_SUMS                   \
  "vmov q0[2], q0[0], r0, r8\n\t"       \
  "vmov q0[3], q0[1], r4, r12\n\t"      \
  "vmov q1[2], q1[0], r2, r10\n\t"      \
  "vmov q1[3], q1[1], r6, lr\n\t"
#define KILN_MVE_REQUANTIZE(m0, m1)     \
  "vcvt.f32.s32 q0, q0\n\t"             \
  "vcvt.f32.s32 q1, q1\n\t"             \
  "vmul.f32 q0, q0, " m0 "\n\t"         \
  "vmul.f32 q1, q1, " m1 "\n\t"         \
  "vcvtn.s32.f32 q0, q0\n\t"            \
  "vcvtn.s32.f32 q1, q1\n\t"            \
  "vqmovnb.s32 q0, q0\n\t"              \
  "vqmovnt.s32 q0, q1\n\t"              \
  "vqadd.s16 q0, q0, r2\n\t"            \
  "vmax.s16 q0, q0, q4\n\t"             \
  "vmin.s16 q0, q0, q5\n\t"
#define KILN_MVE_END                    \
  "vpop {d8-d15}\n\t"                   \
  "pop {r4-r11, pc}"

// Pairs of pixels, 4 channels at a time. All pixels for the first 4 channels, then for the next.
inline __attribute__((naked, noinline)) void loop_pairs(Tile*) {
  __asm__ volatile(KILN_MVE_BEGIN
      "1:\n\t"
      "ldr r1, [r9, #32]\n\t"
      "ldr r0, [r9, #16]\n\t"
      "add r3, r1, r0\n\t"
      "ldrd r0, r2, [r9, #40]\n\t"
      "vldrw.u32 q6, [r0], #16\n\t"
      "vldrw.u32 q7, [r2]\n\t"
      "ldr r4, [r9, #48]\n\t"
      "add r2, r2, r4\n\t"
      "strd r0, r2, [r9, #40]\n"
      "2:\n\t"
      "ldrd r5, r11, [r9, #20]\n\t"
      "vpstt\n\t"
      "vldrbt.u8 q0, [r1], #16\n\t"
      "vldrbt.u8 q1, [r3], #16\n\t"
      "vldrb.u8 q2, [r5], #16\n\t" KILN_MVE_PAIR_PRODUCTS("vmladav") KILN_MVE_TURNS(KILN_MVE_PAIR_CHUNK) KILN_MVE_SUMS
      "vadd.i32 q0, q0, q6\n\t"
      "vadd.i32 q1, q1, q6\n\t"
      "ldm.w r9, {r0, r2, r4, r6, r8}\n\t" KILN_MVE_REQUANTIZE("q7", "q7")
      "vstrb.32 q0, [r7]\n\t"
      "add r7, r7, r0\n\t"
      "vshr.u32 q0, q0, #16\n\t"
      "add r1, r3, r6\n\t"
      "vstrb.32 q0, [r7]\n\t"
      "add r7, r7, r0\n\t"
      "add r3, r1, r8\n\t"
      "cmp r7, r4\n\t"
      "bne 2b\n\t"
      "str r5, [r9, #20]\n\t"
      "ldr r7, [r9, #36]\n\t"
      "add r7, r7, #4\n\t"
      "str r7, [r9, #36]\n\t"
      "add r4, r4, #4\n\t"
      "str r4, [r9, #8]\n\t"
      "ldr r0, [r9, #52]\n\t"
      "subs r0, r0, #1\n\t"
      "str r0, [r9, #52]\n\t"
      "bne 1b\n\t" KILN_MVE_END);
}

// One pixel, 8 channels at a time.
inline __attribute__((naked, noinline)) void loop_channels(Tile*) {
  __asm__ volatile(KILN_MVE_BEGIN
      "ldr r5, [r9, #20]\n"
      "1:\n\t"
      "ldr r3, [r9, #40]\n\t"
      "ldr r1, [r9, #68]\n\t"
      "ldm.w r3!, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"
      "str r3, [r9, #40]\n\t"
      "mov r3, r5\n\t"
      "add r5, r5, r1\n\t"
      "ldr r1, [r9, #32]\n\t"
      "ldr r11, [r9, #24]\n\t"
      "vpst\n\t"
      "vldrbt.u8 q0, [r1], #16\n\t" KILN_MVE_ROW_PRODUCTS KILN_MVE_TURNS(KILN_MVE_ROW_CHUNK) KILN_MVE_SUMS
      "ldrd r0, r4, [r9, #44]\n\t"
      "vld20.32 {q6, q7}, [r0]\n\t"
      "vld21.32 {q6, q7}, [r0]\n\t"
      "add r0, r0, r4\n\t"
      "str r0, [r9, #44]\n\t"
      "ldr r2, [r9, #4]\n\t" KILN_MVE_REQUANTIZE("q6", "q7")
      "vstrb.16 q0, [r7], #8\n\t"
      "ldr r0, [r9, #52]\n\t"
      "subs r0, r0, #1\n\t"
      "str r0, [r9, #52]\n\t"
      "bne 1b\n\t" KILN_MVE_END);
}
#undef KILN_MVE_END
#undef KILN_MVE_REQUANTIZE
#undef KILN_MVE_SUMS
#undef KILN_MVE_TURNS
#undef KILN_MVE_BEGIN
#undef KILN_MVE_ROW_CHUNK
#undef KILN_MVE_ROW_PRODUCTS
#undef KILN_MVE_PAIR_CHUNK
#undef KILN_MVE_PAIR_PRODUCTS

// A layer as a product of matrices, and its output.
struct Product {
  const int8_t* w;
  const int32_t* b;  // as many as there are channels, rounded up to 4
  const float* m;    // so are these, or 8 equal ones
  int32_t inputs, channels, x_step, m_step, zero_point, low, high;
};

template <class D>
KILN_INLINE Product product_of(const D& d, const int8_t* w, const int32_t* b, const float* m, int32_t inputs, int32_t channels,
                               int32_t x_step) {
  return {w, b, m, inputs, channels, x_step, d.multiplier_stride != 0 ? 16 : 0, d.y_zero_point, d.low, d.high};
}

// `groups` groups of 4 channels from group `first` on, of pixels that lie x_step bytes apart, to results that lie y_step bytes apart.
KILN_INLINE Tile tile_of(const Product& p, const uint8_t* x, int32_t x_step, int32_t first, int32_t groups, uint8_t* y, int32_t y_step,
                         int32_t pixels) {
  const int32_t rest = (p.inputs - 1) / 16, zeros = 16 * rest + 16 - p.inputs, bytes = 64 * (rest + 1);
  Tile tile;
  tile.y_step = y_step;
  tile.zero_point = p.zero_point;
  tile.y_end = y + pixels * y_step;
  tile.x_gap = x_step - bytes / 4;
  tile.x_step = x_step;
  tile.w = p.w + first * bytes;
  tile.turns = (rest + 3) / 4;
  tile.entry = 0;
  tile.x = x - zeros;
  tile.y = y;
  tile.b = p.b + 4 * first;
  tile.m = p.m + first * (p.m_step / 4);
  tile.m_step = p.m_step;
  tile.groups = groups;
  tile.low = p.low;
  tile.high = p.high;
  tile.mask = 0xffffu << zeros;
  tile.group_bytes = bytes;
  return tile;
}

// Where the first of `rest` chunks starts in a loop over 4 of them, which take `bytes` each: behind the loop if there are none.
KILN_INLINE uint32_t entry_of(int32_t inputs, uint32_t bytes) {
  const uint32_t rest = static_cast<uint32_t>(inputs - 1) / 16;
  return rest == 0 ? 4 * bytes + 8 : (0u - rest) % 4 * bytes;
}

KILN_INLINE void multiply_pairs(Tile& tile, const Product& p, const uint8_t* x, int32_t x_step, int32_t first, int32_t groups, uint8_t* y,
                                int32_t y_step, int32_t pixels) {
  tile = tile_of(p, x, x_step, first, groups, y, y_step, pixels);
  tile.entry = entry_of(p.inputs, 56);
  loop_pairs(&tile);
}

// `channels` of 4 channels for any number of pixels, through a buffer, as the loop stores all 4 of them and of two pixels.
inline __attribute__((noinline)) void multiply_rest(Tile& tile, const Product& p, const uint8_t* x, int32_t first, int32_t channels, uint8_t* y,
                                                   int32_t pixels) {
  uint8_t results[8];
  for (int32_t i = 0; i < pixels; i += 2, x += 2 * p.x_step) {
    const bool two = i + 1 < pixels;
    multiply_pairs(tile, p, x, two ? p.x_step : 0, first, 1, results, 4, 2);
    for (int32_t c = 0; c < channels; ++c, ++y) {
      y[0] = results[c];
      if (two) y[p.channels] = results[4 + c];
    }
    y += 2 * p.channels - channels;
  }
}

// y[pixels][channels]
inline __attribute__((noinline)) void multiply(const Product& p, const uint8_t* x, int32_t pixels, uint8_t* y) {
  Tile tile;  // one for all calls: the stack is small
  const int32_t groups = p.channels / 4, paired = pixels / 2 * 2;
  if (paired > 0 && groups > 0) multiply_pairs(tile, p, x, p.x_step, 0, groups, y, p.channels, paired);
  if (paired < pixels) {
    const uint8_t* x_last = x + paired * p.x_step;
    uint8_t* y_last = y + paired * p.channels;
    if (groups >= 2) {
      tile = tile_of(p, x_last, 0, 0, groups / 2, y_last, 0, 1);
      tile.entry = entry_of(p.inputs, 68);
      tile.m_step = 2 * p.m_step;
      loop_channels(&tile);
    }
    if (groups % 2 != 0) multiply_rest(tile, p, x_last, groups - 1, 4, y_last + 4 * (groups - 1), 1);
  }
  if (p.channels % 4 != 0) multiply_rest(tile, p, x, groups, p.channels % 4, y + 4 * groups, pixels);
}

}  // namespace nn::mve
