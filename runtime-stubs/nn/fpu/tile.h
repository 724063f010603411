// SPDX-License-Identifier: 0BSD
// Tiles of float sums for cores with a scalar FPU of 32 single registers: 4 output channels of 4 pixels, or of one pixel, stay in
// registers. A weight that is read serves 4 pixels, an input 4 channels. One copy of each function serves all layers: everything about a
// tile is run-time data.
//   weights [block of 4 channels][tap][input][4], so that one pointer reads them all; depthwise ones [block of 4 channels][tap][4]
// Arm has these loops in assembly: compilers do not load several floats by one VLDM there.
// Weights W are const float*, or narrow.h's.
#pragma once

#include "../narrow.h"

#if defined(__ARM_FP) && (__ARM_FP & 4) && defined(__ARM_FEATURE_FMA) && !defined(__aarch64__)
#define KILN_ARM_FPU 1
#endif

namespace nn::fpu {

inline constexpr int32_t kBlock = 4;  // channels

// The taps of a window that lie inside the image are `rows` rows of `cols` segments of `count` inputs, `rows` may be 0. Steps are in bytes,
// those of weights as if they were floats.
struct Tile {
  const float* x[4];  // of each pixel the first input
  float* y[4];        // of each pixel the first output channel
  int32_t rows, cols, count;
  int32_t x_col;         // from the end of a segment to the next one
  int32_t x_row, w_row;  // from the end of a row to the next one, in the inputs and in the weights
  int32_t w_block;       // from the end of a block's taps to those of the next block
  int32_t end;           // the channel behind the last block
  int32_t x_line;        // x_row for depthwise_line
  int32_t relu;          // 1: negative sums become 0
};

template <class T>
KILN_INLINE T* advance(T* p, int32_t bytes) {
  return p + bytes / static_cast<int32_t>(sizeof(T));
}

template <class Format>
KILN_INLINE NarrowWeights<Format> advance(NarrowWeights<Format> w, int32_t bytes) {
  return w + bytes / 4;
}

KILN_INLINE float activate(const Tile& t, float sum) { return t.relu != 0 && sum < 0.0f ? 0.0f : sum; }

template <int32_t Pixels>
KILN_INLINE void start_tile(const Tile& t, const float* b, int32_t offset, const float* (&x)[Pixels], float (&sum)[Pixels][kBlock]) {
#pragma GCC unroll 4
  for (int32_t p = 0; p < Pixels; ++p) {
    x[p] = t.x[p] + offset;
#pragma GCC unroll 4
    for (int32_t i = 0; i < kBlock; ++i) sum[p][i] = b[i];
  }
}

template <int32_t Pixels>
KILN_INLINE void step_tile(const float* (&x)[Pixels], int32_t bytes) {
#pragma GCC unroll 4
  for (int32_t p = 0; p < Pixels; ++p) x[p] = advance(x[p], bytes);
}

template <int32_t Pixels>
KILN_INLINE void finish_tile(const Tile& t, int32_t o, const float (&sum)[Pixels][kBlock]) {
#pragma GCC unroll 4
  for (int32_t p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int32_t i = 0; i < kBlock; ++i) t.y[p][o + i] = activate(t, sum[p][i]);
  }
}

// y[pixel][o] = bias + the sums over the taps, for channels o to t.end in blocks of 4, Pixels 4 or 1. w and b point to the first block's.
template <int32_t Pixels, class W>
inline __attribute__((noinline)) void conv_tile(const Tile& t, W w, const float* b, int32_t o) {
  for (; o < t.end; o += kBlock, b += kBlock, w = advance(w, t.w_block)) {
    float sum[Pixels][kBlock];
    const float* x[Pixels];
    start_tile(t, b, 0, x, sum);
    for (int32_t row = 0; row < t.rows; ++row) {
      for (int32_t col = 0; col < t.cols; ++col) {
#pragma GCC unroll 4
        for (int32_t k = 0; k < t.count; ++k, w += kBlock) {
#pragma GCC unroll 4
          for (int32_t p = 0; p < Pixels; ++p) {
            const float input = *x[p]++;
#pragma GCC unroll 4
            for (int32_t i = 0; i < kBlock; ++i) sum[p][i] += input * w[i];
          }
        }
        step_tile(x, col + 1 < t.cols ? t.x_col : t.x_row);
      }
      w = advance(w, t.w_row);
    }
    finish_tile(t, o, sum);
  }
}

// The same with a filter per channel. x_col is the step from each tap to the next, x_row what a new row takes besides.
template <int32_t Pixels, class W>
inline __attribute__((noinline)) void depthwise_tile(const Tile& t, W w, const float* b, int32_t o) {
  for (; o < t.end; o += kBlock, b += kBlock, w = advance(w, t.w_block)) {
    float sum[Pixels][kBlock];
    const float* x[Pixels];
    start_tile(t, b, o, x, sum);
    for (int32_t row = 0; row < t.rows; ++row) {
      for (int32_t col = 0; col < t.cols; ++col, w += kBlock) {
#pragma GCC unroll 4
        for (int32_t p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
          for (int32_t i = 0; i < kBlock; ++i) sum[p][i] += x[p][i] * w[i];
        }
        step_tile(x, t.x_col);
      }
      step_tile(x, t.x_row);
      w = advance(w, t.w_row);
    }
    finish_tile(t, o, sum);
  }
}

// Compilers do not keep the 32 floats of depthwise_line (tile_arm.h) in registers.
template <class W>
KILN_INLINE void depthwise_line(const Tile& t, W w, const float* b, int32_t o) {
  depthwise_tile<4>(t, w, b, o);
}

}  // namespace nn::fpu

#ifdef KILN_ARM_FPU
#include "tile_arm.h"
#endif
