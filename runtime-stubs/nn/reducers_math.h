// SPDX-License-Identifier: 0BSD
// The reducers (reducers.h) that need functions of math.h. Calls with double operands need math_f64.h too.
#pragma once

#include "math.h"
#include "reducers.h"

namespace nn::fn {

struct reduce_l2 : reduce_sum_square {
  template <class T> static KILN_INLINE T finish(T sum, int32_t) { return nn::sqrt(sum); }
};

struct reduce_log_sum : reduce_sum {
  template <class T> static KILN_INLINE T finish(T sum, int32_t) { return nn::log(sum); }
};

}  // namespace nn::fn
