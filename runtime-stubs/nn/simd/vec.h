// SPDX-License-Identifier: 0BSD
// Vectors of N floats by the vector extensions of GCC and Clang: the same source for SSE, AVX and AVX-512.
#pragma once

#include "../functors.h"

namespace nn::simd {

template <int32_t N>
struct vector_of {
  typedef float type __attribute__((vector_size(N * 4)));
};
template <int32_t N>
using Vec = typename vector_of<N>::type;

template <int32_t N>
KILN_INLINE Vec<N> load(const float* p) {
  Vec<N> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <int32_t N>
KILN_INLINE void store(float* p, Vec<N> v) {
  __builtin_memcpy(p, &v, sizeof v);
}

template <int32_t N>
KILN_INLINE Vec<N> splat(float x) {
  return Vec<N>{} + x;
}

// An activation on a vector: element by element, which the compiler turns into vector code where it can; the frequent
// ones are written out.
template <class F>
struct Activation {
  template <int32_t N, class D>
  static KILN_INLINE Vec<N> apply(const D& d, Vec<N> v) {
    for (int32_t i = 0; i < N; ++i) v[i] = F::apply(d, v[i]);
    return v;
  }
};

template <>
struct Activation<fn::none> {
  template <int32_t N, class D>
  static KILN_INLINE Vec<N> apply(const D&, Vec<N> v) { return v; }
};

template <>
struct Activation<fn::relu> {
  template <int32_t N, class D>
  static KILN_INLINE Vec<N> apply(const D&, Vec<N> v) { return v < splat<N>(0.0f) ? splat<N>(0.0f) : v; }
};

template <>
struct Activation<fn::clip> {
  template <int32_t N, class D>
  static KILN_INLINE Vec<N> apply(const D& d, Vec<N> v) {
    const Vec<N> low = splat<N>(d.alpha), high = splat<N>(d.beta);
    v = v < low ? low : v;
    return v > high ? high : v;
  }
};

template <>
struct Activation<fn::leaky_relu> {
  template <int32_t N, class D>
  static KILN_INLINE Vec<N> apply(const D& d, Vec<N> v) { return v < splat<N>(0.0f) ? v * d.alpha : v; }
};

// The start of block `i` of blocks of `size` that cover [0, all): the last one is moved back to end at `all`, so that it
// computes some elements again instead of needing a partial vector. all >= size.
KILN_INLINE int32_t block_start(int32_t i, int32_t size, int32_t all) {
  const int32_t start = i * size;
  return start + size <= all ? start : all - size;
}

KILN_INLINE constexpr int32_t block_count(int32_t size, int32_t all) { return (all + size - 1) / size; }

}  // namespace nn::simd
