// SPDX-License-Identifier: 0BSD
// Rounding to the integer grid of a quantized tensor, as ONNX defines it on float32: real numbers are divided by the scale, rounded to
// nearest with ties to even, shifted by the zero point and saturated; a sum of products of integers is converted to float and
// multiplied by m = float(x_scale * w_scale / y_scale) instead. Every result is the same on all cores: those without float
// instructions get the product and its roundings by integer operations. A bias that lies between the whole numbers of
// x_scale * w_scale is added to the converted sum, in its unit: round(float(float(sum) + addend) * m).
//
// Everywhere: low - zero_point and high - zero_point are below 2^22 in magnitude (results have at most 16 bits), low <= high.
#pragma once

#include "base.h"

namespace nn {

// Whether the core multiplies floats itself. ARM compilers say what the FPU does in __ARM_FP (bit 2: 32-bit floats), those for
// RISC-V how wide the float registers are, or that floats live in integer registers (zfinx).
#if defined(__SOFTFP__) || (defined(__arm__) && (!defined(__ARM_FP) || (__ARM_FP & 4) == 0)) || \
    (defined(__riscv) && !defined(__riscv_flen) && !defined(__riscv_zfinx))
inline constexpr bool kFloatUnit = false;
#else
inline constexpr bool kFloatUnit = true;
#endif

// A product that is rounded to float before it is added to something. GCC joins a product and a sum to one fused
// operation, with other results, wherever it can; it does not see through this.
KILN_INLINE float rounded(float product) {
#if defined(__FP_FAST_FMAF) && !defined(__clang__)
#if defined(__arm__)
  __asm__("" : "+t"(product));
#elif defined(__riscv)
  __asm__("" : "+f"(product));
#else  // one operation, and one that a loop can be vectorised with, unlike asm; infinity saturates in the end anyway
  product = product < -0x1.fffffep127f ? -0x1.fffffep127f : product;
#endif
#endif
  return product;
}

// clamp(round_half_even(x) + zero_point, low, high); low for NaN.
KILN_INLINE int32_t round_within(float x, int32_t zero_point, int32_t low, int32_t high) {
  const float least = static_cast<float>(low - zero_point), most = static_cast<float>(high - zero_point);
  x = x > least ? x : least;
  x = x < most ? x : most;
  // Floats from 2^23 on have no fraction, so the addition rounds, and the sum's last bits are the integer.
  return bit_cast<int32_t>(x + 0x1.8p23f) - bit_cast<int32_t>(0x1.8p23f) + zero_point;
}

// clamp(round_half_even(x / scale) + zero_point, low, high); low for NaN.
KILN_INLINE int32_t quantize_value(float x, float scale, int32_t zero_point, int32_t low, int32_t high) {
  return round_within(x / scale, zero_point, low, high);
}

namespace detail {

// `value` / 2^shift, rounded half to even; 0 < shift, and value + 2^shift fits.
template <class U>
KILN_INLINE U shift_half_even(U value, int32_t shift) {
  return static_cast<U>((value + (U(1) << (shift - 1)) - 1 + ((value >> shift) & 1)) >> shift);
}

// min(max(x, low), high) in the same number of instructions for every x: compilers would rather branch. Differences fit int32_t.
KILN_INLINE int32_t clamp_steadily(int32_t x, int32_t low, int32_t high) {
  int32_t above = x - low;
  above &= ~(above >> 31);
  int32_t below = above - (high - low);
  below &= below >> 31;
  return below + high;
}

// Zero bits before the first set bit of x; anything from 0 to 31 for 0.
KILN_INLINE int32_t leading_zeros(uint32_t x) {
#if defined(__arm__) && !defined(__ARM_FEATURE_CLZ) || defined(__riscv) && !defined(__riscv_zbb)
  uint32_t zeros = 0;
#pragma GCC unroll 5
  for (uint32_t bits = 16; bits > 0; bits /= 2) {
    const uint32_t shift = (((x >> (32 - bits)) - 1) >> 31) * bits;  // `bits` if the first `bits` bits are 0
    x <<= shift;
    zeros += shift;
  }
  return static_cast<int32_t>(zeros);
#else
  return __builtin_clz(x | 1u);
#endif
}

// |acc| as a fraction of 32 bits whose first bit is set, times 2^exponent; the bits that are lost leave a trace in the last
// one, so that the fraction rounds to fewer bits as |acc| does. The bits of 0 are 0.
struct Fraction {
  uint32_t bits;
  int32_t exponent;
};
KILN_INLINE Fraction fraction_of(uint32_t magnitude) {
  const int32_t zeros = leading_zeros(magnitude);
  return {magnitude << zeros, -zeros};
}
KILN_INLINE Fraction fraction_of(uint64_t magnitude) {
  const int32_t zeros = __builtin_clzll(magnitude | 1u);
  const uint64_t shifted = magnitude << zeros;
  const uint32_t rest = static_cast<uint32_t>(shifted) != 0 ? 1u : 0u;
  return {static_cast<uint32_t>(shifted >> 32) | rest, 32 - zeros};
}
KILN_INLINE uint32_t magnitude_of(int32_t x) { return x < 0 ? 0u - static_cast<uint32_t>(x) : static_cast<uint32_t>(x); }
KILN_INLINE uint64_t magnitude_of(int64_t x) { return x < 0 ? uint64_t{0} - static_cast<uint64_t>(x) : static_cast<uint64_t>(x); }

}  // namespace detail

// clamp(round_half_even(float(acc) * m) + zero_point, low, high) by float operations. Acc is int32_t or int64_t; m >= 0.
template <class Acc>
KILN_INLINE int32_t requantize_float(Acc acc, float m, int32_t zero_point, int32_t low, int32_t high) {
  return round_within(static_cast<float>(acc) * m, zero_point, low, high);
}

// The same by integer operations: float(acc) and the product each keep 24 significant bits, rounded half to even. No branches, so that
// the time does not depend on the numbers (32-bit sums).
template <class Acc>
KILN_INLINE int32_t requantize_integer(Acc acc, float m, int32_t zero_point, int32_t low, int32_t high) {
  const uint32_t m_bits = bit_cast<uint32_t>(m);
  const detail::Fraction x = detail::fraction_of(detail::magnitude_of(acc));
  uint32_t significand = x.bits >> 8;
  significand += ((x.bits & 0xffu) + (significand & 1u) + 0x7fu) >> 8;
  // Both factors lie in [2^23, 2^24], so the product has 47 or 48 bits; it gets 48.
  uint64_t product = static_cast<uint64_t>(significand) * ((m_bits & 0x7fffffu) | 0x800000u);
  const uint32_t longer = static_cast<uint32_t>(product >> 47);
  product += product & (static_cast<uint64_t>(longer) - 1);
  const uint32_t q = static_cast<uint32_t>(detail::shift_half_even(product, 24));
  // The result is q / 2^right. From 26 on it is 0, also for a subnormal m; below 1 it is beyond every bound, as it is for 1.
  const int32_t right = 150 - static_cast<int32_t>(m_bits >> 23) - x.exponent - 31 - static_cast<int32_t>(longer);
  const int32_t rounded_off = static_cast<int32_t>(detail::shift_half_even(q, detail::clamp_steadily(right, 1, 26)));
  const int32_t sign = acc < 0 ? -1 : 0;
  return detail::clamp_steadily((rounded_off ^ sign) - sign + zero_point, low, high);
}

// clamp(round_half_even(float(acc) * m) + zero_point, low, high); m is positive or zero.
template <class Acc>
KILN_INLINE int32_t requantize(Acc acc, float m, int32_t zero_point, int32_t low, int32_t high) {
  if constexpr (kFloatUnit) return requantize_float(acc, m, zero_point, low, high);
  else return requantize_integer(acc, m, zero_point, low, high);
}

namespace detail {

template <bool wide>
struct Accumulator { using type = int32_t; };
template <>
struct Accumulator<true> { using type = int64_t; };

template <class T>
inline constexpr bool is_float_type = T(1) / T(2) != T(0);

// Whether results of type Y are the sums themselves, without a multiplier.
template <class Y>
inline constexpr bool keeps_sum = !is_float_type<Y> && sizeof(Y) == 4;

// Output channel `o` of a layer has the multiplier m[o * d.multiplier_stride]; with a stride of kPairs its addend follows.
inline constexpr int32_t kPairs = 2;

// The multiplier of output channel `o`; none is read for results that are sums.
template <class Y, class D>
KILN_INLINE float multiplier_of(const D& d, const float* m, int32_t o) {
  if constexpr (keeps_sum<Y>) return 0.0f;
  else return m[o * d.multiplier_stride];
}

// What a layer stores for the sum `acc`: the sum itself (int32_t), the real number (float), or the quantized one.
template <class Y, class D, class Acc>
KILN_INLINE Y finish_sum(const D& d, Acc acc, float m) {
  if constexpr (is_float_type<Y>) return static_cast<Y>(acc) * m;
  else if constexpr (keeps_sum<Y>) return static_cast<Y>(acc);
  else return static_cast<Y>(requantize(acc, m, d.y_zero_point, d.low, d.high));
}

// The same for output channel `o`, with its multiplier and addend.
template <class Y, class D, class Acc>
KILN_INLINE Y finish_channel(const D& d, Acc acc, const float* m, int32_t o) {
  if constexpr (!keeps_sum<Y>) {
    if (d.multiplier_stride == kPairs) {
      const float scaled = (static_cast<float>(acc) + m[o * kPairs + 1]) * m[o * kPairs];
      if constexpr (is_float_type<Y>) return scaled;
      else return static_cast<Y>(round_within(scaled, d.y_zero_point, d.low, d.high));
    }
  }
  return finish_sum<Y>(d, acc, multiplier_of<Y>(d, m, o));
}

}  // namespace detail

}  // namespace nn
