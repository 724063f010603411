// SPDX-License-Identifier: 0BSD
// Exponential, logarithm and what is made of them, for float and (with math_f64.h) double.
//
// Two reductions carry everything:
// - e^x = 2^n e^r with r = x - n ln 2, |r| <= ln(2)/2. ln 2 is in two parts; n times the first is
//   exact.
// - ln x = k ln 2 + ln m with x = 2^k m, sqrt(1/2) <= m < sqrt(2).
//
// The rest are identities, written such that no step loses digits:
// - expm1: 2^n (e^r - 1) + (2^n - 1).
// - log1p: ln of the rounded sum 1 + x, to whose mantissa the sum's rounding error is added back.
// - tanh: 1 - 2/(e^2x + 1); near 0 an odd polynomial, as for erf and sinh.
// - softplus: max(x, 0) + log1p(e^-|x|).
// - erf: 1 - e^p(x), p a polynomial for ln(1 - erf x).
// - sinh, cosh: h -+ 1/4h with h = e^|x| / 2.
// - asinh, acosh, atanh: as logarithms of the form log1p; ln x + ln 2 for great arguments.
//
// Polynomials are minimax fits of the relative error (Remez exchange) on the intervals that the
// reductions leave. Cases are selections between computed values instead of branches, so loops over
// these functions vectorise (asinh and acosh excepted). What is said to be exact is so with and
// without contraction to FMA, so the error bounds hold for both; the bits may differ.
#pragma once

#include "math_round.h"

namespace nn {
namespace math {

/// The constants and polynomials of a type.
template <class T>
struct Exp;

template <>
struct Exp<float> {
  static constexpr float kLog2E = 0x1.715476p+0f;
  static constexpr float kLog2EMinus1 = 0x1.c551d8p-2f;
  static constexpr float kLn2High = 0x1.62e4p-1f;
  static constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  static constexpr float kSqrtHalf = 0x1.6a09e6p-1f;
  static constexpr float kShift = 0x1.8p23f;  // a sum with it is an integer, held in the low bits

  // From here on down or up, the result rounds to the value named.
  static constexpr float kLowest = -104.0f;      // e^x: 0
  static constexpr float kHighest = 90.0f;       // e^x / 2: infinity
  static constexpr float kExpm1Lowest = -18.0f;  // e^x - 1: -1
  static constexpr float kExpm1Highest = 88.9f;  // e^x - 1: infinity; 2^(n - 1) is still finite
  static constexpr float kTanhOne = 10.0f;
  static constexpr float kErfOne = 4.0f;
  static constexpr float kHuge = 0x1p13f;   // x^2 + 1: x^2
  static constexpr float kTiny = 0x1p-25f;  // x + O(x^2): x

  /// (e^r - 1 - r) / r^2, |r| <= ln(2)/2.
  static KILN_INLINE float exp(float r) {
    return polynomial(r, 4.99999940e-1f, 1.66665167e-1f, 4.16680984e-2f, 8.36917851e-3f, 1.38429867e-3f);
  }
  /// ln(1 + f) - f, sqrt(1/2) - 1 <= f <= sqrt(2) - 1.
  static KILN_INLINE float log1p_tail(float f) {
    const float square = f * f;
    return f * square *
               polynomial(f, 3.33333135e-1f, -2.50001669e-1f, 2.00022221e-1f, -1.66593716e-1f, 1.42096430e-1f, -1.25496551e-1f,
                          1.21079005e-1f, -1.09159127e-1f, 5.34074903e-2f) -
           0.5f * square;
  }
  /// (tanh(x)/x - 1) / z, z = x^2, |x| <= 0.625.
  static KILN_INLINE float tanh(float z) {
    return polynomial(z, -3.33332807e-1f, 1.33314058e-1f, -5.37365116e-2f, 2.06284802e-2f, -5.69329690e-3f);
  }
  /// (sinh(x)/x - 1) / z, z = x^2, |x| <= 1.
  static KILN_INLINE float sinh(float z) { return polynomial(z, 1.66666672e-1f, 8.33331048e-3f, 1.98428956e-4f, 2.78221432e-6f); }
  /// erf(x)/x - 1, z = x^2, |x| <= 0.875.
  static KILN_INLINE float erf(float z) {
    return polynomial(z, 1.28379166e-1f, -3.76126289e-1f, 1.12836227e-1f, -2.68553440e-2f, 5.19075990e-3f, -8.02236027e-4f, 7.84088115e-5f);
  }
  /// ln(1 - erf(x)), 0.875 <= x <= 4.
  static KILN_INLINE float log_erfc(float x) {
    return polynomial(x, -1.33621274e-4f, -1.12793589f, -6.36737704e-1f, -1.04327053e-1f, 2.24199928e-2f, -3.09223565e-3f, 2.00990427e-4f);
  }
};

/// The nearest to x in [low, high]; NaN for NaN.
template <class T>
KILN_INLINE T clamp(T x, T low, T high) {
  return select(x > high, high, select(x < low, low, x));
}

/// e^x = 2^n (1 + fraction).
template <class T>
struct ExpParts {
  T fraction;
  IntOf<T> n;
};

/// For |x| below 2^(mantissa bits - 2). The fraction of NaN is NaN, its n anything.
template <class T>
KILN_INLINE ExpParts<T> exp_parts(T x) {
  const T shifted = x * Exp<T>::kLog2E + Exp<T>::kShift;
  const T n = shifted - Exp<T>::kShift;
  const T r = (x - n * Exp<T>::kLn2High) - n * Exp<T>::kLn2Low;
  return {r + r * r * Exp<T>::exp(r), static_cast<IntOf<T>>(bits_of(shifted) - bits_of(Exp<T>::kShift))};
}

/// e^x for results that are normal by a factor of two.
template <class T>
KILN_INLINE T exp_normal(T x) {
  const ExpParts<T> e = exp_parts(x);
  return power_of_two<T>(e.n) * (T(1) + e.fraction);
}

/// e^x 2^shift for any x; shift is 0 or -1.
template <class T>
KILN_INLINE T exp_scaled(T x, IntOf<T> shift) {
  const ExpParts<T> e = exp_parts(clamp(x, Exp<T>::kLowest, Exp<T>::kHighest));
  // Two factors, since 2^n itself may be out of range; the first product is exact, so a denormal
  // result is rounded once.
  const auto n = e.n + shift;
  const auto half = n >> 1;
  return (T(1) + e.fraction) * power_of_two<T>(half) * power_of_two<T>(n - half);
}

/// x = 2^k m, sqrt(1/2) <= m < sqrt(2), for finite x > 0. Any k and m otherwise.
template <class T>
struct LogParts {
  T m;
  IntOf<T> k;
};

template <class T>
KILN_INLINE LogParts<T> log_parts(T x) {
  const bool tiny = x < Binary<T>::kMinNormal;
  const BitsOf<T> bits = bits_of(select(tiny, x * Binary<T>::kIntegral, x));
  const IntOf<T> k = static_cast<IntOf<T>>(bits - bits_of(Exp<T>::kSqrtHalf)) >> Binary<T>::kMantissaBits;
  return {bit_cast<T>(bits - (static_cast<BitsOf<T>>(k) << Binary<T>::kMantissaBits)),
          k - (tiny ? static_cast<IntOf<T>>(Binary<T>::kMantissaBits) : IntOf<T>(0))};
}

/// `result`, unless x is one of those for which the logarithm has no finite value.
template <class T>
KILN_INLINE T log_special(T x, T result) {
  result = select(x < Binary<T>::kInfinity, result, x);
  result = select(x > T(0), result, Binary<T>::kNan);
  return select(x == T(0), -Binary<T>::kInfinity, result);
}

/// ln(1 + f) + k ln 2.
template <class T>
KILN_INLINE T log_sum(T f, IntOf<T> k) {
  const T n = static_cast<T>(static_cast<int32_t>(k));
  return n * Exp<T>::kLn2High + (f + (Exp<T>::log1p_tail(f) + n * Exp<T>::kLn2Low));
}

/// ln(x 2^shift) for any x.
template <class T>
KILN_INLINE T log_scaled(T x, IntOf<T> shift) {
  const LogParts<T> parts = log_parts(x);
  return log_special(x, log_sum(parts.m - T(1), parts.k + shift));
}

template <class T>
KILN_INLINE T exp(T x) {
  return exp_scaled(x, 0);
}

/// e^x - 1.
template <class T>
KILN_INLINE T expm1(T x) {
  using E = Exp<T>;
  const ExpParts<T> e = exp_parts(clamp(x, E::kExpm1Lowest, E::kExpm1Highest));
  const T half = power_of_two<T>(e.n - 1);
  const T result = T(2) * (half * e.fraction + (half - T(0.5)));
  return select(abs(x) < E::kTiny, x, result);
}

template <class T>
KILN_INLINE T log(T x) {
  return log_scaled(x, 0);
}

template <class T>
KILN_INLINE T log2(T x) {
  const LogParts<T> parts = log_parts(x);
  const T f = parts.m - T(1);
  const T tail = Exp<T>::log1p_tail(f);
  // log2(e) as 1 + the rest: the product is then a correction to f instead of a rounding of it.
  const T fraction = f + (tail + Exp<T>::kLog2EMinus1 * (f + tail));
  return log_special(x, static_cast<T>(static_cast<int32_t>(parts.k)) + fraction);
}

/// ln(1 + x).
template <class T>
KILN_INLINE T log1p(T x) {
  const T sum = T(1) + x;
  const T part = sum - T(1);
  const T rest = (T(1) - (sum - part)) + (x - part);  // 1 + x = sum + rest, exactly
  const LogParts<T> parts = log_parts(sum);
  // The greatest k is out of the range of power_of_two; by then there is nothing to correct.
  const auto k = min<IntOf<T>>(parts.k, Binary<T>::kBias - 1);
  const T f = (parts.m - T(1)) + rest * power_of_two<T>(-k);
  const T result = log_special(sum, log_sum(f, parts.k));
  return select(abs(x) < Exp<T>::kTiny, x, result);
}

template <class T>
KILN_INLINE T tanh(T x) {
  const T a = abs(x);
  const T small = a + a * (a * a) * Exp<T>::tanh(a * a);
  const T e = exp_normal(T(2) * select(a > Exp<T>::kTanhOne, Exp<T>::kTanhOne, a));
  const T large = T(1) - T(2) / (e + T(1));
  return copysign(select(a < T(0.625), small, large), x);
}

/// 1 / (1 + e^-x).
template <class T>
KILN_INLINE T sigmoid(T x) {
  using E = Exp<T>;
  // e^-x = 2^n (1 + fraction): keeping the parts apart saves one rounding. All is scaled by 2^-n/2,
  // so that neither the denominator nor, for a denormal result, the division leaves the range.
  const ExpParts<T> e = exp_parts(clamp(-x, E::kLowest, -E::kLowest));
  const auto half = e.n >> 1;
  const T scale = power_of_two<T>(-half);
  const T power = power_of_two<T>(e.n - half);
  const T sum = scale + power;
  const T rest = scale - (sum - power);
  return scale / (sum + (power * e.fraction + rest));
}

/// ln(1 + e^x).
template <class T>
KILN_INLINE T softplus(T x) {
  return select(x > T(0), x, T(0)) + log1p(exp_scaled(-abs(x), 0));
}

template <class T>
KILN_INLINE T erf(T x) {
  const T a = abs(x);
  const T small = a + a * Exp<T>::erf(a * a);
  const T large = T(1) - exp_normal(Exp<T>::log_erfc(select(a > Exp<T>::kErfOne, Exp<T>::kErfOne, a)));
  return copysign(select(a < T(0.875), small, large), x);
}

template <class T>
KILN_INLINE T sinh(T x) {
  const T a = abs(x);
  const T small = a + a * (a * a) * Exp<T>::sinh(a * a);
  const T half = exp_scaled(a, -1);
  return copysign(select(a < T(1), small, half - T(0.25) / half), x);
}

template <class T>
KILN_INLINE T cosh(T x) {
  const T half = exp_scaled(abs(x), -1);
  return half + T(0.25) / half;
}

template <class T>
KILN_INLINE T asinh(T x) {
  const T a = abs(x);
  if (a >= Exp<T>::kHuge) return copysign(log_scaled(a, 1), x);
  return copysign(log1p(a + a * a / (T(1) + sqrt(T(1) + a * a))), x);
}

/// NaN below 1.
template <class T>
KILN_INLINE T acosh(T x) {
  if (!(x >= T(1))) return Binary<T>::kNan;
  if (x >= Exp<T>::kHuge) return log_scaled(x, 1);
  const T t = x - T(1);
  return log1p(t + sqrt(t * (t + T(2))));
}

/// NaN outside of [-1, 1], infinite at its ends.
template <class T>
KILN_INLINE T atanh(T x) {
  const T a = abs(x);
  return copysign(T(0.5) * log1p(T(2) * a / (T(1) - a)), x);
}

}  // namespace math

using math::acosh;
using math::asinh;
using math::atanh;
using math::cosh;
using math::erf;
using math::exp;
using math::expm1;
using math::log;
using math::log1p;
using math::log2;
using math::sigmoid;
using math::sinh;
using math::softplus;
using math::tanh;

}  // namespace nn
