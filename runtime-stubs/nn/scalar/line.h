// SPDX-License-Identifier: 0BSD
// From sums to results on cores without SIMD: requantize(sum + bias, m, ...) is a staircase, and for nearly every channel the compiler finds
// a line in integers with the same steps over all sums that can occur:
//   clamp(floor((sum * 2^pre + offset) * factor / 2^(32 + post)) + y_zero_point)
// It checks every step, so this is no approximation. Operands: offset[channel]; factor[0] = pre, factor[1] = post, then factor[2 + channel].
// Where no line exists, the factor has its sign bit set above the bits of m, and offset is the bias.
#pragma once

#include "../requant.h"

namespace nn::scalar {

// floor(a * b / 2^32); |a| < 2^30 and 0 <= b < 2^30.
KILN_INLINE int32_t high_product(int32_t a, int32_t b) {
#if defined(__thumb__) && !defined(__thumb2__)  // no 64-bit product; no sum here exceeds 32 bits
  const int32_t a_high = a >> 16, b_high = b >> 16;
  const uint32_t a_low = static_cast<uint16_t>(a), b_low = static_cast<uint16_t>(b);
  const int32_t middle = a_high * static_cast<int32_t>(b_low) + static_cast<int32_t>(a_low) * b_high + static_cast<int32_t>(a_low * b_low >> 16);
  return a_high * b_high + (middle >> 16);
#else
  return static_cast<int32_t>(static_cast<int64_t>(a) * b >> 32);
#endif
}

// clamp(value + y_zero_point, low, high)
template <class D>
KILN_INLINE int32_t shift_and_clamp(const D& d, int32_t value) {
#if defined(__thumb2__)
  value += d.y_zero_point;
  if (d.low == -128 && d.high == 127) {
    __asm__("ssat %0, #8, %0" : "+r"(value));
    return value;
  }
  if (d.low == 0 && d.high == 255) {
    __asm__("usat %0, #8, %0" : "+r"(value));
    return value;
  }
  return detail::clamp_steadily(value, d.low, d.high);
#else
  return detail::clamp_steadily(value, d.low - d.y_zero_point, d.high - d.y_zero_point) + d.y_zero_point;
#endif
}

inline __attribute__((noinline)) int32_t requantize_without_line(int32_t sum, int32_t factor, int32_t zero_point, int32_t low, int32_t high) {
  return requantize(sum, bit_cast<float>(factor & 0x7fffffff), zero_point, low, high);
}

// The operands of a layer; shifts are read once, as results could alias them.
struct Lines {
  int32_t pre, post;
  const int32_t *offset, *factor;
};
KILN_INLINE Lines lines_of(const int32_t* offset, const int32_t* factor) { return {factor[0], factor[1], offset, factor + 2}; }

// The results of a channel for `count` sums: store(p, result) for sum[p].
template <int32_t count, class D, class Store>
KILN_INLINE void finish_channel(const D& d, const Lines& lines, int32_t channel, const int32_t* sum, const Store& store) {
  const int32_t factor = lines.factor[channel], offset = lines.offset[channel];
  const auto without_line = [&](int32_t p) { return requantize_without_line(sum[p] + offset, factor, d.y_zero_point, d.low, d.high); };
  const auto on_line = [&](int32_t p) {
    const uint32_t at = (static_cast<uint32_t>(sum[p]) << lines.pre) + static_cast<uint32_t>(offset);
    return shift_and_clamp(d, high_product(static_cast<int32_t>(at), factor) >> lines.post);
  };
  if constexpr (count == 1) {
    store(0, __builtin_expect(factor < 0, 0) ? without_line(0) : on_line(0));
  } else if (factor < 0) {
    for (int32_t p = 0; p < count; ++p) store(p, without_line(p));
  } else {
#pragma GCC unroll 8
    for (int32_t p = 0; p < count; ++p) store(p, on_line(p));
  }
}

}  // namespace nn::scalar
