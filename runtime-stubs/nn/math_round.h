// SPDX-License-Identifier: 0BSD
// Functions that are exact or correctly rounded: sign and class, rounding to integers, remainder,
// square root.
//
// Rounding: adding 2^(mantissa bits) to a magnitude leaves no room for a fraction, so the sum is
// the nearest integer, ties to even; floor, ceil and trunc correct it by one. Nothing is converted
// to an integer type, so every magnitude is in range, and loops vectorise.
//
// fmod: long division of the mantissas, one step per bit of the exponents' distance.
//
// sqrt: the instruction where the core has one, else digit by digit in binary, with one bit more to
// round by.
#pragma once

#include "math_bits.h"

namespace nn {
namespace math {

template <class T>
KILN_INLINE bool is_nan(T x) {
  return x != x;
}

template <class T>
KILN_INLINE T abs(T x) {
  return bit_cast<T>(bits_of(x) & ~Binary<T>::kSign);
}

template <class T>
KILN_INLINE bool is_inf(T x) {
  return abs(x) == Binary<T>::kInfinity;
}

template <class T>
KILN_INLINE T copysign(T magnitude, T sign) {
  return bit_cast<T>(bits_of(abs(magnitude)) | (bits_of(sign) & Binary<T>::kSign));
}

/// The nearest integer, ties to even (C's rint in the default mode, ONNX Round).
template <class T>
KILN_INLINE T round_half_even(T x) {
  const T magnitude = abs(x);
  const T rounded = (magnitude + Binary<T>::kIntegral) - Binary<T>::kIntegral;
  return copysign(select(magnitude < Binary<T>::kIntegral, rounded, magnitude), x);
}

template <class T>
KILN_INLINE T floor(T x) {
  const T rounded = round_half_even(x);
  return rounded - select(rounded > x, T(1), T(0));
}

// The sign is that of x: -0.5 rounds up to -0.
template <class T>
KILN_INLINE T ceil(T x) {
  const T rounded = round_half_even(x);
  return copysign(rounded + select(rounded < x, T(1), T(0)), x);
}

template <class T>
KILN_INLINE T trunc(T x) {
  return copysign(floor(abs(x)), x);
}

/// x - n*y with n = trunc(x/y) of the exact quotient; has the sign of x. NaN if x is infinite or y
/// is 0.
template <class T>
KILN_INLINE T fmod(T x, T y) {
  constexpr IntOf<T> kLeastExponent = 1 - Binary<T>::kBias - Binary<T>::kMantissaBits;
  const T dividend = abs(x);
  const T divisor = abs(y);
  if (!(dividend < Binary<T>::kInfinity) || !(divisor > T(0))) return Binary<T>::kNan;
  if (dividend < divisor) return x;
  const Decoded<T> a = decode(dividend);
  const Decoded<T> b = decode(divisor);
  BitsOf<T> rest = a.mantissa;
  for (IntOf<T> i = a.exponent;; i--) {
    if (rest >= b.mantissa) rest -= b.mantissa;
    if (i == b.exponent || rest == 0) break;
    rest <<= 1;
  }
  if (rest == 0) return copysign(T(0), x);
  IntOf<T> exponent = b.exponent;
  for (; exponent > kLeastExponent && rest < Binary<T>::kImplicitOne; exponent--) rest <<= 1;
  for (; exponent < kLeastExponent; exponent++) rest >>= 1;  // exact: x and y are multiples of it
  const BitsOf<T> above_least = static_cast<BitsOf<T>>(exponent - kLeastExponent);
  return copysign(bit_cast<T>(rest + (above_least << Binary<T>::kMantissaBits)), x);
}

/// The square root of a core without an instruction for it; correctly rounded.
template <class T>
KILN_INLINE T sqrt_by_bits(T x) {
  if (x == T(0) || x == Binary<T>::kInfinity) return x;
  if (!(x > T(0))) return Binary<T>::kNan;
  const Decoded<T> d = decode(x);
  // An even exponent, and mantissa bits such that the root has kMantissaBits + 2 bits.
  const IntOf<T> odd = (d.exponent ^ Binary<T>::kMantissaBits) & 1;
  const IntOf<T> exponent = (d.exponent + Binary<T>::kMantissaBits - odd) / 2;
  BitsOf<T> rest = d.mantissa << (odd + 1);
  BitsOf<T> root = 0;
  BitsOf<T> twice_root = 0;
  for (BitsOf<T> bit = Binary<T>::kImplicitOne << 1; bit != 0; bit >>= 1) {
    const BitsOf<T> trial = twice_root + bit;
    if (trial <= rest) {
      twice_root = trial + bit;
      rest -= trial;
      root += bit;
    }
    rest <<= 1;
  }
  // The last bit is the half; a root that is no integer is never exactly half way.
  const BitsOf<T> rounded = (root >> 1) + (root & 1);
  // The implicit one of `rounded` makes up for the 1 that the exponent is short of.
  return bit_cast<T>(rounded + bits_of(power_of_two<T>(exponent - 1)));
}

// The compilers' own sqrt would call the C library for the sake of errno, so g++ is given the
// instruction itself.
template <class T>
struct Sqrt;

template <>
struct Sqrt<float> {
  static KILN_INLINE float of(float x) {
#if !defined(__SSE2__) && !(__ARM_FP & 4) && !defined(__aarch64__) && !(__riscv_flen >= 32)
    return sqrt_by_bits(x);
#elif defined(__clang__)
    return __builtin_elementwise_sqrt(x);
#else
    float root;
#if defined(__AVX__)
    __asm__("vsqrtss %1, %1, %0" : "=x"(root) : "x"(x));
#elif defined(__SSE2__)
    __asm__("sqrtss %1, %0" : "=x"(root) : "x"(x));
#elif defined(__aarch64__)
    __asm__("fsqrt %s0, %s1" : "=w"(root) : "w"(x));
#elif defined(__riscv)
    __asm__("fsqrt.s %0, %1" : "=f"(root) : "f"(x));
#else
    __asm__("vsqrt.f32 %0, %1" : "=t"(root) : "t"(x));
#endif
    return root;
#endif
  }
};

/// Correctly rounded; NaN below zero, -0 for -0.
template <class T>
KILN_INLINE T sqrt(T x) {
  return Sqrt<T>::of(x);
}

}  // namespace math

using math::abs;
using math::ceil;
using math::copysign;
using math::floor;
using math::fmod;
using math::is_inf;
using math::is_nan;
using math::round_half_even;
using math::sqrt;
using math::trunc;

}  // namespace nn
