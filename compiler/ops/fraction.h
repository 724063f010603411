// SPDX-License-Identifier: Apache-2.0
// Exact rational numbers, for positions where a rounding error would choose another element.
#pragma once

#include <cmath>
#include <cstdint>

namespace kiln {

/// num / den with den > 0, not reduced. Whoever makes one sees to it that both, and their products in comparisons, stay below 2^126.
struct Fraction {
  __extension__ using Integer = __int128;
  Integer num = 0, den = 1;

  /// The greatest whole number that is not above.
  [[nodiscard]] int64_t floor() const { return static_cast<int64_t>(num / den - (num % den < 0 ? 1 : 0)); }
  [[nodiscard]] int64_t ceil() const { return -Fraction{-num, den}.floor(); }
  [[nodiscard]] double value() const { return static_cast<double>(floor()) + static_cast<double>(num - Integer{floor()} * den) / static_cast<double>(den); }
  /// This plus n / 2.
  [[nodiscard]] Fraction plus_halves(int64_t n) const { return {2 * num + n * den, 2 * den}; }

  friend bool operator<(const Fraction& a, const Fraction& b) { return a.num * b.den < b.num * a.den; }
  friend bool operator==(const Fraction& a, const Fraction& b) { return a.num * b.den == b.num * a.den; }
};

/// The number that a positive float is; 2^-100 for those below.
inline Fraction exact_fraction(float x) {
  int exponent = 0;
  const auto significand = static_cast<int64_t>(std::ldexp(std::frexp(std::fmax(x, 0x1p-100f), &exponent), 24));
  const int shift = exponent - 24;
  return {Fraction::Integer{significand} << (shift > 0 ? shift : 0), Fraction::Integer{1} << (shift < 0 ? -shift : 0)};
}

}  // namespace kiln
