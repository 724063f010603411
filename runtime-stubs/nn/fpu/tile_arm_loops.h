// SPDX-License-Identifier: 0BSD
// The loops of tile_arm.h, which includes this file once for each kind of weights: KILN_WEIGHTS is their type, KILN_ADDRESS where they are,
// KILN_STEP_WEIGHTS steps over some of them, KILN_LOAD_<n>_AT_<s> reads the next n into s<s> and the registers that follow.
// They end with this file, which is empty without them.
#ifdef KILN_WEIGHTS

// clang-format off

// Two inputs at a time: 32 products for 16 words.
template <>
inline __attribute__((noinline)) void conv_tile<4, KILN_WEIGHTS>(const Tile& t, KILN_WEIGHTS weights, const float* b, int32_t o) {
  const void* w = KILN_ADDRESS(weights);
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_4 KILN_BIAS_4 KILN_ROWS(
      "ldr %[n], [%[t], %[at_count]]\n\t"
      "lsrs %[n], %[n], #1\n\t"
      "beq 4f\n"
      "3:\n\t"
      KILN_LOAD_8_AT_16
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
      KILN_LOAD_4_AT_16
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
  KILN_LOAD_16_AT_12 KILN_FMA4(0, 1, 2, 3, i0, 12, 13, 14, 15) KILN_FMA4(0, 1, 2, 3, i1, 16, 17, 18, 19) \
  KILN_FMA4(0, 1, 2, 3, i2, 20, 21, 22, 23) KILN_FMA4(0, 1, 2, 3, i3, 24, 25, 26, 27)
template <>
inline __attribute__((noinline)) void conv_tile<1, KILN_WEIGHTS>(const Tile& t, KILN_WEIGHTS weights, const float* b, int32_t o) {
  const void* w = KILN_ADDRESS(weights);
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
      KILN_LOAD_4_AT_12
      "vldmia %[x0]!, {s4}\n\t"
      "subs %[n], #1\n\t" KILN_FMA4(0, 1, 2, 3, 4, 12, 13, 14, 15)
      "bne 6b\n"
      "7:\n\t", KILN_STEP_1) KILN_RESULTS_1
      KILN_OPERANDS);
}
#undef KILN_ADD_4

template <>
inline __attribute__((noinline)) void depthwise_tile<4, KILN_WEIGHTS>(const Tile& t, KILN_WEIGHTS weights, const float* b, int32_t o) {
  const void* w = KILN_ADDRESS(weights);
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_4
      "add %[x0], %[x0], %[o], lsl #2\n\t"
      "add %[x1], %[x1], %[o], lsl #2\n\t"
      "add %[x2], %[x2], %[o], lsl #2\n\t"
      "add %[x3], %[x3], %[o], lsl #2\n\t" KILN_BIAS_4 KILN_TAPS(
      KILN_LOAD_4_AT_16
      "vldmia %[x0], {s20-s23}\n\t"
      "vldmia %[x1], {s24-s27}\n\t" KILN_FMA4_CHANNELS(0, 1, 2, 3, 20, 21, 22, 23, 16, 17, 18, 19)
      "vldmia %[x2], {s20-s23}\n\t" KILN_FMA4_CHANNELS(4, 5, 6, 7, 24, 25, 26, 27, 16, 17, 18, 19)
      "vldmia %[x3], {s24-s27}\n\t" KILN_FMA4_CHANNELS(8, 9, 10, 11, 20, 21, 22, 23, 16, 17, 18, 19) KILN_STEP_4("n")
      "subs %[cols], #1\n\t" KILN_FMA4_CHANNELS(12, 13, 14, 15, 24, 25, 26, 27, 16, 17, 18, 19), KILN_STEP_4) KILN_RESULTS_4
      KILN_OPERANDS);
}

template <>
inline __attribute__((noinline)) void depthwise_tile<1, KILN_WEIGHTS>(const Tile& t, KILN_WEIGHTS weights, const float* b, int32_t o) {
  const void* w = KILN_ADDRESS(weights);
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_1
      "add %[x0], %[x0], %[o], lsl #2\n\t" KILN_BIAS_1 KILN_TAPS(
      KILN_LOAD_4_AT_16
      "vldmia %[x0], {s20-s23}\n\t"
      "add %[x0], %[x0], %[n]\n\t"
      "subs %[cols], #1\n\t" KILN_FMA4_CHANNELS(0, 1, 2, 3, 20, 21, 22, 23, 16, 17, 18, 19), KILN_STEP_1) KILN_RESULTS_1
      KILN_OPERANDS);
}

// 4 neighbouring pixels whose windows of 3 columns overlap: 6 columns are read once each, the weights of a row once for all.
#define KILN_COLUMN "vldmia %[x0], {s28-s31}\n\t" "add %[x0], %[x0], %[n]\n\t"
#define KILN_COLUMN_FMA(a, b, c, d, w0, w1, w2, w3) KILN_FMA4_CHANNELS(a, b, c, d, 28, 29, 30, 31, w0, w1, w2, w3)
template <>
inline __attribute__((noinline)) void depthwise_line<KILN_WEIGHTS>(const Tile& t, KILN_WEIGHTS weights, const float* b, int32_t o) {
  const void* w = KILN_ADDRESS(weights);
  const float *x0, *x1, *x2, *x3;
  int32_t rows, cols, n;
  __asm__ volatile(
      KILN_BLOCK_1
      "add %[x0], %[x0], %[o], lsl #2\n\t" KILN_BIAS_4
      "ldr %[n], [%[t], %[x_col]]\n\t"
      "ldr %[cols], [%[t], %[x_line]]\n"
      "1:\n\t"
      KILN_LOAD_12_AT_16
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

#undef KILN_WEIGHTS
#undef KILN_ADDRESS
#undef KILN_STEP_WEIGHTS
#undef KILN_LOAD_4_AT_12
#undef KILN_LOAD_16_AT_12
#undef KILN_LOAD_4_AT_16
#undef KILN_LOAD_8_AT_16
#undef KILN_LOAD_12_AT_16
#endif
