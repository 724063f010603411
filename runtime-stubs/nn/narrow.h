// SPDX-License-Identifier: 0BSD
// Constant weights stored as 16-bit floats, all of them finite, and read as float: pointers that kernels take in place of const float*.
#pragma once

#include "base.h"

namespace nn {

template <class Format>
struct NarrowWeights {
  const uint16_t* at;
  KILN_INLINE float operator[](int32_t i) const { return Format::widen(at[i]); }
  friend KILN_INLINE NarrowWeights operator+(NarrowWeights w, int32_t elements) { return {w.at + elements}; }
  KILN_INLINE NarrowWeights& operator+=(int32_t elements) {
    at += elements;
    return *this;
  }
};

// The upper half of a float.
struct Bf16Format {
  static KILN_INLINE float widen(uint16_t bits) { return bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

// IEEE binary16. Its exponent and fraction in the place of a float's are 2^-112 of the number, those of subnormals, too.
struct F16Format {
  static constexpr uint32_t kMask = 0x8fffe000u;
  static constexpr float kScale = 0x1p112f;
#if defined(__ARM_FP) || defined(__riscv_flen) || defined(__x86_64__)
  static KILN_INLINE float widen(uint16_t bits) {
    const uint32_t extended = static_cast<uint32_t>(static_cast<int32_t>(static_cast<int16_t>(bits)));
    return bit_cast<float>(extended << 13 & kMask) * kScale;
  }
#else  // a multiplication is a call: only subnormals take one
  static KILN_INLINE float widen(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
    if (magnitude >= 0x0400u) return bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
    return magnitude == 0 ? bit_cast<float>(sign) : bit_cast<float>(sign | magnitude << 13) * kScale;
  }
#endif
};

using Bf16 = NarrowWeights<Bf16Format>;
using F16 = NarrowWeights<F16Format>;

}  // namespace nn
