// SPDX-License-Identifier: 0BSD
// Recurrent layers (../recurrent.h), unit by unit. Weights [gate][unit][in], bias [sum][unit].
#pragma once

#include "../recurrent.h"

namespace nn::ref {

struct OneUnit {
  template <class D>
  static constexpr int32_t kUnits = 1;

  template <int32_t Sums, class D, class T>
  static KILN_INLINE void start(const D& d, int32_t unit, const T* b, T* sums) {
    for (int32_t s = 0; s < Sums; ++s) sums[s] = b[s * d.units + unit];
  }

  template <int32_t Count, class D, class T, class W>
  static KILN_INLINE void add(const D& d, int32_t unit, int32_t first, int32_t, W w, int32_t in, const T* x, T* sums) {
    for (int32_t g = 0; g < Count; ++g) {
      const W row = w + ((first + g) * d.units + unit) * in;
      T sum = sums[g];
      for (int32_t i = 0; i < in; ++i) sum += row[i] * x[i];
      sums[g] = sum;
    }
  }
};

using Recurrent = recurrent::Layers<OneUnit>;

}  // namespace nn::ref
