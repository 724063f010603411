// SPDX-License-Identifier: 0BSD
// Copies of inputs into the memory that the loops of product.h read. VMLADAV multiplies signed bytes: unsigned ones change their first bit,
// which subtracts 128; the packed bias makes up for it.
#pragma once

#include <arm_mve.h>

#include "../base.h"

namespace nn::mve {

template <class X>
inline constexpr bool is_unsigned = X(-1) > X(0);

template <class X>
KILN_INLINE uint8x16_t as_signed(uint8x16_t x) {
  if constexpr (is_unsigned<X>) return veorq_u8(x, vdupq_n_u8(0x80));
  else return x;
}

// `count` bytes of inputs; returns where the next ones go.
template <class X>
KILN_INLINE uint8_t* copy_inputs(const uint8_t* x, int32_t count, uint8_t* to) {
  int32_t i = 0;
  for (; i + 16 <= count; i += 16) vstrbq_u8(to + i, as_signed<X>(vldrbq_u8(x + i)));
  if (count % 16 != 0) {
    const mve_pred16_t rest = vctp8q(static_cast<uint32_t>(count % 16));
    vstrbq_p_u8(to + i, as_signed<X>(vldrbq_z_u8(x + i, rest)), rest);
  }
  return to + count;
}

// `count` inputs that all are x_zero_point.
template <class X>
KILN_INLINE uint8_t* copy_padding(int32_t x_zero_point, int32_t count, uint8_t* to) {
  const uint8x16_t value = as_signed<X>(vdupq_n_u8(static_cast<uint8_t>(x_zero_point)));
  int32_t i = 0;
  for (; i + 16 <= count; i += 16) vstrbq_u8(to + i, value);
  if (count % 16 != 0) vstrbq_p_u8(to + i, value, vctp8q(static_cast<uint32_t>(count % 16)));
  return to + count;
}

}  // namespace nn::mve
