// SPDX-License-Identifier: 0BSD
// IEEE binary16 and bfloat16, held as their 16 bits, to and from float. Narrowing rounds to nearest, ties to even; NaN stays
// NaN. Only integer operations, multiplications and one addition of floats, so that cores without such instructions, or
// without an FPU, get short code.
#pragma once

#include "base.h"

namespace nn {

KILN_INLINE float f16_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude < 0x0400u)  // 0 and subnormals: a multiple of 2^-24
    return bit_cast<float>(sign | bit_cast<uint32_t>(static_cast<float>(magnitude) * 0x1p-24f));
  const uint32_t bias = magnitude >= 0x7c00u ? 224u : 112u;  // infinity and NaN keep an exponent of all ones
  return bit_cast<float>(sign | ((magnitude << 13) + (bias << 23)));
}

KILN_INLINE uint16_t float_to_f16(float x) {
  const uint32_t bits = bit_cast<uint32_t>(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // from 65520 on
  if (magnitude < 0x38800000u) {  // below 2^-14: next to 0.5 floats are multiples of 2^-24, so the addition rounds
    const uint32_t rounded = bit_cast<uint32_t>(bit_cast<float>(magnitude) + 0.5f);
    return static_cast<uint16_t>(sign | (rounded - 0x3f000000u));
  }
  const uint32_t to_even = 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((magnitude + to_even - (112u << 23)) >> 13));
}

KILN_INLINE float bf16_to_float(uint16_t bits) { return bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

KILN_INLINE uint16_t float_to_bf16(float x) {
  const uint32_t bits = bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);  // NaN
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace nn
