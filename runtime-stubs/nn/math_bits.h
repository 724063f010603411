// SPDX-License-Identifier: 0BSD
// What the math headers share: the layout of float and double, and steps on their bits.
#pragma once

#include "base.h"

#if defined(__FAST_MATH__)
#error "compile without -ffast-math: it removes the rounding steps that the functions are made of"
#endif

namespace nn {
namespace math {

/// The layout of a binary format of IEEE 754.
template <class T>
struct Binary;

template <>
struct Binary<float> {
  using Bits = uint32_t;
  using Int = int32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr Int kBias = 127;
  static constexpr Bits kSign = 0x80000000u;
  static constexpr Bits kImplicitOne = 0x00800000u;
  static constexpr float kMinNormal = 0x1p-126f;
  static constexpr float kIntegral = 0x1p23f;  // from here on every value is an integer
  static constexpr float kInfinity = __builtin_huge_valf();
  static constexpr float kNan = __builtin_nanf("");
};

template <>
struct Binary<double> {
  using Bits = uint64_t;
  using Int = int64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr Int kBias = 1023;
  static constexpr Bits kSign = 0x8000000000000000u;
  static constexpr Bits kImplicitOne = 0x0010000000000000u;
  static constexpr double kMinNormal = 0x1p-1022;
  static constexpr double kIntegral = 0x1p52;
  static constexpr double kInfinity = __builtin_huge_val();
  static constexpr double kNan = __builtin_nan("");
};

template <class T>
using BitsOf = typename Binary<T>::Bits;
template <class T>
using IntOf = typename Binary<T>::Int;

template <class T>
KILN_INLINE BitsOf<T> bits_of(T x) {
  return bit_cast<BitsOf<T>>(x);
}

/// condition ? a : b. g++ makes a branch of such a ternary and then does not vectorise the loop
/// around it, because the arithmetic on either side might trap; it does vectorise a selection of
/// bits. Where there is nothing to vectorise for, the ternary is the better code.
template <class T>
KILN_INLINE T select(bool condition, T a, T b) {
#if !defined(__clang__) && (defined(__SSE2__) || defined(__ARM_NEON))
  const BitsOf<T> mask = BitsOf<T>(0) - BitsOf<T>(condition);
  return bit_cast<T>((bits_of(a) & mask) | (bits_of(b) & ~mask));
#else
  return condition ? a : b;
#endif
}

/// 2^n, for n in the range of normal exponents.
template <class T>
KILN_INLINE T power_of_two(IntOf<T> n) {
  return bit_cast<T>(static_cast<BitsOf<T>>(n + Binary<T>::kBias) << Binary<T>::kMantissaBits);
}

/// The polynomial in x with the given coefficients, lowest power first.
template <class T>
KILN_INLINE T polynomial(T, T c) {
  return c;
}

template <class T, class... Rest>
KILN_INLINE T polynomial(T x, T c, Rest... rest) {
  return c + x * polynomial(x, rest...);
}

/// A magnitude as mantissa * 2^exponent, the implicit one included. Not for 0, infinity and NaN.
template <class T>
struct Decoded {
  BitsOf<T> mantissa;
  IntOf<T> exponent;
};

template <class T>
KILN_INLINE Decoded<T> decode(T magnitude) {
  constexpr IntOf<T> kMantissaBits = Binary<T>::kMantissaBits;
  const bool tiny = magnitude < Binary<T>::kMinNormal;
  const BitsOf<T> bits = bits_of(tiny ? magnitude * Binary<T>::kIntegral : magnitude);
  const IntOf<T> biased = static_cast<IntOf<T>>(bits >> kMantissaBits) - (tiny ? kMantissaBits : 0);
  return {(bits & (Binary<T>::kImplicitOne - 1)) | Binary<T>::kImplicitOne, biased - Binary<T>::kBias - kMantissaBits};
}

}  // namespace math
}  // namespace nn
