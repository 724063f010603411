// SPDX-License-Identifier: Apache-2.0
// How far two tensors are apart: the statistics of `kiln diff`.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "compiler/judge/allowances.h"

namespace kiln {

/// When elements count as equal. NaN equals NaN, and an infinity equals only itself. Of floats |got - expected| may be
/// absolute + relative * |expected|, of integers and booleans `steps`; allowances add to that.
struct ComparisonRule {
  double absolute = 1e-5;
  double relative = 1e-4;
  double steps = 0;
  std::vector<Allowance> allowances = {};
};

struct Comparison {
  static constexpr uint64_t kManyUlps = std::numeric_limits<uint64_t>::max();

  int64_t elements = 0;
  int64_t wrong = 0;      ///< elements that the rule does not call equal
  int64_t allowed = 0;    ///< elements beyond the tolerance that only its allowances call equal
  int64_t different = 0;  ///< elements that are not the same number
  double max_abs = 0;     ///< infinite where only one side is infinite or NaN
  double max_rel = 0;     ///< |got - expected| / |expected|, over elements where expected is not zero
  uint64_t max_ulp = 0;   ///< floats: representable numbers between the two, kManyUlps for NaN against a number; else 0
  double cosine = 1;      ///< of the angle between the two as vectors; 1 when both are zero; finite elements only
  double rmse = 0;        ///< root of the mean squared difference
  int64_t worst = -1;     ///< row-major index of the element furthest beyond (or closest to) the rule's bound; -1: all the same
  double worst_got = 0, worst_expected = 0;

  [[nodiscard]] bool pass() const { return wrong == 0; }
};

/// Both tensors have the same type and shape. `expected` is the reference.
Comparison compare(const Tensor& got, const Tensor& expected, const ComparisonRule& rule);

/// Whether `a` is further from its reference than `b`: a failed one is further than any that passed.
bool is_worse(const Comparison& a, const Comparison& b);

/// Numbers of the type from a to b: 0 when equal (also -0 and +0), 1 for neighbours. Counts
/// through zero. kManyUlps when one of them is NaN, 0 when both are.
uint64_t ulp_distance(float a, float b);
uint64_t ulp_distance(double a, double b);

}  // namespace kiln
