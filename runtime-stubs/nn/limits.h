// SPDX-License-Identifier: 0BSD
// The neutral elements of max and min: infinities for floating point, the ends of the range for integers.
#pragma once

#include "base.h"

namespace nn {

template <class T>
struct limits {
  static constexpr bool kSigned = T(-1) < T(0);
  static constexpr T lowest() { return kSigned ? T(T(1) << (sizeof(T) * 8 - 1)) : T(0); }
  static constexpr T highest() { return T(~lowest()); }
};
template <>
struct limits<float> {
  static constexpr float lowest() { return -__builtin_inff(); }
  static constexpr float highest() { return __builtin_inff(); }
};
template <>
struct limits<double> {
  static constexpr double lowest() { return -__builtin_inf(); }
  static constexpr double highest() { return __builtin_inf(); }
};

}  // namespace nn
