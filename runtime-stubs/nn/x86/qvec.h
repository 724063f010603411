// SPDX-License-Identifier: 0BSD
// Sums of products of 8-bit integers on x86-64. A register holds int32 sums, one per lane, and each step adds `kStep` products per
// lane: two by pmaddwd (SSE2, AVX2, AVX-512BW; the bytes are widened to int16), or four by vpdpbusd (AVX-512 VNNI; x unsigned,
// weights signed). Sums wrap around like the hardware, so a detour over unsigned x is exact as long as the result fits.
#pragma once

#include <immintrin.h>

#include "../requant.h"
#include "../simd/vec.h"

namespace nn::x86 {

using simd::block_count;
using simd::block_start;

template <int32_t N>
struct ints_of {
  typedef int32_t type __attribute__((vector_size(N * 4)));
};
template <int32_t N>
using Ints = typename ints_of<N>::type;

template <int32_t N>
KILN_INLINE Ints<N> load_ints(const int32_t* p) {
  Ints<N> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <int32_t N>
KILN_INLINE Ints<N> splat_int(int32_t x) {
  return Ints<N>{} + x;
}

// pmaddwd on N lanes.
template <int32_t N>
struct PairDot {
  static constexpr int32_t kStep = 2;
  using Column = int16_t;  // how x stands in memory

  // N pairs of weights as int16.
  static KILN_INLINE Ints<N> weights(const int8_t* w) {
    if constexpr (N == 4) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(w));
#if defined(__SSE4_1__)
      return reinterpret_cast<Ints<N>>(_mm_cvtepi8_epi16(bytes));
#else
      return reinterpret_cast<Ints<N>>(_mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8));
#endif
    }
#if defined(__AVX2__)
    else if constexpr (N == 8) return reinterpret_cast<Ints<N>>(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w))));
#endif
#if defined(__AVX512BW__)
    else return reinterpret_cast<Ints<N>>(_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w))));
#endif
  }

  static KILN_INLINE Ints<N> add(Ints<N> sum, Ints<N> x, Ints<N> w) {
    if constexpr (N == 4) return sum + reinterpret_cast<Ints<N>>(_mm_madd_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(w)));
#if defined(__AVX2__)
    else if constexpr (N == 8)
      return sum + reinterpret_cast<Ints<N>>(_mm256_madd_epi16(reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(w)));
#endif
#if defined(__AVX512BW__)
    else return sum + reinterpret_cast<Ints<N>>(_mm512_madd_epi16(reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(w)));
#endif
  }
};

#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
// vpdpbusd on N lanes.
template <int32_t N>
struct QuadDot {
  static constexpr int32_t kStep = 4;
  using Column = uint8_t;

  static KILN_INLINE Ints<N> weights(const int8_t* w) {
    Ints<N> v;
    __builtin_memcpy(&v, w, sizeof v);
    return v;
  }

  static KILN_INLINE Ints<N> add(Ints<N> sum, Ints<N> x, Ints<N> w) {
    if constexpr (N == 4)
      return reinterpret_cast<Ints<N>>(_mm_dpbusd_epi32(reinterpret_cast<__m128i>(sum), reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(w)));
    else if constexpr (N == 8)
      return reinterpret_cast<Ints<N>>(_mm256_dpbusd_epi32(reinterpret_cast<__m256i>(sum), reinterpret_cast<__m256i>(x), reinterpret_cast<__m256i>(w)));
    else
      return reinterpret_cast<Ints<N>>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), reinterpret_cast<__m512i>(x), reinterpret_cast<__m512i>(w)));
  }
};
#endif

// The kind of step that the descriptor names: products per lane, 2 or 4.
template <int32_t Step, int32_t N>
struct dot_of { using type = PairDot<N>; };
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
template <int32_t N>
struct dot_of<4, N> { using type = QuadDot<N>; };
#endif

// What makes an 8-bit x unsigned: int8_t gets 128 added, which the packed bias takes back.
inline constexpr uint32_t kFlipSigned = 0x80808080u;
template <class X>
inline constexpr uint32_t kFlip = X(-1) < X(0) ? kFlipSigned : 0u;

// x within [least, most]; least for NaN. The compilers do not make these two instructions of comparisons.
template <int32_t N>
KILN_INLINE simd::Vec<N> clamp(simd::Vec<N> x, float least, float most) {
  if constexpr (N == 4) return _mm_min_ps(_mm_max_ps(x, _mm_set1_ps(least)), _mm_set1_ps(most));
#if defined(__AVX__)
  else if constexpr (N == 8) return _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(least)), _mm256_set1_ps(most));
#endif
#if defined(__AVX512F__)
  else return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(least)), _mm512_set1_ps(most));
#endif
}

// What makes N sums results: their multipliers and, where d.multiplier_stride is kPairs, what is added to them before.
template <int32_t N>
struct Factors {
  simd::Vec<N> multiplier, addend;
};

// The factors of N channels from `o` on.
template <int32_t N, class Y, class D>
KILN_INLINE Factors<N> factors_of(const D& d, const float* m, int32_t o) {
  Factors<N> factors{};
  if constexpr (nn::detail::keeps_sum<Y>) return factors;
  else if (d.multiplier_stride == nn::detail::kPairs) {
    for (int32_t i = 0; i < N; ++i) {
      factors.multiplier[i] = m[(o + i) * nn::detail::kPairs];
      factors.addend[i] = m[(o + i) * nn::detail::kPairs + 1];
    }
  } else {
    factors.multiplier = d.multiplier_stride == 0 ? simd::splat<N>(*m) : simd::load<N>(m + o);
  }
  return factors;
}

// Sums as floats, times their multipliers.
template <int32_t N, class D>
KILN_INLINE simd::Vec<N> scaled(const D& d, Ints<N> acc, Factors<N> factors) {
  simd::Vec<N> sum = __builtin_convertvector(acc, simd::Vec<N>);
  if (d.multiplier_stride == nn::detail::kPairs) sum += factors.addend;
  return sum * factors.multiplier;
}

// nn::round_within on N lanes.
template <int32_t N, class D>
KILN_INLINE Ints<N> round_within(const D& d, simd::Vec<N> scaled) {
  const simd::Vec<N> x = clamp<N>(scaled, static_cast<float>(d.low - d.y_zero_point), static_cast<float>(d.high - d.y_zero_point));
  return reinterpret_cast<Ints<N>>(x + simd::splat<N>(0x1.8p23f)) + (d.y_zero_point - bit_cast<int32_t>(0x1.8p23f));
}

// Stores the results of N sums; see nn::detail::finish_channel.
template <int32_t N, class D, class Y>
KILN_INLINE void finish(const D& d, Ints<N> acc, Factors<N> factors, Y* y) {
  typedef Y Results __attribute__((vector_size(N * sizeof(Y))));
  Results results;
  if constexpr (nn::detail::is_float_type<Y>) results = scaled<N>(d, acc, factors);
  else if constexpr (nn::detail::keeps_sum<Y>) results = acc;
  else results = __builtin_convertvector(round_within<N>(d, scaled<N>(d, acc, factors)), Results);
  __builtin_memcpy(y, &results, sizeof results);
}

}  // namespace nn::x86
