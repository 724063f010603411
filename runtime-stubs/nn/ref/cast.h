// SPDX-License-Identifier: 0BSD
// Conversion of elements between types. Integers wrap around to narrower ones. Floating-point numbers lose their fraction;
// those outside the range of an integer type become its nearest bound and NaN becomes 0, where C++ leaves the result open.
#pragma once

#include "../half.h"

namespace nn {

namespace detail {

template <class T>
inline constexpr bool has_fraction = T(1) / T(2) != T(0);

template <class T>
struct IntegerRange {
  static constexpr bool kSigned = T(-1) < T(0);
  static constexpr T kMax = static_cast<T>(~uint64_t{0} >> (64 - 8 * sizeof(T) + (kSigned ? 1 : 0)));
  static constexpr T kMin = static_cast<T>(~kMax);  // -kMax - 1, or 0
};

// The greatest value of a 32- or 64-bit integer type rounds up to a power of two as a float, so it is compared with >=.
template <class To, class From>
KILN_INLINE To convert(From x, To low, To high) {
  if constexpr (has_fraction<From> && !has_fraction<To>) {
    if (x != x) return To(0);
    if (x <= static_cast<From>(low)) return low;
    if (x >= static_cast<From>(high)) return high;
  }
  return static_cast<To>(x);
}

}  // namespace detail

// How numbers are stored. load: the number of a stored element; store: the stored element of a number.
namespace fn {

struct plain {
  template <class T>
  static KILN_INLINE T load(T x) { return x; }
  template <class To, class From>
  static KILN_INLINE To store(From x) {
    if constexpr (detail::has_fraction<To>) return static_cast<To>(x);
    else return detail::convert<To>(x, detail::IntegerRange<To>::kMin, detail::IntegerRange<To>::kMax);
  }
};

struct boolean {
  static KILN_INLINE uint8_t load(uint8_t x) { return x; }
  template <class To, class From>
  static KILN_INLINE To store(From x) { return static_cast<To>(x != From(0)); }
};

struct f16 {
  static KILN_INLINE float load(uint16_t x) { return f16_to_float(x); }
  template <class To, class From>
  static KILN_INLINE To store(From x) { return float_to_f16(static_cast<float>(x)); }
};

struct bf16 {
  static KILN_INLINE float load(uint16_t x) { return bf16_to_float(x); }
  template <class To, class From>
  static KILN_INLINE To store(From x) { return float_to_bf16(static_cast<float>(x)); }
};

// Four bits in a byte of their own.
struct i4 {
  static KILN_INLINE int8_t load(int8_t x) { return x; }
  template <class To, class From>
  static KILN_INLINE To store(From x) {
    const int8_t wide = detail::convert<int8_t>(x, -8, 7);
    return static_cast<To>(((wide & 15) ^ 8) - 8);
  }
};

struct u4 {
  static KILN_INLINE uint8_t load(uint8_t x) { return x; }
  template <class To, class From>
  static KILN_INLINE To store(From x) { return static_cast<To>(detail::convert<uint8_t>(x, 0, 15) & 15); }
};

}  // namespace fn

namespace ref {

// y[i] = x[i] as another type; x and y must not overlap.
template <class From, class To, class D, class T, class U>
KILN_INLINE void cast(const D& d, const T* x, U* y) {
  for (int32_t i = 0; i < d.count; ++i) y[i] = To::template store<U>(From::load(x[i]));
}

}  // namespace ref

}  // namespace nn
