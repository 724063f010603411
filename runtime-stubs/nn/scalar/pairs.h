// SPDX-License-Identifier: 0BSD
// Sums of products two at a time on cores without SIMD. A word of a column holds one input of two output pixels, first + second * 2^16, so that
// one product with a weight is two products, and one sum two sums, as long as the first stays below 16 bits. Weights are known: the
// compiler cuts the inputs of a channel into groups for which it does, whatever the inputs are. At the end of a group the upper half is added to
// a sum of its own; the whole word is added to another one, from which the first sum follows at the very end, modulo 2^32.
//   column[input]: two words, of pixels 0 and 1, 2 and 3; values as signed bytes
//   weights[block of D::block channels]: groups, each {a weight per channel, jump, step if block is 2, weights of its further inputs}, then
//     {0, D::exit, number of groups in 16 bits}, or {0, 0, D::exit, 0} if block is 2. jump: D::unit for each input that the group has fewer than
//     D::most; step: 2 for each input.
// jump and exit are distances in the assembler code, which has the products of D::most inputs in a row and enters where as many are left.
#pragma once

#include "line.h"

namespace nn::scalar {

inline constexpr int32_t kPixels = 4;

// A word of a column.
KILN_INLINE uint32_t pair_of(int32_t first, int32_t second) { return static_cast<uint32_t>(first) + (static_cast<uint32_t>(second) << 16); }

// An input as a signed byte; the compiler's offsets take back the 128.
KILN_INLINE int32_t centred(int8_t x) { return x; }
KILN_INLINE int32_t centred(uint8_t x) { return x - 128; }

// Appends `count` inputs of 4 pixels to a column.
template <class X>
KILN_INLINE uint32_t* widen(const X* const (&x)[kPixels], int32_t count, uint32_t* column) {
  const X *a = x[0], *b = x[1], *c = x[2], *d = x[3];
#pragma GCC unroll 2
  for (int32_t i = 0; i < count; ++i, column += 2) {
    column[0] = pair_of(centred(*a++), centred(*b++));
    column[1] = pair_of(centred(*c++), centred(*d++));
  }
  return column;
}

// The sums of one block: sum[channel * 4 + pixel].
template <int32_t block, int32_t most, int32_t unit>
KILN_INLINE const int8_t* add_block(const uint32_t* column, const int8_t* w, int32_t* sum) {
  uint32_t whole[block * 2] = {}, upper[block * 2] = {};
  for (;;) {
    const int32_t missing = static_cast<uint8_t>(w[block]) / unit;
    if (missing >= most) break;
    uint32_t group[block * 2];
    for (uint32_t& g : group) g = 0x8000u;
    const int8_t* weights = w;
    w += block == 2 ? 4 : 2;
    for (int32_t i = missing; i < most; ++i, column += 2) {
      for (int32_t k = 0; k < block * 2; ++k) group[k] += column[k % 2] * static_cast<uint32_t>(static_cast<int32_t>(weights[k / 2]));
      weights = w;
      w += block;
    }
    w = weights;
    for (int32_t k = 0; k < block * 2; ++k) {
      upper[k] += static_cast<uint32_t>(static_cast<int32_t>(group[k]) >> 16);
      whole[k] += group[k] - 0x8000u;
    }
  }
  for (int32_t k = 0; k < block * 2; ++k) {
    sum[2 * k] = static_cast<int32_t>(whole[k] - (upper[k] << 16));
    sum[2 * k + 1] = static_cast<int32_t>(upper[k]);
  }
  return w + 4;
}

// The sums of several blocks. Returns the weights of the next one. May read one input behind the column's end.
template <int32_t block, int32_t most, int32_t unit>
__attribute__((noinline)) const int8_t* add_groups(const uint32_t* column, const int8_t* w, int32_t* sum, int32_t blocks) {
  for (; blocks > 0; --blocks, sum += block * kPixels) w = add_block<block, most, unit>(column, w, sum);
  return w;
}

#if defined(__riscv) && !defined(__riscv_32e)
// a0 column, a1 weights, t2 to t5 the group, s0 to s3 whole, s4 to s7 upper.
#define KILN_SLOT(j)                     \
  "lw a4, 8*" #j "(a0)\n\t"              \
  "lw a5, 8*" #j "+4(a0)\n\t"            \
  "lb a6, 2*" #j "+2(a1)\n\t"            \
  "lb a7, 2*" #j "+3(a1)\n\t"            \
  "mul a3, a4, a6\n\t"                   \
  "mul a6, a5, a6\n\t"                   \
  "mul a4, a4, a7\n\t"                   \
  "mul a5, a5, a7\n\t"                   \
  "add t2, t2, a3\n\t"                   \
  "add t3, t3, a6\n\t"                   \
  "add t4, t4, a4\n\t"                   \
  "add t5, t5, a5\n\t"
#define KILN_END_GROUP(group, whole, upper) \
  "add a4, " group ", t6\n\t"               \
  "srai a4, a4, 16\n\t"                     \
  "add " whole ", " whole ", " group "\n\t" \
  "add " upper ", " upper ", a4\n\t"
#define KILN_STORE(whole, upper, at)      \
  "slli a4, " upper ", 16\n\t"            \
  "sub a4, " whole ", a4\n\t"             \
  "sw a4, 8*" at "(a2)\n\t"               \
  "sw " upper ", 8*" at "+4(a2)\n\t"
#if __riscv_xlen == 64
#define KILN_SAVED(op, s, i) op "d " s ", 8*" i "(sp)\n\t"
#else
#define KILN_SAVED(op, s, i) op "w " s ", 4*" i "(sp)\n\t"
#endif
#define KILN_ALL_SAVED(op)                                                                                                         \
  KILN_SAVED(op, "s0", "0") KILN_SAVED(op, "s1", "1") KILN_SAVED(op, "s2", "2") KILN_SAVED(op, "s3", "3") KILN_SAVED(op, "s4", "4")  \
  KILN_SAVED(op, "s5", "5") KILN_SAVED(op, "s6", "6") KILN_SAVED(op, "s7", "7") KILN_SAVED(op, "s8", "8") KILN_SAVED(op, "s9", "9")
template <>
inline __attribute__((naked, noinline)) const int8_t* add_groups<2, 12, 3>(const uint32_t*, const int8_t*, int32_t*, int32_t) {
  __asm__ volatile(
      ".option push\n\t"
      ".option norvc\n\t"
      KILN_ASM_STACK(80)
      "addi sp, sp, -80\n\t" KILN_ALL_SAVED("s")
      "mv s8, a3\n\t"
      "mv s9, a0\n\t"
      "lui t6, 8\n\t"
      "lla t1, 2f\n"
      "3:\n\t"
      "li s0, 0\n\tli s1, 0\n\tli s2, 0\n\tli s3, 0\n\tli s4, 0\n\tli s5, 0\n\tli s6, 0\n\tli s7, 0\n"
      "1:\n\t"
      "lw a4, 0(a0)\n\t"
      "lw a5, 4(a0)\n\t"
      "lb a6, 0(a1)\n\t"
      "lb a7, 1(a1)\n\t"
      "lbu t0, 2(a1)\n\t"
      "mul t2, a4, a6\n\t"
      "mul t3, a5, a6\n\t"
      "mul t4, a4, a7\n\t"
      "mul t5, a5, a7\n\t"
      "slli t0, t0, 4\n\t"
      "add t0, t0, t1\n\t"
      "jr t0\n"
      "2:\n\t" KILN_SLOT(11) KILN_SLOT(10) KILN_SLOT(9) KILN_SLOT(8) KILN_SLOT(7) KILN_SLOT(6)
      KILN_SLOT(5) KILN_SLOT(4) KILN_SLOT(3) KILN_SLOT(2) KILN_SLOT(1)
      "lbu a3, 3(a1)\n\t"
      KILN_END_GROUP("t2", "s0", "s4") KILN_END_GROUP("t3", "s1", "s5") KILN_END_GROUP("t4", "s2", "s6") KILN_END_GROUP("t5", "s3", "s7")
      "add a1, a1, a3\n\t"
      "addi a1, a1, 2\n\t"
      "slli a3, a3, 2\n\t"
      "add a0, a0, a3\n\t"
      "j 1b\n\t"
      "nop\n\tnop\n"  // behind 39 times 16 bytes
      KILN_STORE("s0", "s4", "0") KILN_STORE("s1", "s5", "1") KILN_STORE("s2", "s6", "2") KILN_STORE("s3", "s7", "3")
      "addi a1, a1, 4\n\t"
      "addi a2, a2, 32\n\t"
      "addi s8, s8, -1\n\t"
      "mv a0, s9\n\t"
      "bnez s8, 3b\n\t"
      "mv a0, a1\n\t"
      KILN_ALL_SAVED("l") "addi sp, sp, 80\n\t"
      "ret\n\t"
      ".option pop");
}
#undef KILN_SLOT
#undef KILN_END_GROUP
#undef KILN_STORE
#undef KILN_SAVED
#undef KILN_ALL_SAVED
#elif defined(__thumb2__)
// r0 column, r1 weights, r8 and r9 the group, r4 and r5 whole, r6 and r7 upper.
template <>
inline __attribute__((naked, noinline)) const int8_t* add_groups<1, 16, 1>(const uint32_t*, const int8_t*, int32_t*, int32_t) {
  __asm__ volatile(
      KILN_ASM_STACK(44)
      "push {r0, r3-r11, lr}\n\t"
      "mov lr, #0x8000\n"
      "5:\n\t"
      "movs r4, #0\n\t"
      "movs r5, #0\n\t"
      "movs r6, #0\n\t"
      "movs r7, #0\n"
      "1:\n\t"
      "ldrd r10, r11, [r0], #8\n\t"
      "ldrsb r12, [r1], #1\n\t"
      "ldrb r3, [r1], #1\n\t"
      "mla r8, r10, r12, lr\n\t"
      "mla r9, r11, r12, lr\n\t"
      "tbb [pc, r3]\n"
      "2:\n\t"
      ".irp skipped, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
      ".byte (3f - 2b) / 2 + 8 * \\skipped\n\t"
      ".endr\n\t"
      ".byte (4f - 2b) / 2, 0\n"
      "3:\n\t"
      ".rept 15\n\t"
      "ldrd r10, r11, [r0], #8\n\t"
      "ldrsb r12, [r1], #1\n\t"
      "mla r8, r10, r12, r8\n\t"
      "mla r9, r11, r12, r9\n\t"
      ".endr\n\t"
      "add r6, r6, r8, asr #16\n\t"
      "add r7, r7, r9, asr #16\n\t"
      "add r4, r4, r8\n\t"
      "add r5, r5, r9\n\t"
      "b 1b\n"
      "4:\n\t"
      "ldrb r3, [r1], #1\n\t"
      "ldrb r12, [r1], #1\n\t"
      "orr r3, r3, r12, lsl #8\n\t"
      "sub r4, r4, r3, lsl #15\n\t"
      "sub r5, r5, r3, lsl #15\n\t"
      "sub r4, r4, r6, lsl #16\n\t"
      "sub r5, r5, r7, lsl #16\n\t"
      "strd r4, r6, [r2], #8\n\t"
      "strd r5, r7, [r2], #8\n\t"
      "ldrd r0, r3, [sp]\n\t"
      "subs r3, #1\n\t"
      "str r3, [sp, #4]\n\t"
      "bne 5b\n\t"
      "mov r0, r1\n\t"
      "add sp, #8\n\t"
      "pop {r4-r11, pc}");
}
#elif defined(__thumb__)
// r0 column, r1 weights, r5 and r6 the group, r8 and r9 whole, r10 and r11 upper; r7 is 0. Here whole has no 0x8000 per group.
template <>
inline __attribute__((naked, noinline)) const int8_t* add_groups<1, 16, 7>(const uint32_t*, const int8_t*, int32_t*, int32_t) {
  __asm__ volatile(
      ".syntax unified\n\t"
      KILN_ASM_STACK(48)
      "push {r4-r7, lr}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "push {r0, r2-r7}\n\t"  // column, sums, blocks, r8 to r11
      "movs r4, #128\n\t"
      "lsls r4, r4, #8\n\t"
      "mov r12, r4\n\t"
      "movs r7, #0\n"
      "5:\n\t"
      "mov r8, r7\n\t"
      "mov r9, r7\n\t"
      "mov r10, r7\n\t"
      "mov r11, r7\n"
      "1:\n\t"
      "ldmia r0!, {r5, r6}\n\t"
      "ldrsb r4, [r1, r7]\n\t"
      "muls r5, r4, r5\n\t"
      "muls r6, r4, r6\n\t"
      "ldrb r4, [r1, #1]\n\t"
      "adds r1, #2\n\t"
      "lsls r4, r4, #1\n\t"
      "add pc, r4\n\t"
      "nop\n\t"
      ".rept 15\n\t"
      "ldmia r0!, {r2, r3}\n\t"
      "ldrsb r4, [r1, r7]\n\t"
      "adds r1, #1\n\t"
      "muls r2, r4, r2\n\t"
      "muls r3, r4, r3\n\t"
      "adds r5, r5, r2\n\t"
      "adds r6, r6, r3\n\t"
      ".endr\n\t"
      "add r8, r5\n\t"
      "add r9, r6\n\t"
      "add r5, r12\n\t"
      "add r6, r12\n\t"
      "asrs r5, r5, #16\n\t"
      "asrs r6, r6, #16\n\t"
      "add r10, r5\n\t"
      "add r11, r6\n\t"
      "b 1b\n\t"
      "mov r2, r8\n\t"  // behind 114 times 2 bytes
      "mov r3, r10\n\t"
      "mov r4, r9\n\t"
      "mov r5, r11\n\t"
      "lsls r6, r3, #16\n\t"
      "subs r2, r2, r6\n\t"
      "lsls r6, r5, #16\n\t"
      "subs r4, r4, r6\n\t"
      "adds r1, #2\n\t"
      "ldr r0, [sp, #4]\n\t"
      "stmia r0!, {r2-r5}\n\t"
      "str r0, [sp, #4]\n\t"
      "ldr r0, [sp]\n\t"
      "ldr r2, [sp, #8]\n\t"
      "subs r2, #1\n\t"
      "str r2, [sp, #8]\n\t"
      "beq 6f\n\t"
      "b 5b\n"
      "6:\n\t"
      "mov r0, r1\n\t"
      "add sp, #12\n\t"
      "pop {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "pop {r4-r7, pc}");
}
#endif

inline constexpr int32_t kRunChannels = 8;  // whose sums are made by one call

// All output channels of 4 pixels, whose results start at y[0] to y[3].
template <class D, class Y>
KILN_INLINE void finish_tile(const D& d, int32_t channels, const uint32_t* column, const int8_t* w, const Lines& lines, Y* const (&y)[kPixels]) {
  for (int32_t o = 0; o < channels; o += kRunChannels) {
    int32_t sum[kRunChannels * kPixels];
    const int32_t run = min(kRunChannels, channels - o);
    w = add_groups<D::block, D::most, D::unit>(column, w, sum, (run + D::block - 1) / D::block);
    for (int32_t k = 0; k < run; ++k)
      finish_channel<kPixels>(d, lines, o + k, sum + kPixels * k, [&](int32_t p, int32_t value) { y[p][o + k] = static_cast<Y>(value); });
  }
}

}  // namespace nn::scalar
