// SPDX-License-Identifier: 0BSD
// The error bounds that runtime-stubs/nn/math.h and math_f64.h state, their special values and
// exact results. The reference is the C library in the next wider type. Each function is measured
// as the compiler builds it here and, on a processor with FMA, with products and sums fused as
// well.
#include "nn/math.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/math_f64.h"

namespace {

template <class T>
using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;
template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
template <class T>
using Limits = std::numeric_limits<T>;

template <class T>
T from_bits(uint64_t bits) {
  const Bits<T> narrow = static_cast<Bits<T>>(bits);
  T x;
  std::memcpy(&x, &narrow, sizeof x);
  return x;
}

std::string hex(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%a", x);
  return text;
}

template <class T>
bool same(T a, T b) {
  return std::isnan(a) ? std::isnan(b) : std::memcmp(&a, &b, sizeof a) == 0;
}

/// The error of `got` in units of the last place of `want`. Infinity counts as the power of two
/// after the greatest number; a NaN on one side or a zero of the wrong sign is infinitely wrong.
template <class T>
double ulps(T got, Wide<T> want) {
  using W = Wide<T>;
  constexpr double kWrong = Limits<double>::infinity();
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) == std::isnan(got) ? 0 : kWrong;
  if (got == 0 && std::signbit(got) != std::signbit(want)) return kWrong;
  const T rounded = static_cast<T>(want);
  if (got == rounded && !std::isfinite(got)) return 0;
  const W end = std::ldexp(W(1), Limits<T>::max_exponent);
  const W a = std::isinf(got) ? std::copysign(end, W(got)) : W(got);
  const W b = std::fabs(want) > end ? std::copysign(end, want) : want;
  if (a == b) return 0;
  const int exponent = std::ilogb(std::max(std::fabs(b), W(Limits<T>::min())));
  return static_cast<double>(std::ldexp(std::fabs(a - b), Limits<T>::digits - 1 - exponent));
}

/// Arguments at which functions change their method or leave their domain.
template <class T>
std::vector<T> special_arguments() {
  const T infinity = Limits<T>::infinity(), nan = Limits<T>::quiet_NaN();
  std::vector<T> out = {0,
                        infinity,
                        nan,
                        Limits<T>::denorm_min(),
                        Limits<T>::min(),
                        Limits<T>::max(),
                        T(0x1p-25),
                        T(0x1p-54),
                        T(0x1p13),
                        T(0x1p23),
                        T(0x1p24),
                        T(0x1p28),
                        T(0x1p52),
                        T(0x1p53)};
  for (double x : {0.125,
                   0.25,
                   0.4142135623730951,
                   0.5,
                   0.625,
                   0.7071067811865476,
                   0.7853981633974483,
                   0.875,
                   1.0,
                   1.4142135623730951,
                   1.5,
                   1.5707963267948966,
                   2.0,
                   2.25,
                   2.414213562373095,
                   2.5,
                   3.0,
                   3.141592653589793,
                   4.0,
                   6.0,
                   10.0,
                   18.0,
                   20.0,
                   40.0,
                   88.7,
                   88.73,
                   88.9,
                   89.4,
                   89.42,
                   90.0,
                   103.9,
                   104.0,
                   709.7,
                   709.79,
                   709.9,
                   710.4,
                   710.5,
                   711.0,
                   745.1,
                   745.2,
                   746.0})
    for (T at : {std::nextafter(T(x), T(0)), T(x), std::nextafter(T(x), infinity)}) out.push_back(at);
  for (size_t i = 0, n = out.size(); i < n; i++) out.push_back(-out[i]);
  return out;
}

/// Floats evenly over all bit patterns. For double, of which no sample is dense: all exponents, the
/// ranges in which functions are neither trivial nor saturated, and both sides of 1.
template <class T>
const std::vector<T>& arguments() {
  static const std::vector<T> kArguments = [] {
    std::vector<T> out = special_arguments<T>();
    if constexpr (sizeof(T) == 4) {
      for (uint64_t bits = 0; bits >> 32 == 0; bits += 10007) out.push_back(from_bits<T>(bits));
    } else {
      std::mt19937_64 random(1);
      for (int i = 0; i < 30000; i++) {
        const T x = static_cast<T>(static_cast<int64_t>(random())) * T(0x1p-63);
        for (T scale : {T(1), T(4), T(40), T(750)}) out.push_back(scale * x);
        const int small = static_cast<int>(random() % 60);
        for (T at : {std::ldexp(x, -small), 1 + x / 2, 1 + std::ldexp(x, -small), 1 / x, from_bits<T>(random())}) out.push_back(at);
      }
    }
    return out;
  }();
  return kArguments;
}

template <class T, class F>
void evaluate(F function, const std::vector<T>& x, std::vector<T>& y) {
  for (size_t i = 0; i < x.size(); i++) y[i] = function(x[i]);
}

#if defined(__x86_64__)
template <class T, class F>
__attribute__((target("fma"), flatten)) void evaluate_fused(F function, const std::vector<T>& x, std::vector<T>& y) {
  const T* from = x.data();
  T* to = y.data();
  for (size_t i = 0, n = x.size(); i < n; i++) to[i] = function(from[i]);
}
#endif

template <class T, class Reference>
void check_results(const char* build, const std::vector<T>& x, const std::vector<T>& y, Reference reference, double bound) {
  double worst = 0;
  T at = 0;
  for (size_t i = 0; i < x.size(); i++) {
    const double error = ulps<T>(y[i], reference(Wide<T>(x[i])));
    if (error > worst) {
      worst = error;
      at = x[i];
    }
  }
  INFO(build << ": " << worst << " ulp at " << hex(at));
  CHECK(worst <= bound);
}

template <class T, class F, class Reference>
void check_bound(const char* name, F function, Reference reference, double bound) {
  INFO(name << (sizeof(T) == 4 ? " of float" : " of double"));
  const std::vector<T>& x = arguments<T>();
  std::vector<T> y(x.size());
  evaluate(function, x, y);
  check_results<T>("as built", x, y, reference, bound);
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("fma")) return;
  evaluate_fused(function, x, y);
  check_results<T>("fused", x, y, reference, bound);
#endif
}

/// The table of math.h.
template <class T>
void check_bounds() {
  using W = Wide<T>;
  const auto exp = [](W x) { return std::exp(x); };
  check_bound<T>(
      "exp", [](T x) { return nn::exp(x); }, exp, 1.1);
  check_bound<T>(
      "expm1", [](T x) { return nn::expm1(x); }, [](W x) { return std::expm1(x); }, 2.2);
  check_bound<T>(
      "log", [](T x) { return nn::log(x); }, [](W x) { return std::log(x); }, 1.0);
  check_bound<T>(
      "log1p", [](T x) { return nn::log1p(x); }, [](W x) { return std::log1p(x); }, 1.5);
  check_bound<T>(
      "log2", [](T x) { return nn::log2(x); }, [](W x) { return std::log2(x); }, 1.7);
  check_bound<T>(
      "sigmoid", [](T x) { return nn::sigmoid(x); }, [](W x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); },
      1.8);
  check_bound<T>(
      "softplus", [](T x) { return nn::softplus(x); },
      [](W x) { return std::isnan(x) ? x : std::fmax(x, W(0)) + std::log1p(std::exp(-std::fabs(x))); }, 1.8);
  check_bound<T>(
      "tanh", [](T x) { return nn::tanh(x); }, [](W x) { return std::tanh(x); }, 1.4);
  check_bound<T>(
      "erf", [](T x) { return nn::erf(x); }, [](W x) { return std::erf(x); }, 1.4);
  check_bound<T>(
      "sinh", [](T x) { return nn::sinh(x); }, [](W x) { return std::sinh(x); }, 1.7);
  check_bound<T>(
      "cosh", [](T x) { return nn::cosh(x); }, [](W x) { return std::cosh(x); }, 1.6);
  check_bound<T>(
      "asinh", [](T x) { return nn::asinh(x); }, [](W x) { return std::asinh(x); }, 1.9);
  check_bound<T>(
      "acosh", [](T x) { return nn::acosh(x); }, [](W x) { return std::acosh(x); }, 3.0);
  check_bound<T>(
      "atanh", [](T x) { return nn::atanh(x); }, [](W x) { return std::atanh(x); }, 2.2);
  check_bound<T>(
      "sin", [](T x) { return nn::sin(x); }, [](W x) { return std::sin(x); }, 1.0);
  check_bound<T>(
      "cos", [](T x) { return nn::cos(x); }, [](W x) { return std::cos(x); }, 1.0);
  check_bound<T>(
      "tan", [](T x) { return nn::tan(x); }, [](W x) { return std::tan(x); }, 2.6);
  check_bound<T>(
      "asin", [](T x) { return nn::asin(x); }, [](W x) { return std::asin(x); }, 2.5);
  check_bound<T>(
      "acos", [](T x) { return nn::acos(x); }, [](W x) { return std::acos(x); }, 1.3);
  check_bound<T>(
      "atan", [](T x) { return nn::atan(x); }, [](W x) { return std::atan(x); }, 2.0);
  check_bound<T>(
      "sqrt", [](T x) { return nn::sqrt(x); }, [](W x) { return std::sqrt(x); }, 0.5);
  check_bound<T>(
      "sqrt_by_bits", [](T x) { return nn::math::sqrt_by_bits(x); }, [](W x) { return std::sqrt(x); }, 0.5);
  check_bound<T>(
      "floor", [](T x) { return nn::floor(x); }, [](W x) { return std::floor(x); }, 0);
  check_bound<T>(
      "ceil", [](T x) { return nn::ceil(x); }, [](W x) { return std::ceil(x); }, 0);
  check_bound<T>(
      "trunc", [](T x) { return nn::trunc(x); }, [](W x) { return std::trunc(x); }, 0);
  check_bound<T>(
      "round_half_even", [](T x) { return nn::round_half_even(x); }, [](W x) { return std::nearbyint(x); }, 0);
  check_bound<T>(
      "abs", [](T x) { return nn::abs(x); }, [](W x) { return std::fabs(x); }, 0);
}

TEST_CASE("math: error bounds of float functions") { check_bounds<float>(); }
TEST_CASE("math: error bounds of double functions") { check_bounds<double>(); }

template <class T>
void check_pow(const std::vector<std::pair<T, T>>& arguments, double bound) {
  double worst = 0;
  std::pair<T, T> at;
  for (const auto& [x, y] : arguments) {
    const double error = ulps<T>(nn::pow(x, y), std::pow(Wide<T>(x), Wide<T>(y)));
    if (error > worst) {
      worst = error;
      at = {x, y};
    }
  }
  INFO(worst << " ulp at " << hex(at.first) << " ^ " << hex(at.second));
  CHECK(worst <= bound);
}

template <class T>
void check_pow_everywhere(double bound) {
  std::vector<std::pair<T, T>> pairs;
  std::vector<T> special = special_arguments<T>();
  for (T x : {T(3), T(33), T(127), T(128), T(149), T(150), T(151), T(1023), T(1024), T(1074), T(1075), T(1076)})
    for (T sign : {T(1), T(-1)}) special.push_back(sign * x);
  for (T x : special)
    for (T y : special) pairs.emplace_back(x, y);
  std::mt19937_64 random(2);
  const auto signed_unit = [&random] { return static_cast<T>(static_cast<int64_t>(random())) * T(0x1p-63); };
  for (int i = 0; i < 100000; i++) {
    pairs.emplace_back(from_bits<T>(random()), from_bits<T>(random()));
    pairs.emplace_back(T(4) * std::fabs(signed_unit()), T(100) * signed_unit());
    // A small base to an integer; bases far from 1 and near it to exponents that keep the result
    // finite.
    pairs.emplace_back(std::trunc(signed_unit() * 4096) / 16, std::trunc(signed_unit() * 24));
    const T range = T(Limits<T>::digits == 24 ? 152 : 1090);
    const T base = std::fabs(from_bits<T>(random()));
    pairs.emplace_back(base, range * signed_unit() / std::log2(base));
    const T near_one = 1 + std::ldexp(signed_unit(), -static_cast<int>(random() % (Limits<T>::digits - 3)) - 1);
    pairs.emplace_back(near_one, range * signed_unit() / std::log2(near_one));
  }
  check_pow<T>(pairs, bound);
}

TEST_CASE("math: error bound of pow") {
  check_pow_everywhere<float>(0.6);
  check_pow_everywhere<double>(0.9);
}

template <class T>
void check_fmod() {
  std::vector<std::pair<T, T>> pairs;
  const std::vector<T> special = special_arguments<T>();
  for (T x : special)
    for (T y : special) pairs.emplace_back(x, y);
  std::mt19937_64 random(3);
  for (int i = 0; i < 100000; i++) {
    const T y = from_bits<T>(random());
    pairs.emplace_back(from_bits<T>(random()), y);
    pairs.emplace_back(y * static_cast<T>(static_cast<int16_t>(random())) / T(256), y);
    pairs.emplace_back(y, Limits<T>::denorm_min() * static_cast<T>(random() % 65536));
  }
  for (const auto& [x, y] : pairs)
    if (!same(nn::fmod(x, y), std::fmod(x, y))) FAIL("fmod(" << hex(x) << ", " << hex(y) << ") = " << hex(nn::fmod(x, y)));
}

TEST_CASE("math: fmod is exact") {
  check_fmod<float>();
  check_fmod<double>();
}

template <class T>
void check_signs_and_classes() {
  for (T x : special_arguments<T>()) {
    INFO(hex(x));
    CHECK(nn::is_nan(x) == std::isnan(x));
    CHECK(nn::is_inf(x) == std::isinf(x));
    CHECK(same(nn::copysign(x, T(-0.0)), std::copysign(x, T(-0.0))));
    CHECK(same(nn::copysign(x, T(3)), std::fabs(x)));
  }
}

TEST_CASE("math: signs and classes") {
  check_signs_and_classes<float>();
  check_signs_and_classes<double>();
}

template <class T>
void check_exact_results() {
  const T infinity = Limits<T>::infinity();
  CHECK(nn::exp(T(0)) == 1);
  CHECK(nn::exp(-infinity) == 0);
  CHECK(nn::exp(infinity) == infinity);
  CHECK(nn::log(T(1)) == 0);
  CHECK(nn::log(T(-0.0)) == -infinity);
  CHECK(std::isnan(nn::log(T(-1))));
  for (int n = Limits<T>::min_exponent - Limits<T>::digits; n < Limits<T>::max_exponent; n++) CHECK(nn::log2(std::ldexp(T(1), n)) == T(n));
  CHECK(nn::sigmoid(T(0)) == T(0.5));
  CHECK(nn::sigmoid(-infinity) == 0);
  CHECK(nn::tanh(infinity) == 1);
  CHECK(nn::erf(-infinity) == -1);
  CHECK(nn::softplus(infinity) == infinity);
  CHECK(nn::softplus(-infinity) == 0);
  CHECK(nn::atanh(T(-1)) == -infinity);
  CHECK(std::isnan(nn::acosh(-infinity)));
  CHECK(std::isnan(nn::sin(infinity)));
  CHECK(nn::round_half_even(T(2.5)) == 2);
  CHECK(nn::round_half_even(T(-3.5)) == -4);
  CHECK(same(nn::ceil(T(-0.5)), T(-0.0)));
  CHECK(nn::pow(T(3), T(4)) == 81);
  CHECK(nn::pow(T(-3), T(5)) == -243);
  CHECK(nn::pow(T(-2), T(-3)) == T(-0.125));
  CHECK(nn::pow(T(7), T(1)) == 7);
  CHECK(nn::pow(T(2), T(Limits<T>::min_exponent - Limits<T>::digits)) == Limits<T>::denorm_min());
  CHECK(std::isnan(nn::pow(T(-8), T(1) / 3)));
  CHECK(nn::pow(T(-0.0), T(-3)) == -infinity);
  CHECK(nn::pow(T(-1), infinity) == 1);
  CHECK(nn::pow(Limits<T>::quiet_NaN(), T(0)) == 1);
  CHECK(nn::pow(T(1), Limits<T>::quiet_NaN()) == 1);
}

TEST_CASE("math: exact results") {
  check_exact_results<float>();
  check_exact_results<double>();
}

/// A rising function may fall between neighbours, by its error, but not over steps of 0.003; and it
/// stays in its range.
template <class T, class F>
void check_rising(const char* name, F function, T low, T high) {
  INFO(name);
  const int steps = 20000;
  T previous = function(T(-30));
  for (int i = 1; i <= steps; i++) {
    const T x = -30 + static_cast<T>(i) * T(60) / steps;
    const T y = function(x);
    if (!(y >= previous && y >= low && y <= high)) FAIL_CHECK("at " << hex(x) << ": " << hex(previous) << ", then " << hex(y));
    previous = y;
  }
}

template <class T>
void check_shape() {
  const T most = Limits<T>::max();
  check_rising<T>(
      "exp", [](T x) { return nn::exp(x); }, 0, most);
  check_rising<T>(
      "expm1", [](T x) { return nn::expm1(x); }, -1, most);
  check_rising<T>(
      "sigmoid", [](T x) { return nn::sigmoid(x); }, 0, 1);
  check_rising<T>(
      "softplus", [](T x) { return nn::softplus(x); }, 0, most);
  check_rising<T>(
      "tanh", [](T x) { return nn::tanh(x); }, -1, 1);
  check_rising<T>(
      "erf", [](T x) { return nn::erf(x); }, -1, 1);
  check_rising<T>(
      "sinh", [](T x) { return nn::sinh(x); }, -most, most);
  check_rising<T>(
      "asinh", [](T x) { return nn::asinh(x); }, -most, most);
  check_rising<T>(
      "atan", [](T x) { return nn::atan(x); }, T(-1.58), T(1.58));
  for (T x : arguments<T>()) {
    if (!std::isfinite(x)) continue;
    if (!(nn::abs(nn::sin(x)) <= 1 && nn::abs(nn::cos(x)) <= 1)) FAIL_CHECK("sine or cosine above 1 at " << hex(x));
    if (!same(nn::sin(-x), -nn::sin(x)) || !same(nn::tanh(-x), -nn::tanh(x))) FAIL_CHECK("not odd at " << hex(x));
  }
}

TEST_CASE("math: rising functions rise and stay in their range") {
  check_shape<float>();
  check_shape<double>();
}

}  // namespace
