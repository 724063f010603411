// SPDX-License-Identifier: 0BSD
// Integer dense layers, pointwise and general convolutions by SMLAD: tiles of 4 pixels x 2 output channels. The inputs of 4 pixels are
// widened to 16 bits once, into `scratch`, and serve all output channels.
//   columns[group][even, odd][pixel]: for each group of 4 inputs the pairs (0, 2) and (1, 3) of each of the 4 pixels, a word each
//   weights[channel pair][group][even, odd]: a word each, its bytes the weights of (channel 0, channel 1) for the pair's first input,
//     then for its second
// Inputs are padded with zero weights to a multiple of 4 per row of taps, channels to a multiple of 2.
#pragma once

#include "dsp.h"

namespace nn::dsp {

inline constexpr int32_t kPixels = 4;

// Two words per group, each with one word per pixel between it and the next.
template <class X>
KILN_INLINE void widen_group(uint32_t word, uint32_t* column) {
  column[0] = even_bytes<X>(word);
  column[kPixels] = odd_bytes<X>(word);
}

// Widens `count` bytes to groups of a column; the rest of the last group is whatever, its weights are 0.
template <class X>
KILN_INLINE uint32_t* widen_run(const X* x, int32_t count, uint32_t* column) {
  for (int32_t i = 0; i + 4 <= count; i += 4, column += 2 * kPixels) widen_group<X>(load_word(x + i), column);
  if (count % 4 != 0) {  // byte by byte: the tensor may end here
    uint32_t word = 0;
    for (int32_t i = 0; i < count % 4; ++i) word |= static_cast<uint32_t>(static_cast<uint8_t>(x[count / 4 * 4 + i])) << 8 * i;
    widen_group<X>(word, column);
    column += 2 * kPixels;
  }
  return column;
}

// The sums of a tile: add_tile(column, end, w, sum) takes the first and behind the last of the column's words, and in sum[0] and sum[1] the
// biases of its two channels; it leaves sum[pixel * 2 + channel] and returns the weights of the next two channels. It needs every
// register that there is, more than compilers hand out to an asm statement: r4-r11 sums, r0 column, r2 weights, r1 and r3 two pixels' inputs,
// r12 and lr two channels' weights. Two versions: columns of an even number of groups need fewer turns.
#define KILN_TILE_PAIR           \
  "ldr r12, [r2], #4\n\t"        \
  "ldrd r1, r3, [r0], #8\n\t"    \
  "sxtb16 lr, r12, ror #8\n\t"   \
  "sxtb16 r12, r12\n\t"          \
  "smlad r4, r1, r12, r4\n\t"    \
  "smlad r5, r1, lr, r5\n\t"     \
  "smlad r6, r3, r12, r6\n\t"    \
  "smlad r7, r3, lr, r7\n\t"     \
  "ldrd r1, r3, [r0], #8\n\t"    \
  "smlad r8, r1, r12, r8\n\t"    \
  "smlad r9, r1, lr, r9\n\t"     \
  "smlad r10, r3, r12, r10\n\t"  \
  "smlad r11, r3, lr, r11\n\t"
#define KILN_TILE_GROUP KILN_TILE_PAIR KILN_TILE_PAIR
#define KILN_TILE(groups)        \
  __asm__ volatile(              \
      KILN_ASM_STACK(44)         \
      "push {r4-r11, lr}\n\t"    \
      "push {r1, r3}\n\t"        \
      "ldrd r4, r5, [r3]\n\t"    \
      "mov r6, r4\n\t"           \
      "mov r7, r5\n\t"           \
      "mov r8, r4\n\t"           \
      "mov r9, r5\n\t"           \
      "mov r10, r4\n\t"          \
      "mov r11, r5\n\t"          \
      ".balign 4\n"              \
      "1:\n\t" groups            \
      "ldr r1, [sp]\n\t"         \
      "cmp r0, r1\n\t"           \
      "bne 1b\n\t"               \
      "ldr r3, [sp, #4]\n\t"     \
      "stm r3, {r4-r11}\n\t"     \
      "mov r0, r2\n\t"           \
      "add sp, #8\n\t"           \
      "pop {r4-r11, pc}")
inline __attribute__((naked, noinline)) const int8_t* add_tile(const uint32_t*, const uint32_t*, const int8_t*, int32_t*) { KILN_TILE(KILN_TILE_GROUP); }
inline __attribute__((naked, noinline)) const int8_t* add_even_tile(const uint32_t*, const uint32_t*, const int8_t*, int32_t*) {
  KILN_TILE(KILN_TILE_GROUP KILN_TILE_GROUP);
}
#undef KILN_TILE
#undef KILN_TILE_GROUP
#undef KILN_TILE_PAIR

// All output channels of 4 pixels, whose results start at y[0] to y[3].
template <class D, class Y>
KILN_INLINE void finish_tile(const D& d, int32_t channels, const uint32_t* columns, const uint32_t* end, const int8_t* w, const int32_t* b, const float* m,
                             Y* const (&y)[kPixels]) {
  for (int32_t o = 0; o < channels; o += 2) {
    int32_t sum[8];
    sum[0] = b[o];
    sum[1] = b[o + 1];
    w = (end - columns) % (4 * kPixels) == 0 ? add_even_tile(columns, end, w, sum) : add_tile(columns, end, w, sum);
    const float m0 = m[o * d.multiplier_stride], m1 = m[(o + 1) * d.multiplier_stride], a0 = addend_of(d, m, o), a1 = addend_of(d, m, o + 1);
#pragma GCC unroll 4
    for (int32_t p = 0; p < kPixels; ++p) {
      y[p][o] = static_cast<Y>(requantize_sum(d, sum[2 * p], m0, a0));
      if (channels % 2 == 0 || o + 1 < channels) y[p][o + 1] = static_cast<Y>(requantize_sum(d, sum[2 * p + 1], m1, a1));
    }
  }
}

// scratch: 8 bytes for each input, inputs rounded up to 4.
template <class D, class X, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  uint32_t* const columns = static_cast<uint32_t*>(static_cast<void*>(scratch));
  const uint32_t* const end = columns + (d.in + 3) / 4 * 2 * kPixels;
  for (int32_t row = 0; row < d.rows; row += kPixels) {
    const int32_t first = row + kPixels <= d.rows ? row : d.rows - kPixels;  // the last tile computes some rows again
    Y* outputs[kPixels];
#pragma GCC unroll 4
    for (int32_t p = 0; p < kPixels; ++p) {
      widen_run<X>(x + (first + p) * d.in, d.in, columns + p);
      outputs[p] = y + (first + p) * d.out;
    }
    finish_tile(d, d.out, columns, end, w, b, m, outputs);
  }
}

// ---- one row: 4 output channels at a time
// columns[group][even, odd]; weights[4 channels][group][channel]: a word each, the bytes in the order of the inputs.

#define KILN_CHANNEL_PAIR(a, b)               \
  "ldrd %[w0], %[w1], [%[w]], #8\n\t"         \
  "sxtb16 %[t], %[w0]\n\t"                    \
  "smlad %[" a "], %[x0], %[t], %[" a "]\n\t" \
  "sxtb16 %[w0], %[w0], ror #8\n\t"           \
  "smlad %[" a "], %[x1], %[w0], %[" a "]\n\t" \
  "sxtb16 %[t], %[w1]\n\t"                    \
  "smlad %[" b "], %[x0], %[t], %[" b "]\n\t" \
  "sxtb16 %[w1], %[w1], ror #8\n\t"           \
  "smlad %[" b "], %[x1], %[w1], %[" b "]\n\t"
#define KILN_CHANNELS "ldrd %[x0], %[x1], [%[x]], #8\n\t" KILN_CHANNEL_PAIR("a", "b") KILN_CHANNEL_PAIR("c", "d")
#define KILN_CHANNEL_LOOP(groups)                                                                                                                   \
  __asm__ volatile(                                                                                                                                 \
      ".balign 4\n"                                                                                                                                 \
      "1:\n\t" groups "cmp %[x], %[end]\n\t"                                                                                                        \
      "bne 1b"                                                                                                                                      \
      : [x] "+&r"(column), [w] "+&r"(w), [a] "+&r"(sum[0]), [b] "+&r"(sum[1]), [c] "+&r"(sum[2]), [d] "+&r"(sum[3]), [w0] "=&r"(w0), [w1] "=&r"(w1), \
        [x0] "=&r"(x0), [x1] "=&r"(x1), [t] "=&r"(t)                                                                                                \
      : [end] "r"(end)                                                                                                                              \
      : "cc", "memory")
KILN_INLINE const int8_t* add_channels(const uint32_t* column, const uint32_t* end, const int8_t* w, int32_t (&sum)[4]) {
  uint32_t w0, w1, x0, x1, t;
  if ((end - column) % 4 == 0) KILN_CHANNEL_LOOP(KILN_CHANNELS KILN_CHANNELS);
  else KILN_CHANNEL_LOOP(KILN_CHANNELS);
  return w;
}
#undef KILN_CHANNEL_LOOP
#undef KILN_CHANNELS
#undef KILN_CHANNEL_PAIR

// For fewer than 4 rows. scratch: 2 bytes for each input, inputs rounded up to 4.
template <class D, class X, class Y>
KILN_INLINE void qdense_row(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y, uint8_t* scratch) {
  uint32_t* const columns = static_cast<uint32_t*>(static_cast<void*>(scratch));
  const int32_t groups = (d.in + 3) / 4;
  for (int32_t row = 0; row < d.rows; ++row, x += d.in, y += d.out) {
    for (int32_t g = 0; g < groups; ++g) {
      uint32_t word = 0;
      if (4 * g + 4 <= d.in) word = load_word(x + 4 * g);
      else
        for (int32_t i = 4 * g; i < d.in; ++i) word |= static_cast<uint32_t>(static_cast<uint8_t>(x[i])) << 8 * (i - 4 * g);
      columns[2 * g] = even_bytes<X>(word);
      columns[2 * g + 1] = odd_bytes<X>(word);
    }
    const int8_t* weights = w;
    for (int32_t o = 0; o < d.out; o += 4) {
      int32_t sum[4] = {b[o], b[o + 1], b[o + 2], b[o + 3]};
      weights = add_channels(columns, columns + 2 * groups, weights, sum);
#pragma GCC unroll 4
      for (int32_t i = 0; i < 4; ++i)
        if (d.out % 4 == 0 || o + i < d.out) y[o + i] = static_cast<Y>(requantize_sum(d, sum[i], m[(o + i) * d.multiplier_stride], addend_of(d, m, o + i)));
    }
  }
}

}  // namespace nn::dsp
