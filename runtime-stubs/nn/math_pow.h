// SPDX-License-Identifier: 0BSD
// x^y for float and (with math_f64.h) double, with the special cases of C's pow.
//
// Float: |x|^y = 2^(y log2 |x|), in integers. The integer part of the exponent takes eight bits of
// the product that float does not have; a core without double has them in its integer unit, which
// moreover gives the same result on every core.
// - log2: |x| = 2^k z, z in [0.699, 1.398). Each sixteenth of that interval has a c near 1/z, of 8
//   bits, such that r = z c - 1 is exact and below 1/30. log2 |x| = k - log2(c) + log2(1 + r), the
//   last a polynomial. Around 1, c = 1 and k = 0, so the result there keeps its relative accuracy,
//   which a great y needs.
// - 2^v: the integer part goes to the exponent, 2^fraction is a polynomial; one rounding, to normal
//   or denormal.
//
// A number "in 2^-q" is an integer that counts units of 2^-q.
#pragma once

#include "math_round.h"

namespace nn {
namespace math {

/// Powers of positive, finite numbers to finite exponents.
template <class T>
struct Pow;

template <>
struct Pow<float> {
  static constexpr uint32_t kOffset = 0x3f330000u;  // the bits of 0.699
  static constexpr uint32_t kAroundOne = 9;         // the sixteenth that contains 1
  // c in 2^-7, -log2(c) in 2^-55.
  static constexpr uint8_t kInverse[16] = {179, 172, 165, 158, 152, 147, 142, 137, 133, 128, 121, 115, 109, 103, 98, 94};
  static constexpr int64_t kLog2[16] = {-0x3dedace651c441, -0x368fd7ee710541, -0x2ee3a574fdf678, -0x26e2499d499bda, -0x1fbc16b902680a,
                                        -0x198edd077e70df, -0x132ae9e278ae1a, -0x0c8c50b72319ad, -0x07137eae42aad8, 0,
                                        0x0a62b07f3457c4,  0x13c6fb650cde51,  0x1dac22d3e441d3,  0x2820c02f87d945,  0x315130157f7a65,
                                        0x39033b85a8bfc8};

  /// (a * b) >> 32 of a full product.
  static KILN_INLINE int64_t multiply_high(int64_t a, int32_t b) {
    return static_cast<int64_t>(static_cast<int32_t>(a >> 32)) * b + (static_cast<int64_t>(static_cast<uint32_t>(a)) * b >> 32);
  }

  /// log2(1 + r) in 2^-64; r in 2^-35, |r| < 0.033.
  static KILN_INLINE int64_t log2_near_one(int32_t r) {
    // The highest power first; in 2^-30, and in 2^-61 the one of r.
    static constexpr int32_t kCoefficients[] = {310144163, -387270268, 516360560, -774541002};
    constexpr int64_t kLog2E = 0x2e2a8eca5705fc2f;
    int32_t sum = -258576216;
    for (const int32_t c : kCoefficients) sum = c + static_cast<int32_t>(static_cast<int64_t>(sum) * r >> 35);
    return multiply_high(kLog2E + (static_cast<int64_t>(sum) * r >> 4), r);
  }

  struct Log2 {
    int64_t value;  // in 2^-bits
    int32_t bits;   // 55, or 64 around x = 1
  };

  static KILN_INLINE Log2 log2(float x) {
    const bool tiny = x < Binary<float>::kMinNormal;
    const uint32_t x_bits = bits_of(tiny ? x * Binary<float>::kIntegral : x);
    const uint32_t offset = x_bits - kOffset;
    const uint32_t sixteenth = offset >> 19 & 15;
    const int32_t scaled_k = static_cast<int32_t>(offset) >> 23;
    const int32_t k = scaled_k - (tiny ? 23 : 0);
    const uint32_t z_bits = x_bits - (static_cast<uint32_t>(scaled_k) << 23);
    // z in 2^-24, its biased exponent being 126 or 127; z c in 2^-31, r in 2^-35.
    const uint32_t z = ((z_bits & 0x7fffffu) | 0x800000u) << (z_bits >> 23 & 1);
    const int32_t r = static_cast<int32_t>((z * kInverse[sixteenth] - 0x80000000u) << 4);
    const int64_t near_one = log2_near_one(r);
    if (sixteenth == kAroundOne && k == 0) return {near_one, 64};
    return {static_cast<int64_t>(k) * (static_cast<int64_t>(1) << 55) + kLog2[sixteenth] + (near_one >> 9), 55};
  }

  /// x >> n, x >= 0. In words, because for RV32 at -Os g++ calls its library for 64-bit shifts.
  static KILN_INLINE int64_t shift_right(int64_t x, int32_t n) {
    const uint32_t high = static_cast<uint32_t>(x >> 32);
    if (n >= 32) return n < 64 ? high >> (n - 32) : 0;
    const uint32_t low = static_cast<uint32_t>(x) >> n | high << 1 << (31 - n);
    return static_cast<int64_t>(static_cast<uint64_t>(high >> n) << 32 | low);
  }

  /// |y| * log in 2^-40, limited to 200, where all has long become overflow or underflow; log >= 0.
  static KILN_INLINE int64_t exponent(int64_t log, int32_t bits, float y) {
    constexpr int64_t kLimit = static_cast<int64_t>(200) << 40;
    const Decoded<float> factor = decode(abs(y));
    int64_t product = multiply_high(log, static_cast<int32_t>(factor.mantissa << 7));
    int32_t shift = factor.exponent + 32 - 7 + 40 - bits;
    if (shift < 0) return min(shift_right(product, -shift), kLimit);
    // The least log that is not 0 is 2^40, so ten steps reach the limit.
    for (shift = min<int32_t>(shift, 10); shift > 0; shift--) product = min(product + product, kLimit);
    return product;
  }

  /// 2^v, v in 2^-40.
  static KILN_INLINE float exp2(int64_t v) {
    // The highest power first, in 2^-30.
    static constexpr uint32_t kCoefficients[] = {154374, 1440856, 10323258, 59598065, 257941138, 744261122, 1u << 30};
    const int32_t n = static_cast<int32_t>(v >> 40);
    const uint32_t fraction = static_cast<uint32_t>(v >> 8);  // in 2^-32
    uint32_t sum = 23011;
    for (const uint32_t c : kCoefficients) sum = c + static_cast<uint32_t>(static_cast<uint64_t>(sum) * fraction >> 32);
    if (n > Binary<float>::kBias) return Binary<float>::kInfinity;
    // The implicit one of the rounded mantissa makes up for the 1 that the exponent is short of; a
    // denormal has none.
    const int32_t below = max<int32_t>(1 - Binary<float>::kBias - n, 0);
    if (below > 24) return 0.0f;
    const uint32_t rounded = (sum + (64u << below)) >> (7 + below);
    return bit_cast<float>((static_cast<uint32_t>(n + below + Binary<float>::kBias - 1) << 23) + rounded);
  }

  static KILN_INLINE float positive(float x, float y) {
    const Log2 log = log2(x);
    const int64_t v = exponent(log.value < 0 ? -log.value : log.value, log.bits, y);
    return exp2((log.value < 0) != (y < 0.0f) ? -v : v);
  }
};

template <class T>
KILN_INLINE bool is_integer(T x) {
  return x == trunc(x);
}

/// x^y. Negative x need an integer y (else NaN); anything^0 and 1^anything are 1, even for NaN.
template <class T>
KILN_INLINE T pow(T x, T y) {
  constexpr T kInfinity = Binary<T>::kInfinity;
  if (y == T(0) || x == T(1)) return T(1);
  if (is_nan(x) || is_nan(y)) return Binary<T>::kNan;
  const T a = abs(x);
  const bool integer = is_integer(y);  // also if infinite
  const bool odd = integer && !is_integer(T(0.5) * y);
  if (x < T(0) && a < kInfinity && !integer) return Binary<T>::kNan;
  T power;
  if (is_inf(y)) {
    power = a == T(1) ? T(1) : (a > T(1)) == (y > T(0)) ? kInfinity : T(0);
  } else if (a == T(0) || a == kInfinity) {
    power = (a == T(0)) == (y < T(0)) ? kInfinity : T(0);
  } else {
    power = Pow<T>::positive(a, y);
  }
  return odd ? copysign(power, x) : power;
}

}  // namespace math

using math::pow;

}  // namespace nn
