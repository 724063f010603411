// SPDX-License-Identifier: 0BSD
// The few helpers that all kernels share.
#pragma once

#include <stddef.h>
#include <stdint.h>

// A kernel is written for any shape and gets small and fast when its constants are folded in, which
// takes inlining; plain `inline` leaves that to the compiler's estimate of the general code.
#define KILN_INLINE inline __attribute__((always_inline))

// Begins an asm statement that pushes `bytes` on the stack beyond the frame that the compiler knows. `kiln inspect` defines
// KILN_STACK_REPORT and reads from the object which function takes how much more; in all other builds it is nothing.
#ifndef KILN_STACK_REPORT
#define KILN_ASM_STACK(bytes) ""
#elif __SIZEOF_POINTER__ == 8
#define KILN_ASM_STACK(bytes) "771:\n\t.pushsection .kiln_stack,\"\"\n\t.8byte 771b\n\t.uleb128 " #bytes "\n\t.popsection\n\t"
#else
#define KILN_ASM_STACK(bytes) "771:\n\t.pushsection .kiln_stack,\"\"\n\t.4byte 771b\n\t.uleb128 " #bytes "\n\t.popsection\n\t"
#endif

namespace nn {

/// The bits of `from` read as a To of the same size.
template <class To, class From>
KILN_INLINE constexpr To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "bit_cast keeps the size");
  return __builtin_bit_cast(To, from);
}

/// The smaller one; `a` if they are equal or if one is NaN.
template <class T>
KILN_INLINE constexpr T min(T a, T b) {
  return b < a ? b : a;
}

/// The greater one; `a` if they are equal or if one is NaN.
template <class T>
KILN_INLINE constexpr T max(T a, T b) {
  return a < b ? b : a;
}

}  // namespace nn
