// SPDX-License-Identifier: 0BSD
// Trigonometric functions and their inverses, for float and (with math_f64.h) double.
//
// sin, cos, tan: |x| = quadrant * pi/2 + r with |r| <= pi/4, then polynomials in r. The quotient
// |x| * 2/pi is computed in integers (the method of Payne and Hanek): the mantissa times those bits
// of 2/pi that decide on the last two bits of the quadrant and on the fraction. This is right for
// every x up to the largest, needs no other method for small ones, and is cheap without an FPU. r
// comes with its own rounding error, so the reduction costs no accuracy.
//
// asin, acos: a polynomial up to 1/2, above that asin x = pi/2 - 2 asin(sqrt((1 - x)/2)).
//
// atan: a polynomial up to tan(pi/8), above that atan x = pi/4 + atan((x - 1)/(x + 1)), above
// tan(3 pi/8) atan x = pi/2 + atan(-1/x).
//
// Polynomials are minimax fits of the relative error (Remez exchange).
#pragma once

#include "math_round.h"

namespace nn {
namespace math {

template <class T>
struct Trig;

template <>
struct Trig<float> {
  static constexpr float kQuarterPi = 0x1.921fb6p-1f;
  static constexpr float kHalfPi = 0x1.921fb6p+0f;
  static constexpr float kHalfPiRest = -0x1.777a5cp-25f;  // pi/2 - kHalfPi
  static constexpr float kTanEighthPi = 0x1.a8279ap-2f;
  static constexpr float kTanThreeEighthsPi = 0x1.3504f4p+1f;

  // 2/pi in binary: kZeroWords words before the point, then the fraction.
  static constexpr int kZeroWords = 1;
  static constexpr int kMantissaWords = 1;
  static constexpr int kWindowWords = 3;
  static constexpr int kFractionWords = 2;
  static constexpr uint32_t kTwoOverPi[] = {0, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};

  /// (sin(x)/x - 1) / z, z = x^2, |x| <= pi/4.
  static KILN_INLINE float sin(float z) { return polynomial(z, -1.66666552e-1f, 8.33218917e-3f, -1.95182904e-4f); }
  /// (cos(x) - 1 + z/2) / z^2, z = x^2, |x| <= pi/4.
  static KILN_INLINE float cos(float z) { return polynomial(z, 4.16666456e-2f, -1.38873095e-3f, 2.44323237e-5f); }
  /// (asin(x)/x - 1) / z, z = x^2, |x| <= 0.5.
  static KILN_INLINE float asin(float z) {
    return polynomial(z, 1.66667521e-1f, 7.49530941e-2f, 4.54691537e-2f, 2.41846740e-2f, 4.21587527e-2f);
  }
  /// (atan(x)/x - 1) / z, z = x^2, |x| <= tan(pi/8).
  static KILN_INLINE float atan(float z) {
    return polynomial(z, -3.33333164e-1f, 1.99985281e-1f, -1.42443910e-1f, 1.05991676e-1f, -6.09004833e-2f);
  }
};

/// An angle as quadrant * pi/2 + (r + rest), |r| <= pi/4; the quadrant counts modulo 4.
template <class T>
struct Angle {
  T r;
  T rest;
  uint32_t quadrant;
};

/// x * 2/pi modulo 4, kFractionWords words with the most significant first and the point after its
/// second bit. Bits of 2/pi above the window only add multiples of 4 to the product.
template <class T>
KILN_INLINE void multiply_by_two_over_pi(T x, uint32_t* quotient) {
  using P = Trig<T>;
  const Decoded<T> d = decode(x);
  const uint32_t first = static_cast<uint32_t>(static_cast<int32_t>(d.exponent) + 32 * P::kZeroWords - 2);
  const uint32_t shift = first % 32;
  const uint32_t* words = P::kTwoOverPi + first / 32;
  uint32_t window[P::kWindowWords];
  for (int i = 0; i < P::kWindowWords; i++) window[i] = words[i] << shift | words[i + 1] >> 1 >> (31 - shift);
  uint32_t product[P::kWindowWords];
  for (int m = 0; m < P::kMantissaWords; m++) {
    const uint32_t factor = static_cast<uint32_t>(static_cast<uint64_t>(d.mantissa) >> (32 * m));
    uint64_t carry = 0;
    for (int i = P::kWindowWords - 1; i >= m; i--) {
      carry += static_cast<uint64_t>(factor) * window[i];
      if (m > 0) carry += product[i - m];
      product[i - m] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  for (int i = 0; i < P::kFractionWords; i++) quotient[i] = product[i];
}

template <class T>
KILN_INLINE Angle<T> reduce_angle(T x) {
  constexpr int kWords = Trig<T>::kFractionWords;
  if (x <= Trig<T>::kQuarterPi) return {x, T(0), 0};
  if (!(x < Binary<T>::kInfinity)) return {Binary<T>::kNan, T(0), 0};
  uint32_t words[kWords];
  multiply_by_two_over_pi(x, words);
  const uint32_t quadrant = (words[0] + 0x20000000u) >> 30;
  words[0] -= quadrant << 30;
  const bool negative = words[0] >> 31 != 0;
  if (negative) {
    uint32_t carry = 1;
    for (int i = kWords - 1; i >= 0; i--) {
      words[i] = ~words[i] + carry;
      carry = words[i] < carry ? 1 : 0;
    }
  }
  // Each further step is needed by half as many angles.
  IntOf<T> exponent = 3;
  for (; words[0] >> 31 == 0; exponent--) {
    for (int i = 0; i + 1 < kWords; i++) words[i] = words[i] << 1 | words[i + 1] >> 31;
    words[kWords - 1] <<= 1;
  }
  static constexpr uint32_t kQuarterPi[] = {0xc90fdaa2u, 0x2168c234u};
  const uint64_t product = static_cast<uint64_t>(words[0]) * kQuarterPi[0] + (static_cast<uint64_t>(words[0]) * kQuarterPi[1] >> 32) +
                           (static_cast<uint64_t>(words[1]) * kQuarterPi[0] >> 32);
  // Pieces that every core converts exactly, with its conversion from int32_t.
  const T high = static_cast<T>(static_cast<int32_t>(product >> 40));
  const T middle = static_cast<T>(static_cast<int32_t>(product >> 16 & 0xffffffu));
  const T low = static_cast<T>(static_cast<int32_t>(product & 0xffffu));
  const T larger = sizeof(T) == 4 ? high : high + middle * T(0x1p-24);
  const T smaller = sizeof(T) == 4 ? middle * T(0x1p-24) : low * T(0x1p-40);
  const T r = larger + smaller;
  const T rest = smaller - (r - larger);
  const T scale = power_of_two<T>(exponent - 24);
  const T signed_scale = negative ? -scale : scale;
  return {r * signed_scale, rest * signed_scale, quadrant & 3};
}

template <class T>
KILN_INLINE T sin_of(Angle<T> angle) {
  const T z = angle.r * angle.r;
  return angle.r + (angle.rest + angle.r * (z * Trig<T>::sin(z)));
}

template <class T>
KILN_INLINE T cos_of(Angle<T> angle) {
  const T z = angle.r * angle.r;
  const T half = T(0.5) * z;
  const T w = T(1) - half;
  return w + (((T(1) - w) - half) + (z * z * Trig<T>::cos(z) - angle.r * angle.rest));
}

template <class T>
KILN_INLINE T flip_sign_if(bool condition, T x) {
  return bit_cast<T>(bits_of(x) ^ (condition ? Binary<T>::kSign : 0));
}

/// asin(t) - t for 0 <= t <= 0.5.
template <class T>
KILN_INLINE T asin_tail(T t) {
  const T z = t * t;
  return t * (z * Trig<T>::asin(z));
}

template <class T>
KILN_INLINE T sin(T x) {
  const Angle<T> angle = reduce_angle(abs(x));
  const T value = (angle.quadrant & 1) != 0 ? cos_of(angle) : sin_of(angle);
  return flip_sign_if(((angle.quadrant & 2) != 0) != (bits_of(x) >= Binary<T>::kSign), value);
}

template <class T>
KILN_INLINE T cos(T x) {
  const Angle<T> angle = reduce_angle(abs(x));
  const T value = (angle.quadrant & 1) != 0 ? sin_of(angle) : cos_of(angle);
  return flip_sign_if(((angle.quadrant + 1) & 2) != 0, value);
}

template <class T>
KILN_INLINE T tan(T x) {
  const Angle<T> angle = reduce_angle(abs(x));
  const T sine = sin_of(angle);
  const T cosine = cos_of(angle);
  const T value = (angle.quadrant & 1) != 0 ? -cosine / sine : sine / cosine;
  return flip_sign_if(bits_of(x) >= Binary<T>::kSign, value);
}

/// NaN outside of [-1, 1].
template <class T>
KILN_INLINE T asin(T x) {
  using P = Trig<T>;
  const T a = abs(x);
  if (a <= T(0.5)) return copysign(a + asin_tail(a), x);
  const T root = sqrt((T(1) - a) * T(0.5));
  const T twice = T(2) * (root + asin_tail(root));
  return copysign(P::kHalfPi - (twice - P::kHalfPiRest), x);
}

/// NaN outside of [-1, 1].
template <class T>
KILN_INLINE T acos(T x) {
  using P = Trig<T>;
  const T a = abs(x);
  if (a <= T(0.5)) return P::kHalfPi - (x - (P::kHalfPiRest - copysign(asin_tail(a), x)));
  const T root = sqrt((T(1) - a) * T(0.5));
  const T twice = T(2) * (root + asin_tail(root));
  return x < T(0) ? T(2) * P::kHalfPi - (twice - T(2) * P::kHalfPiRest) : twice;
}

template <class T>
KILN_INLINE T atan(T x) {
  using P = Trig<T>;
  const T a = abs(x);
  const bool large = a > P::kTanThreeEighthsPi;
  const bool middle = a > P::kTanEighthPi;  // or large
  const T numerator = select(large, T(-1), select(middle, a - T(1), a));
  const T denominator = select(large, a, select(middle, a + T(1), T(1)));
  const T base = select(large, P::kHalfPi, select(middle, P::kQuarterPi, T(0)));
  const T base_rest = select(large, P::kHalfPiRest, select(middle, P::kHalfPiRest * T(0.5), T(0)));
  const T t = numerator / denominator;
  const T z = t * t;
  return copysign(base + (t + (base_rest + t * (z * P::atan(z)))), x);
}

}  // namespace math

using math::acos;
using math::asin;
using math::atan;
using math::cos;
using math::sin;
using math::tan;

}  // namespace nn
