// SPDX-License-Identifier: 0BSD
// The tiles of tile.h for Cortex-M cores with an FPU. s0-s15 are the sums, four of each pixel; x0-x3 the pixels' inputs.
#pragma once

#include "tile.h"

namespace nn::fpu {

#ifdef KILN_ARM_FPU

// clang-format off

// Four sums += an input times four weights; four sums += four channels times their weights.
#define KILN_FMA(sum, a, b) "vfma.f32 s" #sum ", s" #a ", s" #b "\n\t"
#define KILN_FMA4(a, b, c, d, x, w0, w1, w2, w3) KILN_FMA(a, x, w0) KILN_FMA(b, x, w1) KILN_FMA(c, x, w2) KILN_FMA(d, x, w3)
#define KILN_FMA4_CHANNELS(a, b, c, d, x0, x1, x2, x3, w0, w1, w2, w3) KILN_FMA(a, x0, w0) KILN_FMA(b, x1, w1) KILN_FMA(c, x2, w2) KILN_FMA(d, x3, w3)

// Label 0 is a block of channels, 1 a row of taps, 9 the end of the last row.
#define KILN_BLOCK_1              \
  "0:\n\t"                        \
  "ldr %[x0], [%[t]]\n\t"         \
  "ldr %[rows], [%[t], %[at_rows]]\n\t"
#define KILN_BLOCK_4              \
  "0:\n\t"                        \
  "ldrd %[x0], %[x1], [%[t]]\n\t" \
  "ldrd %[x2], %[x3], [%[t], #8]\n\t" \
  "ldr %[rows], [%[t], %[at_rows]]\n\t"
#define KILN_BIAS_1             \
  "vldmia %[b]!, {s0-s3}\n\t"   \
  "cmp %[rows], #0\n\t"         \
  "beq 9f\n"
#define KILN_BIAS_4             \
  "vldmia %[b], {s0-s3}\n\t"    \
  "vldmia %[b], {s4-s7}\n\t"    \
  "vldmia %[b], {s8-s11}\n\t"   \
  "vldmia %[b]!, {s12-s15}\n\t" \
  "cmp %[rows], #0\n\t"         \
  "beq 9f\n"
#define KILN_BLOCK_END                          \
  "11:\n\t"                                     \
  "ldrd %[n], %[cols], [%[t], %[w_block]]\n\t"  \
  "add %[w], %[w], %[n]\n\t"                    \
  "adds %[o], %[o], #4\n\t"                     \
  "cmp %[o], %[cols]\n\t"                       \
  "blt 0b\n"

// Results, y at [t + at]. Relu works on the bits: it clears numbers with the sign bit set, which takes NaN with that bit to 0, too.
#define KILN_STORE(a, d, at)            \
  "ldr %[n], [%[t], %[" at "]]\n\t"     \
  "add %[n], %[n], %[o], lsl #2\n\t"    \
  "vstmia %[n], {s" #a "-s" #d "}\n\t"
#define KILN_STORE_RELU(a, b, c, d, at)       \
  "ldr %[n], [%[t], %[" at "]]\n\t"           \
  "vmov %[x0], %[x1], s" #a ", s" #b "\n\t"   \
  "vmov %[x2], %[x3], s" #c ", s" #d "\n\t"   \
  "add %[n], %[n], %[o], lsl #2\n\t"          \
  "bic %[x0], %[x0], %[x0], asr #31\n\t"      \
  "bic %[x1], %[x1], %[x1], asr #31\n\t"      \
  "bic %[x2], %[x2], %[x2], asr #31\n\t"      \
  "bic %[x3], %[x3], %[x3], asr #31\n\t"      \
  "strd %[x0], %[x1], [%[n]]\n\t"             \
  "strd %[x2], %[x3], [%[n], #8]\n\t"
#define KILN_RESULTS(raw, relu_store) \
  "9:\n\t"                            \
  "ldr %[n], [%[t], %[relu]]\n\t"     \
  "cmp %[n], #0\n\t"                  \
  "bne 10f\n\t" raw                   \
  "b 11f\n"                           \
  "10:\n\t" relu_store KILN_BLOCK_END
#define KILN_RESULTS_1 KILN_RESULTS(KILN_STORE(0, 3, "y0"), KILN_STORE_RELU(0, 1, 2, 3, "y0"))
#define KILN_RESULTS_4                                                                                                     \
  KILN_RESULTS(KILN_STORE(0, 3, "y0") KILN_STORE(4, 7, "y1") KILN_STORE(8, 11, "y2") KILN_STORE(12, 15, "y3"),             \
               KILN_STORE_RELU(0, 1, 2, 3, "y0") KILN_STORE_RELU(4, 5, 6, 7, "y1") KILN_STORE_RELU(8, 9, 10, 11, "y2")     \
               KILN_STORE_RELU(12, 13, 14, 15, "y3"))

#define KILN_STEP_1(amount) "add %[x0], %[x0], %[" amount "]\n\t"
#define KILN_STEP_4(amount)                \
  "add %[x0], %[x0], %[" amount "]\n\t"    \
  "add %[x1], %[x1], %[" amount "]\n\t"    \
  "add %[x2], %[x2], %[" amount "]\n\t"    \
  "add %[x3], %[x3], %[" amount "]\n\t"

// The loops around the segments of a convolution; label 2 is a segment.
#define KILN_ROWS(segment, step)                     \
  "1:\n\t"                                           \
  "ldr %[cols], [%[t], %[at_cols]]\n"                \
  "2:\n\t" segment                                   \
  "subs %[cols], #1\n\t"                             \
  "beq 8f\n\t"                                       \
  "ldr %[n], [%[t], %[x_col]]\n\t" step("n")         \
  "b 2b\n"                                           \
  "8:\n\t"                                           \
  "ldrd %[n], %[cols], [%[t], %[x_row]]\n\t" step("n") \
  "add %[w], %[w], %[cols]\n\t"                      \
  "subs %[rows], #1\n\t"                             \
  "bne 1b\n"

// The loops around the taps of a depthwise convolution; label 2 is a tap.
#define KILN_TAPS(tap, step)                         \
  "1:\n\t"                                           \
  "ldr %[cols], [%[t], %[at_cols]]\n\t"              \
  "ldr %[n], [%[t], %[x_col]]\n"                     \
  "2:\n\t" tap                                       \
  "bne 2b\n\t"                                       \
  "ldrd %[n], %[cols], [%[t], %[x_row]]\n\t" step("n") \
  "add %[w], %[w], %[cols]\n\t"                      \
  "subs %[rows], #1\n\t"                             \
  "bne 1b\n"

#define KILN_AT(name, member, index) [name] "i"(__builtin_offsetof(Tile, member) + 4 * index)
#define KILN_OPERANDS                                                                                                          \
  : [w] "+&r"(w), [b] "+&r"(b), [o] "+&r"(o), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3), [rows] "=&r"(rows), \
    [cols] "=&r"(cols), [n] "=&r"(n)                                                                                           \
  : [t] "r"(&t), KILN_AT(y0, y, 0), KILN_AT(y1, y, 1), KILN_AT(y2, y, 2), KILN_AT(y3, y, 3), KILN_AT(at_rows, rows, 0),        \
    KILN_AT(at_cols, cols, 0), KILN_AT(at_count, count, 0), KILN_AT(x_col, x_col, 0), KILN_AT(x_row, x_row, 0),                \
    KILN_AT(w_block, w_block, 0), KILN_AT(x_line, x_line, 0), KILN_AT(relu, relu, 0)                                           \
  : "cc", "memory", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s12", "s13", "s14", "s15",       \
    "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24", "s25", "s26", "s27"
#define KILN_ALL_FLOATS , "s28", "s29", "s30", "s31"

// clang-format on

template <int32_t Pixels>
void conv_tile(const Tile& t, const float* w, const float* b, int32_t o);
template <int32_t Pixels>
void depthwise_tile(const Tile& t, const float* w, const float* b, int32_t o);

// clang-format off

// Two inputs at a time: 32 products for 16 words.
template <>
inline __attribute__((noinline)) void conv_tile<4>(const Tile& t, const float* w, const float* b, int32_t o) {
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_4 KILN_BIAS_4 KILN_ROWS(
      "ldr %[n], [%[t], %[at_count]]\n\t"
      "lsrs %[n], %[n], #1\n\t"
      "beq 4f\n"
      "3:\n\t"
      "vldmia %[w]!, {s16-s23}\n\t"
      "vldmia %[x0]!, {s24-s25}\n\t"
      "vldmia %[x1]!, {s26-s27}\n\t" KILN_FMA4(0, 1, 2, 3, 24, 16, 17, 18, 19) KILN_FMA4(0, 1, 2, 3, 25, 20, 21, 22, 23)
      "vldmia %[x2]!, {s28-s29}\n\t" KILN_FMA4(4, 5, 6, 7, 26, 16, 17, 18, 19) KILN_FMA4(4, 5, 6, 7, 27, 20, 21, 22, 23)
      "vldmia %[x3]!, {s30-s31}\n\t" KILN_FMA4(8, 9, 10, 11, 28, 16, 17, 18, 19) KILN_FMA4(8, 9, 10, 11, 29, 20, 21, 22, 23)
      "subs %[n], #1\n\t" KILN_FMA4(12, 13, 14, 15, 30, 16, 17, 18, 19) KILN_FMA4(12, 13, 14, 15, 31, 20, 21, 22, 23)
      "bne 3b\n"
      "4:\n\t"
      "ldr %[n], [%[t], %[at_count]]\n\t"
      "lsls %[n], %[n], #31\n\t"
      "beq 5f\n\t"
      "vldmia %[w]!, {s16-s19}\n\t"
      "vldmia %[x0]!, {s24}\n\t"
      "vldmia %[x1]!, {s25}\n\t"
      "vldmia %[x2]!, {s26}\n\t"
      "vldmia %[x3]!, {s27}\n\t"
      KILN_FMA4(0, 1, 2, 3, 24, 16, 17, 18, 19) KILN_FMA4(4, 5, 6, 7, 25, 16, 17, 18, 19)
      KILN_FMA4(8, 9, 10, 11, 26, 16, 17, 18, 19) KILN_FMA4(12, 13, 14, 15, 27, 16, 17, 18, 19)
      "5:\n\t", KILN_STEP_4) KILN_RESULTS_4
      KILN_OPERANDS KILN_ALL_FLOATS);
}

// Eight inputs at a time, then four, then one by one.
#define KILN_ADD_4(i0, i1, i2, i3) \
  "vldmia %[w]!, {s12-s27}\n\t" KILN_FMA4(0, 1, 2, 3, i0, 12, 13, 14, 15) KILN_FMA4(0, 1, 2, 3, i1, 16, 17, 18, 19) \
  KILN_FMA4(0, 1, 2, 3, i2, 20, 21, 22, 23) KILN_FMA4(0, 1, 2, 3, i3, 24, 25, 26, 27)
template <>
inline __attribute__((noinline)) void conv_tile<1>(const Tile& t, const float* w, const float* b, int32_t o) {
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_1 KILN_BIAS_1 KILN_ROWS(
      "ldr %[x1], [%[t], %[at_count]]\n\t"
      "lsrs %[n], %[x1], #3\n\t"
      "beq 4f\n"
      "3:\n\t"
      "vldmia %[x0]!, {s4-s11}\n\t" KILN_ADD_4(4, 5, 6, 7)
      "subs %[n], #1\n\t" KILN_ADD_4(8, 9, 10, 11)
      "bne 3b\n"
      "4:\n\t"
      "lsls %[n], %[x1], #29\n\t"
      "beq 7f\n\t"
      "bpl 5f\n\t"
      "vldmia %[x0]!, {s4-s7}\n\t" KILN_ADD_4(4, 5, 6, 7)
      "5:\n\t"
      "ands %[n], %[x1], #3\n\t"
      "beq 7f\n"
      "6:\n\t"
      "vldmia %[w]!, {s12-s15}\n\t"
      "vldmia %[x0]!, {s4}\n\t"
      "subs %[n], #1\n\t" KILN_FMA4(0, 1, 2, 3, 4, 12, 13, 14, 15)
      "bne 6b\n"
      "7:\n\t", KILN_STEP_1) KILN_RESULTS_1
      KILN_OPERANDS);
}
#undef KILN_ADD_4

template <>
inline __attribute__((noinline)) void depthwise_tile<4>(const Tile& t, const float* w, const float* b, int32_t o) {
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_4
      "add %[x0], %[x0], %[o], lsl #2\n\t"
      "add %[x1], %[x1], %[o], lsl #2\n\t"
      "add %[x2], %[x2], %[o], lsl #2\n\t"
      "add %[x3], %[x3], %[o], lsl #2\n\t" KILN_BIAS_4 KILN_TAPS(
      "vldmia %[w]!, {s16-s19}\n\t"
      "vldmia %[x0], {s20-s23}\n\t"
      "vldmia %[x1], {s24-s27}\n\t" KILN_FMA4_CHANNELS(0, 1, 2, 3, 20, 21, 22, 23, 16, 17, 18, 19)
      "vldmia %[x2], {s20-s23}\n\t" KILN_FMA4_CHANNELS(4, 5, 6, 7, 24, 25, 26, 27, 16, 17, 18, 19)
      "vldmia %[x3], {s24-s27}\n\t" KILN_FMA4_CHANNELS(8, 9, 10, 11, 20, 21, 22, 23, 16, 17, 18, 19) KILN_STEP_4("n")
      "subs %[cols], #1\n\t" KILN_FMA4_CHANNELS(12, 13, 14, 15, 24, 25, 26, 27, 16, 17, 18, 19), KILN_STEP_4) KILN_RESULTS_4
      KILN_OPERANDS);
}

template <>
inline __attribute__((noinline)) void depthwise_tile<1>(const Tile& t, const float* w, const float* b, int32_t o) {
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_1
      "add %[x0], %[x0], %[o], lsl #2\n\t" KILN_BIAS_1 KILN_TAPS(
      "vldmia %[w]!, {s16-s19}\n\t"
      "vldmia %[x0], {s20-s23}\n\t"
      "add %[x0], %[x0], %[n]\n\t"
      "subs %[cols], #1\n\t" KILN_FMA4_CHANNELS(0, 1, 2, 3, 20, 21, 22, 23, 16, 17, 18, 19), KILN_STEP_1) KILN_RESULTS_1
      KILN_OPERANDS);
}

// 4 neighbouring pixels whose windows of 3 columns overlap: 6 columns are read once each, the weights of a row once for all.
#define KILN_COLUMN "vldmia %[x0], {s28-s31}\n\t" "add %[x0], %[x0], %[n]\n\t"
#define KILN_COLUMN_FMA(a, b, c, d, w0, w1, w2, w3) KILN_FMA4_CHANNELS(a, b, c, d, 28, 29, 30, 31, w0, w1, w2, w3)
inline __attribute__((noinline)) void depthwise_line(const Tile& t, const float* w, const float* b, int32_t o) {
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_1
      "add %[x0], %[x0], %[o], lsl #2\n\t" KILN_BIAS_4
      "ldr %[n], [%[t], %[x_col]]\n\t"
      "ldr %[cols], [%[t], %[x_line]]\n"
      "1:\n\t"
      "vldmia %[w]!, {s16-s27}\n\t"
      KILN_COLUMN KILN_COLUMN_FMA(0, 1, 2, 3, 16, 17, 18, 19)
      KILN_COLUMN KILN_COLUMN_FMA(0, 1, 2, 3, 20, 21, 22, 23) KILN_COLUMN_FMA(4, 5, 6, 7, 16, 17, 18, 19)
      KILN_COLUMN KILN_COLUMN_FMA(0, 1, 2, 3, 24, 25, 26, 27) KILN_COLUMN_FMA(4, 5, 6, 7, 20, 21, 22, 23) KILN_COLUMN_FMA(8, 9, 10, 11, 16, 17, 18, 19)
      KILN_COLUMN KILN_COLUMN_FMA(4, 5, 6, 7, 24, 25, 26, 27) KILN_COLUMN_FMA(8, 9, 10, 11, 20, 21, 22, 23) KILN_COLUMN_FMA(12, 13, 14, 15, 16, 17, 18, 19)
      KILN_COLUMN KILN_COLUMN_FMA(8, 9, 10, 11, 24, 25, 26, 27) KILN_COLUMN_FMA(12, 13, 14, 15, 20, 21, 22, 23)
      KILN_COLUMN KILN_COLUMN_FMA(12, 13, 14, 15, 24, 25, 26, 27)
      "add %[x0], %[x0], %[cols]\n\t"
      "subs %[rows], #1\n\t"
      "bne 1b\n" KILN_RESULTS_4
      KILN_OPERANDS KILN_ALL_FLOATS);
}
#undef KILN_COLUMN_FMA
#undef KILN_COLUMN

// clang-format on

#undef KILN_ALL_FLOATS
#undef KILN_OPERANDS
#undef KILN_AT
#undef KILN_TAPS
#undef KILN_ROWS
#undef KILN_STEP_4
#undef KILN_STEP_1
#undef KILN_RESULTS_4
#undef KILN_RESULTS_1
#undef KILN_RESULTS
#undef KILN_STORE_RELU
#undef KILN_STORE
#undef KILN_BLOCK_END
#undef KILN_BIAS_4
#undef KILN_BIAS_1
#undef KILN_BLOCK_4
#undef KILN_BLOCK_1
#undef KILN_FMA4_CHANNELS
#undef KILN_FMA4
#undef KILN_FMA

#endif

}  // namespace nn::fpu
