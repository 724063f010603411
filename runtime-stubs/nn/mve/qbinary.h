// SPDX-License-Identifier: 0BSD
// Sums and differences of two quantized tensors by MVE: (a * a_factor + b * b_factor + offset) / 2^shift for 4 elements at a time; see
// ../ref/qbinary.h for these numbers.
#pragma once

#include <arm_mve.h>

#include "../ref/qbinary.h"

namespace nn::mve {

// 4 bytes as numbers of 32 bits; those that `some` leaves out are 0.
KILN_INLINE int32x4_t load_bytes(const int8_t* x, mve_pred16_t some) { return vldrbq_z_s32(x, some); }
KILN_INLINE int32x4_t load_bytes(const uint8_t* x, mve_pred16_t some) { return vreinterpretq_s32_u32(vldrbq_z_u32(x, some)); }
KILN_INLINE int32x4_t load_bytes(const int8_t* x) { return vldrbq_s32(x); }
KILN_INLINE int32x4_t load_bytes(const uint8_t* x) { return vreinterpretq_s32_u32(vldrbq_u32(x)); }

template <class D>
KILN_INLINE int32x4_t qbinary_values(const D& d, int32x4_t a, int32x4_t b) {
  const int32x4_t sum = vmlaq_n_s32(vmlasq_n_s32(a, vdupq_n_s32(d.a_factor), d.offset), b, d.b_factor);
  return vminq_s32(vmaxq_s32(vshlq_r_s32(sum, -d.shift), vdupq_n_s32(d.low)), vdupq_n_s32(d.high));
}

// As ref::qbinary_integer, for rows whose elements lie one after the other in both operands.
template <class F, class Act, class D, class A, class B, class Y>
KILN_INLINE void qbinary(const D& d, const A* a, const B* b, Y* y) {
  const int32_t row = d.dims[d.rank - 1];
  int8_t* to = reinterpret_cast<int8_t*>(y);
  int32_t index[8] = {};
  do {
    const A* row_a = a + ref::detail::row_offset(d, index, d.a_strides);
    const B* row_b = b + ref::detail::row_offset(d, index, d.b_strides);
    int32_t i = 0;
    for (; i + 4 <= row; i += 4) vstrbq_s32(to + i, qbinary_values(d, load_bytes(row_a + i), load_bytes(row_b + i)));
    if (row % 4 != 0) {
      const mve_pred16_t rest = vctp32q(static_cast<uint32_t>(row % 4));
      vstrbq_p_s32(to + i, qbinary_values(d, load_bytes(row_a + i, rest), load_bytes(row_b + i, rest)), rest);
    }
    to += row;
  } while (ref::detail::next_row(d, index));
}

}  // namespace nn::mve
