// SPDX-License-Identifier: 0BSD
// Dense layers and convolutions of 8-bit integers by outer products: a tile of `pixels` x (`vectors` * `lanes`) sums stays in
// registers. What a pixel's outputs depend on stands in a column of memory: the input itself where its bytes are adjacent and need
// no widening, else a copy on the stack, made once for all output channels. Weights minus w_zero_point are packed as
// [block][depth / step][vectors * lanes][step] with zeros beyond the depth; the last block of channels ends at the last channel and
// overlaps the one before it.
#pragma once

#include "../rows.h"
#include "qvec.h"

namespace nn::x86 {

KILN_INLINE constexpr int32_t round_up(int32_t n, int32_t step) { return (n + step - 1) / step * step; }

// Flip: columns are int8_t and become unsigned as they are read.
template <class Dot, bool Flip, int32_t Pixels, int32_t Vectors, int32_t Lanes>
struct QTile {
  Ints<Lanes> sum[Pixels][Vectors];

  KILN_INLINE void start(const int32_t* bias) {
#pragma GCC unroll 16
    for (int32_t v = 0; v < Vectors; ++v) {
#pragma GCC unroll 16
      for (int32_t p = 0; p < Pixels; ++p) sum[p][v] = load_ints<Lanes>(bias + v * Lanes);
    }
  }

  // Adds `depth` products, a multiple of the step: pixel p's column starts at x + p * stride.
  template <class Column>
  KILN_INLINE void add(int32_t depth, const Column* x, int32_t stride, const int8_t* w) {
    Ints<Lanes> flip = splat_int<Lanes>(static_cast<int32_t>(kFlipSigned));
    __asm__("" : "+v"(flip));  // known to be a constant, it would be applied before the broadcast, which then needs a general register
    for (int32_t k = 0; k < depth; k += Dot::kStep) {
      Ints<Lanes> weights[Vectors];
#pragma GCC unroll 16
      for (int32_t v = 0; v < Vectors; ++v) weights[v] = Dot::weights(w + v * Lanes * Dot::kStep);
#pragma GCC unroll 16
      for (int32_t p = 0; p < Pixels; ++p) {
        int32_t some;
        __builtin_memcpy(&some, x + p * stride, sizeof some);
        Ints<Lanes> inputs = splat_int<Lanes>(some);
        if constexpr (Flip) inputs ^= flip;
#pragma GCC unroll 16
        for (int32_t v = 0; v < Vectors; ++v) sum[p][v] = Dot::add(sum[p][v], inputs, weights[v]);
      }
      x += Dot::kStep;
      w += Vectors * Lanes * Dot::kStep;
    }
  }

  template <class D, class Y>
  KILN_INLINE void store(const D& d, const float* m, int32_t channel, Y* y, int32_t stride) {
#pragma GCC unroll 16
    for (int32_t v = 0; v < Vectors; ++v) {
      const Factors<Lanes> factors = factors_of<Lanes, Y>(d, m, channel + v * Lanes);
#pragma GCC unroll 16
      for (int32_t p = 0; p < Pixels; ++p) finish<Lanes>(d, sum[p][v], factors, y + p * stride + v * Lanes);
    }
  }
};

// All output channels of `Pixels` pixels; y is the first one's.
template <int32_t Pixels, bool Flip, class D, class Column, class Y>
KILN_INLINE void all_channels(const D& d, int32_t depth, int32_t channels, const Column* x, int32_t stride, const int8_t* w, const int32_t* b,
                              const float* m, Y* y) {
  using Dot = typename dot_of<D::step, D::lanes>::type;
  constexpr int32_t block = D::vectors * D::lanes;
  for (int32_t o = 0; o < block_count(block, channels); ++o) {
    const int32_t channel = block_start(o, block, channels);
    QTile<Dot, Flip, Pixels, D::vectors, D::lanes> tile;
    tile.start(b + channel);
    tile.add(depth, x, stride, w + o * depth * block);
    tile.store(d, m, channel, y + channel, channels);
  }
}

// One element of a column: bytes are unsigned (kFlip), int16_t are what they are.
template <class Column, class X>
KILN_INLINE Column column_element(X x) {
  if constexpr (sizeof(Column) == sizeof(X)) return static_cast<Column>(static_cast<Column>(x) ^ static_cast<Column>(kFlip<X>));
  else return static_cast<Column>(x);
}

template <class Column, class X>
KILN_INLINE void copy_elements(int32_t count, const X* x, Column* to) {
  if constexpr (sizeof(Column) == sizeof(X) && kFlip<X> == 0) {
    __builtin_memcpy(to, x, static_cast<size_t>(count));
    return;
  }
  int32_t i = 0;
  if constexpr (sizeof(Column) == sizeof(X)) {
    for (; i + 4 <= count; i += 4) {  // four at a time, as the runs of the first layers are short
      uint32_t four;
      __builtin_memcpy(&four, x + i, sizeof four);
      four ^= kFlip<X>;
      __builtin_memcpy(to + i, &four, sizeof four);
    }
  }
  for (; i < count; ++i) to[i] = column_element<Column>(x[i]);
}

// d has, besides the fields of the descriptor: step, lanes, vectors, pixels (pixels <= rows, lanes * vectors <= out).
template <class D, class X, class Y>
KILN_INLINE void qdense(const D& d, const X* x, const int8_t* w, const int32_t* b, const float* m, Y* y) {
  using Column = typename dot_of<D::step, D::lanes>::type::Column;
  constexpr int32_t depth = round_up(D::in, D::step);
  constexpr bool direct = sizeof(Column) == sizeof(X) && depth == D::in;
  for (int32_t r = 0; r < block_count(D::pixels, d.rows); ++r) {
    const int32_t row = block_start(r, D::pixels, d.rows);
    if constexpr (direct) {
      all_channels<D::pixels, kFlip<X> != 0>(d, depth, d.out, x + row * d.in, d.in, w, b, m, y + row * d.out);
    } else {
      alignas(64) Column columns[D::pixels * depth];
      for (int32_t p = 0; p < D::pixels; ++p) {
        copy_elements(d.in, x + (row + p) * d.in, columns + p * depth);
        for (int32_t k = d.in; k < depth; ++k) columns[p * depth + k] = 0;
      }
      all_channels<D::pixels, false>(d, depth, d.out, columns, depth, w, b, m, y + row * d.out);
    }
  }
}

}  // namespace nn::x86
