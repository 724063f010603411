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
  KILN_STEP_WEIGHTS("n")                    \
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
  KILN_STEP_WEIGHTS("cols")                      \
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
  KILN_STEP_WEIGHTS("cols")                      \
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

#define KILN_WEIGHTS const float*
#define KILN_ADDRESS(weights) weights
#define KILN_STEP_WEIGHTS(bytes) "add %[w], %[w], %[" bytes "]\n\t"
#define KILN_LOAD_4_AT_12 "vldmia %[w]!, {s12-s15}\n\t"
#define KILN_LOAD_16_AT_12 "vldmia %[w]!, {s12-s27}\n\t"
#define KILN_LOAD_4_AT_16 "vldmia %[w]!, {s16-s19}\n\t"
#define KILN_LOAD_8_AT_16 "vldmia %[w]!, {s16-s23}\n\t"
#define KILN_LOAD_12_AT_16 "vldmia %[w]!, {s16-s27}\n\t"
#include "tile_arm_loops.h"

// Two halves a register, read into the last registers and widened from the first one on, so that none is overwritten too early.
#define KILN_WIDEN(low, high, pair) "vcvtb.f32.f16 s" #low ", s" #pair "\n\tvcvtt.f32.f16 s" #high ", s" #pair "\n\t"
#define KILN_WEIGHTS F16
#define KILN_ADDRESS(weights) weights.at
#define KILN_STEP_WEIGHTS(bytes) "add %[w], %[w], %[" bytes "], asr #1\n\t"
#define KILN_LOAD_4_AT_12 "vldmia %[w]!, {s14-s15}\n\t" KILN_WIDEN(12, 13, 14) KILN_WIDEN(14, 15, 15)
#define KILN_LOAD_16_AT_12                                                                                                                \
  "vldmia %[w]!, {s20-s27}\n\t" KILN_WIDEN(12, 13, 20) KILN_WIDEN(14, 15, 21) KILN_WIDEN(16, 17, 22) KILN_WIDEN(18, 19, 23)               \
      KILN_WIDEN(20, 21, 24) KILN_WIDEN(22, 23, 25) KILN_WIDEN(24, 25, 26) KILN_WIDEN(26, 27, 27)
#define KILN_LOAD_4_AT_16 "vldmia %[w]!, {s18-s19}\n\t" KILN_WIDEN(16, 17, 18) KILN_WIDEN(18, 19, 19)
#define KILN_LOAD_8_AT_16 \
  "vldmia %[w]!, {s20-s23}\n\t" KILN_WIDEN(16, 17, 20) KILN_WIDEN(18, 19, 21) KILN_WIDEN(20, 21, 22) KILN_WIDEN(22, 23, 23)
#define KILN_LOAD_12_AT_16                                                                                                                \
  "vldmia %[w]!, {s22-s27}\n\t" KILN_WIDEN(16, 17, 22) KILN_WIDEN(18, 19, 23) KILN_WIDEN(20, 21, 24) KILN_WIDEN(22, 23, 25)               \
      KILN_WIDEN(24, 25, 26) KILN_WIDEN(26, 27, 27)
#include "tile_arm_loops.h"
#undef KILN_WIDEN

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
