// SPDX-License-Identifier: 0BSD
// The DSP instructions of Armv7E-M and Armv8-M (Cortex-M4, M7, M33) that integer kernels are made of: pairs of 16-bit numbers in one
// register, two products and two additions per SMLAD. Bytes become such pairs by SXTB16, which takes bytes 0 and 2, and with a
// rotation bytes 1 and 3; weights are packed in that order at compile time, so nothing has to be shuffled.
#pragma once

#include "../requant.h"

namespace nn::dsp {

KILN_INLINE uint32_t load_word(const void* p) {
  uint32_t word;
  __builtin_memcpy(&word, p, sizeof word);  // one LDR, aligned or not
  return word;
}

// Bytes 0 and 2, or 1 and 3, of a word as signed or unsigned 16-bit numbers.
template <class X>
KILN_INLINE uint32_t even_bytes(uint32_t word) {
  uint32_t pair;
  if constexpr (X(-1) < X(0)) __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
  else __asm__("uxtb16 %0, %1" : "=r"(pair) : "r"(word));
  return pair;
}
template <class X>
KILN_INLINE uint32_t odd_bytes(uint32_t word) {
  uint32_t pair;
  if constexpr (X(-1) < X(0)) __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  else __asm__("uxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}

// The low halves of a and b, or the high halves, as one word (a, b).
KILN_INLINE uint32_t pack_low(uint32_t a, uint32_t b) {
  uint32_t pair;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(a), "r"(b));
  return pair;
}
KILN_INLINE uint32_t pack_high(uint32_t a, uint32_t b) {
  uint32_t pair;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(pair) : "r"(b), "r"(a));
  return pair;
}

// sum + low half * low half, and sum + high half * high half. Volatile keeps them in the order of the source: compilers would rather finish
// one sum after the other and run out of registers.
KILN_INLINE int32_t add_low_product(uint32_t a, uint32_t b, int32_t sum) {
  __asm__ volatile("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
}
KILN_INLINE int32_t add_high_product(uint32_t a, uint32_t b, int32_t sum) {
  __asm__ volatile("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
  return sum;
}

// The byte `x` in all four bytes of a word.
KILN_INLINE uint32_t repeat_byte(int32_t x) { return static_cast<uint32_t>(static_cast<uint8_t>(x)) * 0x01010101u; }

// What is added to the sums of channel `o` before they are multiplied; 0, and not read, unless d.multiplier_stride is kPairs.
template <class D>
KILN_INLINE float addend_of(const D& d, const float* m, int32_t o) {
  return d.multiplier_stride == nn::detail::kPairs ? m[o * nn::detail::kPairs + 1] : 0.0f;
}

// As nn::detail::finish_channel. With an FPU the conversion itself rounds half to even and saturates, and so does the addition.
template <class D>
KILN_INLINE int32_t requantize_sum(const D& d, int32_t sum, float m, float addend) {
#if defined(__ARM_FP) && (__ARM_FP & 4)
  float product = d.multiplier_stride == nn::detail::kPairs ? (static_cast<float>(sum) + addend) * m : static_cast<float>(sum) * m;
  __asm__("vcvtr.s32.f32 %0, %0" : "+t"(product));
  int32_t value = bit_cast<int32_t>(product);
  const int32_t zero_point = d.y_zero_point;
  if (d.low == zero_point && d.high - d.low == 255) {
    __asm__("usat %0, #8, %0" : "+r"(value));
    return value + zero_point;
  }
  if (zero_point != 0) __asm__("qadd %0, %0, %1" : "+r"(value) : "r"(zero_point));
  if (d.low == -128 && d.high == 127) {
    __asm__("ssat %0, #8, %0" : "+r"(value));
    return value;
  }
  return min(max(value, d.low), d.high);
#else
  if (d.multiplier_stride == nn::detail::kPairs)
    return round_within((static_cast<float>(sum) + addend) * m, d.y_zero_point, d.low, d.high);
  return requantize(sum, m, d.y_zero_point, d.low, d.high);
#endif
}

}  // namespace nn::dsp
