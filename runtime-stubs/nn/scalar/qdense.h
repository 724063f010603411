// SPDX-License-Identifier: 0BSD
// Integer dense layers with few rows on cores without SIMD, one row at a time.
// qdense_row keeps the sums of D::block channels in registers: weights[block of channels][input][D::block].
// qdense_words is for Armv6-M, which has not as many. A word holds the weights of 4 channels for one input as bytes w + 128; two masks make of it
// (channel 0, channel 2) and (channel 1, channel 3), each first + second * 2^16, and one product with the input is two products, as in
// pairs.h. The 128s add 128 * (1 + 2^16) * input to both, which is taken back at the end of each group of inputs, modulo 2^32. The compiler
// chooses groups for which all sums fit 16 bits, whatever the inputs are.
//   weights[block of 4 channels]: a word, 22 * (16 - inputs of a group) + 2^16 * groups; then a word for each input, inputs filled up to whole groups
// y must not overlap x.
#pragma once

#include "pairs.h"

namespace nn::scalar {

inline constexpr int32_t kRowTurn = 8;  // inputs

// sum[k] is the sum of x[i] * w[block * i + k]; `end` is a multiple of 8 inputs behind x.
template <int32_t block, class X>
__attribute__((noinline)) void add_channels(const X* x, const X* end, const int8_t* w, int32_t* sum) {
  for (int32_t k = 0; k < block; ++k) sum[k] = 0;
  for (; x != end; ++x)
    for (int32_t k = 0; k < block; ++k) sum[k] += *x * *w++;
}

#if defined(__thumb2__)
// r4 to r11 sums.
#define KILN_CHANNELS(load)   \
  KILN_ASM_STACK(40)          \
  "push {r3, r4-r11, lr}\n\t" \
  "mov r4, #0\n\t"            \
  "mov r5, r4\n\t"            \
  "mov r6, r4\n\t"            \
  "mov r7, r4\n\t"            \
  "mov r8, r4\n\t"            \
  "mov r9, r4\n\t"            \
  "mov r10, r4\n\t"           \
  "mov r11, r4\n\t"           \
  "b 2f\n"                    \
  "1:\n\t"                    \
  ".rept 8\n\t"               \
  load " r3, [r0], #1\n\t"    \
  "ldrsb r12, [r2], #1\n\t"   \
  "ldrsb lr, [r2], #1\n\t"    \
  "mla r4, r3, r12, r4\n\t"   \
  "ldrsb r12, [r2], #1\n\t"   \
  "mla r5, r3, lr, r5\n\t"    \
  "ldrsb lr, [r2], #1\n\t"    \
  "mla r6, r3, r12, r6\n\t"   \
  "ldrsb r12, [r2], #1\n\t"   \
  "mla r7, r3, lr, r7\n\t"    \
  "ldrsb lr, [r2], #1\n\t"    \
  "mla r8, r3, r12, r8\n\t"   \
  "ldrsb r12, [r2], #1\n\t"   \
  "mla r9, r3, lr, r9\n\t"    \
  "ldrsb lr, [r2], #1\n\t"    \
  "mla r10, r3, r12, r10\n\t" \
  "mla r11, r3, lr, r11\n\t"  \
  ".endr\n"                   \
  "2:\n\t"                    \
  "cmp r0, r1\n\t"            \
  "bne 1b\n\t"                \
  "pop {r3}\n\t"              \
  "stm r3, {r4-r11}\n\t"      \
  "pop {r4-r11, pc}"
template <>
inline __attribute__((naked, noinline)) void add_channels<8>(const int8_t*, const int8_t*, const int8_t*, int32_t*) {
  __asm__ volatile(KILN_CHANNELS("ldrsb"));
}
template <>
inline __attribute__((naked, noinline)) void add_channels<8>(const uint8_t*, const uint8_t*, const int8_t*, int32_t*) {
  __asm__ volatile(KILN_CHANNELS("ldrb"));
}
#undef KILN_CHANNELS
#elif defined(__riscv) && !defined(__riscv_32e)
// t0 to t6, a6, a7, s0 to s6 sums. Two loads in front of two products, which wait for them on most cores.
#define KILN_PAIR(first, second, at, next)                                                                  \
  "lb a5, " at "(a2)\n\t"                                                                                   \
  "lb s7, " next "(a2)\n\t"                                                                                 \
  "mul a5, a5, a4\n\t"                                                                                      \
  "mul s7, s7, a4\n\t"                                                                                      \
  "add " first ", " first ", a5\n\t"                                                                        \
  "add " second ", " second ", s7\n\t"
#define KILN_INPUT(load, j)                                                                                                                \
  load " a4, " #j "(a0)\n\t" KILN_PAIR("t0", "t1", "16*" #j "+0", "16*" #j "+1") KILN_PAIR("t2", "t3", "16*" #j "+2", "16*" #j "+3")       \
  KILN_PAIR("t4", "t5", "16*" #j "+4", "16*" #j "+5") KILN_PAIR("t6", "a6", "16*" #j "+6", "16*" #j "+7")                                  \
  KILN_PAIR("a7", "s0", "16*" #j "+8", "16*" #j "+9") KILN_PAIR("s1", "s2", "16*" #j "+10", "16*" #j "+11")                                \
  KILN_PAIR("s3", "s4", "16*" #j "+12", "16*" #j "+13") KILN_PAIR("s5", "s6", "16*" #j "+14", "16*" #j "+15")
#define KILN_ZERO(a, b, c, d) "li " a ", 0\n\tli " b ", 0\n\tli " c ", 0\n\tli " d ", 0\n\t"
#define KILN_STORE(a, b, c, d, at) "sw " a ", " at "(a3)\n\tsw " b ", 4+" at "(a3)\n\tsw " c ", 8+" at "(a3)\n\tsw " d ", 12+" at "(a3)\n\t"
#if __riscv_xlen == 64
#define KILN_SAVED(op, s, i) op "d " s ", 8*" i "(sp)\n\t"
#else
#define KILN_SAVED(op, s, i) op "w " s ", 4*" i "(sp)\n\t"
#endif
#define KILN_ALL_SAVED(op)                                                                              \
  KILN_SAVED(op, "s0", "0") KILN_SAVED(op, "s1", "1") KILN_SAVED(op, "s2", "2") KILN_SAVED(op, "s3", "3") \
  KILN_SAVED(op, "s4", "4") KILN_SAVED(op, "s5", "5") KILN_SAVED(op, "s6", "6") KILN_SAVED(op, "s7", "7")
#define KILN_CHANNELS(load)                                                                \
  KILN_ASM_STACK(64) "addi sp, sp, -64\n\t" KILN_ALL_SAVED("s")                            \
  KILN_ZERO("t0", "t1", "t2", "t3") KILN_ZERO("t4", "t5", "t6", "a6")                      \
  KILN_ZERO("a7", "s0", "s1", "s2") KILN_ZERO("s3", "s4", "s5", "s6")                      \
  "beq a0, a1, 2f\n"                                                                       \
  "1:\n\t" KILN_INPUT(load, 0) KILN_INPUT(load, 1) KILN_INPUT(load, 2) KILN_INPUT(load, 3) \
  KILN_INPUT(load, 4) KILN_INPUT(load, 5) KILN_INPUT(load, 6) KILN_INPUT(load, 7)          \
  "addi a0, a0, 8\n\t"                                                                     \
  "addi a2, a2, 128\n\t"                                                                   \
  "bne a0, a1, 1b\n"                                                                       \
  "2:\n\t"                                                                                 \
  KILN_STORE("t0", "t1", "t2", "t3", "0") KILN_STORE("t4", "t5", "t6", "a6", "16")         \
  KILN_STORE("a7", "s0", "s1", "s2", "32") KILN_STORE("s3", "s4", "s5", "s6", "48")        \
  KILN_ALL_SAVED("l")                                                                      \
  "addi sp, sp, 64\n\t"                                                                    \
  "ret"
template <>
inline __attribute__((naked, noinline)) void add_channels<16>(const int8_t*, const int8_t*, const int8_t*, int32_t*) {
  __asm__ volatile(KILN_CHANNELS("lb"));
}
template <>
inline __attribute__((naked, noinline)) void add_channels<16>(const uint8_t*, const uint8_t*, const int8_t*, int32_t*) {
  __asm__ volatile(KILN_CHANNELS("lbu"));
}
#undef KILN_PAIR
#undef KILN_INPUT
#undef KILN_ZERO
#undef KILN_STORE
#undef KILN_SAVED
#undef KILN_ALL_SAVED
#undef KILN_CHANNELS
#endif

// The results y[k] of `count` channels from `channel` on, `together` at a time.
template <int32_t together, class D, class Y>
KILN_INLINE void finish_channels(const D& d, const Lines& lines, int32_t channel, int32_t count, const int32_t* sum, Y* y) {
  const auto finish = [&](int32_t k) {
    finish_channel<1>(d, lines, channel + k, sum + k, [&](int32_t, int32_t value) { y[k] = static_cast<Y>(value); });
  };
  int32_t k = 0;
  for (; k + together <= count; k += together) {
#pragma GCC unroll 4
    for (int32_t i = 0; i < together; ++i) finish(k + i);
  }
#pragma GCC unroll 1
  for (; k < count; ++k) finish(k);
}

template <class D, class X, class Y>
KILN_INLINE void qdense_row(const D& d, const X* x, const int8_t* w, const int32_t* offset, const int32_t* factor, Y* y) {
  const Lines lines = lines_of(offset, factor);
  const int32_t turns = d.in - d.in % kRowTurn;
  for (int32_t row = 0; row < d.rows; ++row, x += d.in, y += d.out) {
    const int8_t* weights = w;
    for (int32_t o = 0; o < d.out; o += D::block) {
      int32_t sum[D::block];
      add_channels<D::block>(x, x + turns, weights, sum);
      weights += turns * D::block;
      for (int32_t i = turns; i < d.in; ++i)
        for (int32_t k = 0; k < D::block; ++k) sum[k] += x[i] * *weights++;
      finish_channels<4>(d, lines, o, min<int32_t>(D::block, d.out - o), sum, y + o);
    }
  }
}

inline constexpr int32_t kWordChannels = 4;

// The sums of a block of 4 channels. Returns the weights of the next one.
#if defined(__thumb__) && !defined(__thumb2__)
// r0 inputs, r1 weights, r6 sum of the inputs, r8 and r9 the group, r10 and r11 whole, r12 and lr upper; r5 mask, r7 0.
inline __attribute__((naked, noinline)) const int8_t* add_words(const int8_t*, const int8_t*, int32_t*) {
  __asm__ volatile(
      ".syntax unified\n\t"
      KILN_ASM_STACK(48)
      "push {r4-r7, lr}\n\t"
      "mov r4, r8\n\t"
      "mov r5, r9\n\t"
      "mov r6, r10\n\t"
      "mov r7, r11\n\t"
      "push {r4-r7}\n\t"
      "ldmia r1!, {r3}\n\t"
      "lsrs r4, r3, #16\n\t"
      "uxth r3, r3\n\t"
      "adr r5, 2f\n\t"
      "adds r3, r3, r5\n\t"
      "adds r3, #1\n\t"
      "push {r2-r4}\n\t"  // result, entry, groups
      "ldr r5, 4f\n\t"
      "movs r7, #0\n\t"
      "mov r10, r7\n\t"
      "mov r11, r7\n\t"
      "mov r12, r7\n\t"
      "mov lr, r7\n"
      "1:\n\t"
      "ldr r4, [sp, #4]\n\t"
      "movs r6, #0\n\t"
      "mov r8, r7\n\t"
      "mov r9, r7\n\t"
      "bx r4\n\t"
      ".balign 4\n"
      "2:\n\t"
      ".rept 16\n\t"
      "ldrsb r2, [r0, r7]\n\t"
      "adds r0, #1\n\t"
      "ldmia r1!, {r3}\n\t"
      "adds r6, r6, r2\n\t"
      "lsrs r4, r3, #8\n\t"
      "ands r4, r5\n\t"
      "ands r3, r5\n\t"
      "muls r3, r2, r3\n\t"
      "muls r4, r2, r4\n\t"
      "add r8, r3\n\t"
      "add r9, r4\n\t"
      ".endr\n\t"
      "lsls r4, r6, #16\n\t"
      "adds r4, r4, r6\n\t"
      "lsls r4, r4, #7\n\t"
      "mov r2, r8\n\t"
      "subs r2, r2, r4\n\t"
      "mov r3, r9\n\t"
      "subs r3, r3, r4\n\t"
      "add r10, r2\n\t"
      "add r11, r3\n\t"
      "movs r4, #128\n\t"
      "lsls r4, r4, #8\n\t"
      "adds r2, r2, r4\n\t"
      "adds r3, r3, r4\n\t"
      "asrs r2, r2, #16\n\t"
      "asrs r3, r3, #16\n\t"
      "add r12, r2\n\t"
      "add lr, r3\n\t"
      "ldr r2, [sp, #8]\n\t"
      "subs r2, #1\n\t"
      "str r2, [sp, #8]\n\t"
      "beq 3f\n\t"
      "b 1b\n"
      "3:\n\t"
      "pop {r0, r2, r3}\n\t"
      "mov r2, r10\n\t"
      "mov r3, r11\n\t"
      "mov r4, r12\n\t"
      "mov r5, lr\n\t"
      "lsls r6, r4, #16\n\t"
      "subs r2, r2, r6\n\t"
      "lsls r6, r5, #16\n\t"
      "subs r3, r3, r6\n\t"
      "stmia r0!, {r2-r5}\n\t"
      "mov r0, r1\n\t"
      "pop {r4-r7}\n\t"
      "mov r8, r4\n\t"
      "mov r9, r5\n\t"
      "mov r10, r6\n\t"
      "mov r11, r7\n\t"
      "pop {r4-r7, pc}\n\t"
      ".balign 4\n"
      "4:\n\t"
      ".word 0x00ff00ff");
}
#else
inline __attribute__((noinline)) const int8_t* add_words(const int8_t* x, const int8_t* w, int32_t* sum) {
  uint32_t header;
  __builtin_memcpy(&header, w, 4);
  w += 4;
  const uint32_t inputs = 16 - (header & 0xffffu) / 22;
  uint32_t whole[2] = {}, upper[2] = {};
  for (uint32_t turn = 0; turn < header >> 16; ++turn) {
    uint32_t group[2] = {};
    for (uint32_t i = 0; i < inputs; ++i, ++x, w += 4) {
      uint32_t word;
      __builtin_memcpy(&word, w, 4);
      const uint32_t input = static_cast<uint32_t>(static_cast<int32_t>(*x)), bias = ((input << 16) + input) << 7;
      for (uint32_t k = 0; k < 2; ++k) group[k] += input * (word >> 8 * k & 0x00ff00ffu) - bias;
    }
    for (int32_t k = 0; k < 2; ++k) {
      whole[k] += group[k];
      upper[k] += static_cast<uint32_t>(static_cast<int32_t>(group[k] + 0x8000u) >> 16);
    }
  }
  for (int32_t k = 0; k < 2; ++k) {
    sum[k] = static_cast<int32_t>(whole[k] - (upper[k] << 16));
    sum[2 + k] = static_cast<int32_t>(upper[k]);
  }
  return w;
}
#endif

// scratch: the inputs as signed bytes, and 15 more.
template <class D, class X, class Y>
KILN_INLINE void qdense_words(const D& d, const X* x, const int8_t* w, const int32_t* offset, const int32_t* factor, Y* y, uint8_t* scratch) {
  const Lines lines = lines_of(offset, factor);
  int8_t* const inputs = static_cast<int8_t*>(static_cast<void*>(scratch));
  for (int32_t row = 0; row < d.rows; ++row, x += d.in, y += d.out) {
    for (int32_t i = 0; i < d.in; ++i) inputs[i] = static_cast<int8_t>(centred(x[i]));
    const int8_t* weights = w;
    for (int32_t o = 0; o < d.out; o += kWordChannels) {
      int32_t sum[kWordChannels];
      weights = add_words(inputs, weights, sum);
      finish_channels<1>(d, lines, o, min(kWordChannels, d.out - o), sum, y + o);
    }
  }
}

}  // namespace nn::scalar
