// SPDX-License-Identifier: 0BSD
// Vectors of N floats by the vector extensions of GCC and Clang: the same source for SSE, AVX and AVX-512.
#pragma once

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "../functors.h"
#include "../narrow.h"

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
struct words_of {
  typedef int16_t halves __attribute__((vector_size(N * 2)));
  typedef int32_t words __attribute__((vector_size(N * 4)));
  typedef uint32_t type __attribute__((vector_size(N * 4)));
};

// Narrow weights as the low halves of words, with copies of the sign in the high ones.
template <int32_t N>
KILN_INLINE typename words_of<N>::type load_words(const uint16_t* p) {
  typename words_of<N>::halves halves;
  __builtin_memcpy(&halves, p, sizeof halves);
  return reinterpret_cast<typename words_of<N>::type>(__builtin_convertvector(halves, typename words_of<N>::words));
}

template <int32_t N>
KILN_INLINE Vec<N> load(Bf16 w) {
  return reinterpret_cast<Vec<N>>(load_words<N>(w.at) << 16);
}

template <int32_t N>
KILN_INLINE Vec<N> load(F16 w) {
#if defined(__F16C__)
  if constexpr (N == 4) return reinterpret_cast<Vec<N>>(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(w.at))));
  else if constexpr (N == 8) return reinterpret_cast<Vec<N>>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w.at))));
  else
#endif
#if defined(__F16C__) && defined(__AVX512F__)
  if constexpr (N == 16) return reinterpret_cast<Vec<N>>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w.at))));
  else
#endif
  return reinterpret_cast<Vec<N>>(load_words<N>(w.at) << 13 & F16Format::kMask) * F16Format::kScale;
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
