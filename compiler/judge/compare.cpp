// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/compare.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>

namespace kiln {
namespace {

/// Maps the bits of a float (sign and magnitude) to integers in the order of the numbers, both zeros to one.
template <class Bits>
uint64_t ordered_distance(Bits a, Bits b) {
  constexpr Bits kSign = static_cast<Bits>(Bits{1} << (sizeof(Bits) * 8 - 1));
  auto magnitude = [](Bits x) { return static_cast<uint64_t>(x & static_cast<Bits>(~kSign)); };
  bool same_sign = ((a ^ b) & kSign) == 0;
  uint64_t x = magnitude(a), y = magnitude(b);
  return same_sign ? (x > y ? x - y : y - x) : x + y;
}

template <class Bits>
uint64_t ulps(Bits a, Bits b, double value_a, double value_b) {
  if (std::isnan(value_a) && std::isnan(value_b)) return 0;
  if (std::isnan(value_a) || std::isnan(value_b)) return Comparison::kManyUlps;
  return ordered_distance(a, b);
}

/// One pair of elements, as the statistics see it.
struct Pair {
  double got, expected;
  double distance;  // infinite when exactly one is NaN or infinite, or they are different infinities
  uint64_t ulp;
};

double float_distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  double distance = std::fabs(a - b);
  return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
}

class Accumulator {
 public:
  explicit Accumulator(const ComparisonRule& rule) : rule_(rule) {}

  void add(const Pair& pair, double tolerance) {
    const double allowed = tolerance + allowance(pair.expected);
    int64_t at = result_.elements++;
    if (std::isfinite(pair.got) && std::isfinite(pair.expected)) {
      dot_ += pair.got * pair.expected;
      got_squares_ += pair.got * pair.got;
      expected_squares_ += pair.expected * pair.expected;
    }
    if (pair.distance == 0) return;
    ++result_.different;
    if (!(pair.distance <= allowed))
      ++result_.wrong;
    else if (pair.distance > tolerance)
      ++result_.allowed;
    squares_ += pair.distance * pair.distance;
    result_.max_abs = std::max(result_.max_abs, pair.distance);
    result_.max_ulp = std::max(result_.max_ulp, pair.ulp);
    if (double size = std::fabs(pair.expected); size > 0)  // false for NaN
      result_.max_rel = std::max(result_.max_rel, std::isinf(pair.distance) ? pair.distance : pair.distance / size);
    double excess = std::isinf(pair.distance) ? pair.distance : pair.distance - allowed;
    if (result_.worst >= 0 && !(excess > worst_excess_)) return;
    worst_excess_ = excess;
    result_.worst = at;
    result_.worst_got = pair.got;
    result_.worst_expected = pair.expected;
  }
  [[nodiscard]] double float_tolerance(double expected) const {
    return std::isfinite(expected) ? rule_.absolute + rule_.relative * std::fabs(expected) : 0;
  }

  [[nodiscard]] Comparison finish() const {
    Comparison result = result_;
    if (result.elements > 0) result.rmse = std::sqrt(squares_ / static_cast<double>(result.elements));
    double norms = std::sqrt(got_squares_) * std::sqrt(expected_squares_);
    if (norms > 0)
      result.cosine = std::clamp(dot_ / norms, -1.0, 1.0);
    else
      result.cosine = got_squares_ == expected_squares_ ? 1 : 0;
    return result;
  }

 private:
  [[nodiscard]] double allowance(double expected) const {
    double sum = 0;
    if (std::isfinite(expected))
      for (const Allowance& a : rule_.allowances) sum += a.absolute + a.relative * std::fabs(expected);
    return sum;
  }

  const ComparisonRule& rule_;
  Comparison result_;
  double dot_ = 0, got_squares_ = 0, expected_squares_ = 0, squares_ = 0;
  double worst_excess_ = 0;
};

void add_floats(Accumulator& sum, const Tensor& got, const Tensor& expected) {
  std::vector<double> a = got.to_doubles(), b = expected.to_doubles();
  auto add_bits = [&]<class Bits>(std::span<const Bits> bits_a, std::span<const Bits> bits_b) {
    for (size_t i = 0; i < a.size(); ++i)
      sum.add({a[i], b[i], float_distance(a[i], b[i]), ulps(bits_a[i], bits_b[i], a[i], b[i])}, sum.float_tolerance(b[i]));
  };
  switch (element_bytes(got.type.dtype)) {
    case 2:
      return add_bits(got.as<uint16_t>(), expected.as<uint16_t>());
    case 4:
      return add_bits(got.as<uint32_t>(), expected.as<uint32_t>());
    default:
      return add_bits(got.as<uint64_t>(), expected.as<uint64_t>());
  }
}

void add_integers(Accumulator& sum, const Tensor& got, const Tensor& expected, double steps) {
  with_storage_type(got.type.dtype, [&]<class T>() {
    std::span<const T> a = got.as<T>(), b = expected.as<T>();
    for (size_t i = 0; i < a.size(); ++i) {
      // Unsigned, so that the difference of the extremes of int64 is right.
      uint64_t apart = a[i] > b[i] ? static_cast<uint64_t>(a[i]) - static_cast<uint64_t>(b[i])
                                   : static_cast<uint64_t>(b[i]) - static_cast<uint64_t>(a[i]);
      sum.add({static_cast<double>(a[i]), static_cast<double>(b[i]), static_cast<double>(apart), 0}, steps);
    }
  });
}

}  // namespace

uint64_t ulp_distance(float a, float b) {
  return ulps(std::bit_cast<uint32_t>(a), std::bit_cast<uint32_t>(b), static_cast<double>(a), static_cast<double>(b));
}

uint64_t ulp_distance(double a, double b) { return ulps(std::bit_cast<uint64_t>(a), std::bit_cast<uint64_t>(b), a, b); }

Comparison compare(const Tensor& got, const Tensor& expected, const ComparisonRule& rule) {
  KILN_CHECK(got.type.dtype == expected.type.dtype && got.type.shape == expected.type.shape,
             "compared tensors differ in type: " + to_string(got.type) + " and " + to_string(expected.type));
  Accumulator sum(rule);
  if (is_float(got.type.dtype))
    add_floats(sum, got, expected);
  else
    add_integers(sum, got, expected, rule.steps);
  return sum.finish();
}

bool is_worse(const Comparison& a, const Comparison& b) {
  return std::tuple(!a.pass(), a.max_abs, a.max_ulp) > std::tuple(!b.pass(), b.max_abs, b.max_ulp);
}

}  // namespace kiln
