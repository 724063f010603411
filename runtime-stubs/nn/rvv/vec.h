// SPDX-License-Identifier: 0BSD
// What kernels for RISC-V vectors (zve32x and up) are made of. Channels lie in the lanes, as many at a time as the core's registers
// hold: `vl`, which the core says, so that nothing here knows how long registers are. Sums are int32_t in groups of 8, 4 or 2 registers;
// bytes are widened to 16 bits when they are loaded, since vwmacc makes 32 bits of 16.
#pragma once

#include <riscv_vector.h>

#include "../requant.h"

namespace nn::rvv {

#if defined(__riscv_v_elen_fp) && __riscv_v_elen_fp >= 32
#define KILN_VECTOR_FLOATS 1
#else
#define KILN_VECTOR_FLOATS 0
#endif

// Results that integers make pass through memory, which has room for so many lanes of each register of sums.
inline constexpr int32_t kMostLanes = 4;
template <int32_t registers>
KILN_INLINE size_t at_most(int32_t lanes) {
  return static_cast<size_t>(KILN_VECTOR_FLOATS ? lanes : min(lanes, kMostLanes * registers));
}

// What all groups do alike; Largest is the group that one pixel alone takes.
template <class Widest>
struct Products {
  using Largest = Widest;
  template <class Sum, class Weights>
  static KILN_INLINE Sum add_product(Sum sum, int16_t x, Weights weights, size_t vl) {
    return __riscv_vwmacc(sum, x, weights, vl);
  }
  template <class Sum, class Weights>
  static KILN_INLINE Sum add_products(Sum sum, Weights x, Weights weights, size_t vl) {
    return __riscv_vwmacc(sum, x, weights, vl);
  }
};

// Groups of vectors, by the number of registers that a sum takes.
template <int32_t registers>
struct Group;

template <>
struct Group<8> : Products<Group<8>> {
  static KILN_INLINE size_t lanes(int32_t wanted) { return __riscv_vsetvl_e32m8(at_most<8>(wanted)); }
  static KILN_INLINE vint32m8_t sums(const int32_t* p, size_t vl) { return __riscv_vle32_v_i32m8(p, vl); }
  static KILN_INLINE vint16m4_t widen(const int8_t* p, size_t vl) { return __riscv_vsext_vf2_i16m4(__riscv_vle8_v_i8m2(p, vl), vl); }
  static KILN_INLINE vint16m4_t widen(const uint8_t* p, size_t vl) {
    return __riscv_vreinterpret_v_u16m4_i16m4(__riscv_vzext_vf2_u16m4(__riscv_vle8_v_u8m2(p, vl), vl));
  }
#if KILN_VECTOR_FLOATS
  static KILN_INLINE vfloat32m8_t factors(const float* p, size_t vl) { return __riscv_vle32_v_f32m8(p, vl); }
#endif
};

template <>
struct Group<4> : Products<Group<8>> {
  static KILN_INLINE size_t lanes(int32_t wanted) { return __riscv_vsetvl_e32m4(at_most<4>(wanted)); }
  static KILN_INLINE vint32m4_t sums(const int32_t* p, size_t vl) { return __riscv_vle32_v_i32m4(p, vl); }
  static KILN_INLINE vint16m2_t widen(const int8_t* p, size_t vl) { return __riscv_vsext_vf2_i16m2(__riscv_vle8_v_i8m1(p, vl), vl); }
  static KILN_INLINE vint16m2_t widen(const uint8_t* p, size_t vl) {
    return __riscv_vreinterpret_v_u16m2_i16m2(__riscv_vzext_vf2_u16m2(__riscv_vle8_v_u8m1(p, vl), vl));
  }
#if KILN_VECTOR_FLOATS
  static KILN_INLINE vfloat32m4_t factors(const float* p, size_t vl) { return __riscv_vle32_v_f32m4(p, vl); }
#endif
};

template <>
struct Group<2> : Products<Group<8>> {
  static KILN_INLINE size_t lanes(int32_t wanted) { return __riscv_vsetvl_e32m2(at_most<2>(wanted)); }
  static KILN_INLINE vint32m2_t sums(const int32_t* p, size_t vl) { return __riscv_vle32_v_i32m2(p, vl); }
  static KILN_INLINE vint16m1_t widen(const int8_t* p, size_t vl) { return __riscv_vsext_vf2_i16m1(__riscv_vle8_v_i8mf2(p, vl), vl); }
  static KILN_INLINE vint16m1_t widen(const uint8_t* p, size_t vl) {
    return __riscv_vreinterpret_v_u16m1_i16m1(__riscv_vzext_vf2_u16m1(__riscv_vle8_v_u8mf2(p, vl), vl));
  }
#if KILN_VECTOR_FLOATS
  static KILN_INLINE vfloat32m2_t factors(const float* p, size_t vl) { return __riscv_vle32_v_f32m2(p, vl); }
#endif
};

template <class T>
KILN_INLINE int8_t* bytes_of(T* p) {
  return static_cast<int8_t*>(static_cast<void*>(p));
}
template <class T>
KILN_INLINE const int8_t* bytes_of(const T* p) {
  return static_cast<const int8_t*>(static_cast<const void*>(p));
}

// How sums become bytes; a multiplier for each channel.
struct Results {
  const float* m;
  int32_t zero_point, low, high;
};

#if KILN_VECTOR_FLOATS

// The steps of nn::requantize in vectors: conversions round half to even (frm is 0 unless somebody set it) and saturate, and so does the
// addition of the zero point.
template <class Scaled>
KILN_INLINE void store_scaled(const Results& results, Scaled scaled, int8_t* y, size_t vl) {
  auto value = __riscv_vsadd(__riscv_vfncvt_x(scaled, vl), static_cast<int16_t>(results.zero_point), vl);
  value = __riscv_vmax(value, static_cast<int16_t>(results.low), vl);
  value = __riscv_vmin(value, static_cast<int16_t>(results.high), vl);
  __riscv_vse8(y, __riscv_vncvt_x(value, vl), vl);
}
template <class... Scaled>
KILN_INLINE void store_all_scaled(const Results& results, int8_t* y, int32_t step, size_t vl, Scaled... scaled) {
  ((store_scaled(results, scaled, y, vl), y += step), ...);
}

// Stores the sums of some pixels, `step` bytes apart, from channel c on. All are multiplied before the first is narrowed: there are not
// registers enough for the multipliers and a narrowed result beside all sums.
template <class G, class... Sums>
KILN_INLINE void store_all(const Results& results, int32_t c, int8_t* y, int32_t step, size_t vl, Sums... sums) {
  const auto factors = G::factors(results.m + c, vl);
  store_all_scaled(results, y + c, step, vl, __riscv_vfmul(__riscv_vfcvt_f(sums, vl), factors, vl)...);
}

#else

// The same by integers, for |sum| < 2^24 and 2^-31 <= m < 2^-1. Where m = M * 2^(exponent - 158), 2^31 <= M < 2^32, the product is
// |sum| * M / 2^32 / 2^s = (high + low / 2^24) / 2^s, s = 126 - exponent >= 1. It is rounded twice, to 24 significant bits and to a whole
// number. The first rounding matters where it leads to a half, and all halves are whole and, but for s = 1, even numbers of `high`. So it
// does enough if it moves products to `high` or `high` + 1 that lie as near as half of the float's last place, 2^-24 of the leading bit of
// `high`; to the even one from the middle, which both are as near to if that bit is 2^23. All others are marked as not whole by one more
// bit.
__attribute__((noinline)) inline void store_sums(const Results& results, const float* m, const int32_t* sums, int8_t* y, int32_t count) {
  size_t vl;
  for (int32_t i = 0; i < count; i += static_cast<int32_t>(vl)) {
    vl = __riscv_vsetvl_e32m4(static_cast<size_t>(count - i));
    const vint32m4_t sum = __riscv_vle32_v_i32m4(sums + i, vl);
    const vuint32m4_t magnitude = __riscv_vreinterpret_v_i32m4_u32m4(__riscv_vmax(sum, __riscv_vneg(sum, vl), vl));
    const vuint32m4_t bits =
        __riscv_vreinterpret_v_i32m4_u32m4(__riscv_vle32_v_i32m4(static_cast<const int32_t*>(static_cast<const void*>(m + i)), vl));
    const vuint32m4_t factor = __riscv_vor(__riscv_vsll(bits, 8, vl), 0x80000000u, vl);
    vuint32m4_t high = __riscv_vmulhu(magnitude, factor, vl);
    vuint32m4_t low = __riscv_vsrl(__riscv_vmul(magnitude, factor, vl), 8, vl);  // its last 8 bits are 0
    vuint32m4_t leading = __riscv_vor(high, __riscv_vsrl(high, 1, vl), vl);
    for (size_t shift = 2; shift <= 16; shift *= 2) leading = __riscv_vor(leading, __riscv_vsrl(leading, shift, vl), vl);
    leading = __riscv_vadd(leading, 1, vl);  // twice the leading bit
    low = __riscv_vadd(low, __riscv_vsrl(leading, 1, vl), vl);
    low = __riscv_vsub(low, __riscv_vand(__riscv_vnot(high, vl), __riscv_vsrl(leading, 24, vl), vl), vl);
    high = __riscv_vadd(high, __riscv_vsrl(low, 24, vl), vl);
    const vbool8_t inexact = __riscv_vmsgtu(__riscv_vand(low, 0xffffffu, vl), leading, vl);
    high = __riscv_vadc(high, high, inexact, vl);
    const vuint32m4_t shift = __riscv_vrsub(__riscv_vsrl(bits, 23, vl), 127, vl);
    vint32m4_t rounded = __riscv_vreinterpret_v_u32m4_i32m4(__riscv_vssrl(high, shift, __RISCV_VXRM_RNE, vl));
    rounded = __riscv_vneg_mu(__riscv_vmslt(sum, 0, vl), rounded, rounded, vl);
    vint16m2_t value = __riscv_vnclip(rounded, 0, __RISCV_VXRM_RNE, vl);
    value = __riscv_vsadd(value, static_cast<int16_t>(results.zero_point), vl);
    value = __riscv_vmax(value, static_cast<int16_t>(results.low), vl);
    value = __riscv_vmin(value, static_cast<int16_t>(results.high), vl);
    __riscv_vse8(y + i, __riscv_vncvt_x(value, vl), vl);
  }
}
template <class G, class... Sums>
KILN_INLINE void store_all(const Results& results, int32_t c, int8_t* y, int32_t step, size_t vl, Sums... sums) {
  int32_t memory[kMostLanes * 24], *to = memory;
  ((__riscv_vse32(to, sums, vl), to += vl), ...);
  for (int32_t* from = memory; from != to; from += vl, y += step) store_sums(results, results.m + c, from, y + c, static_cast<int32_t>(vl));
}

#endif
#undef KILN_VECTOR_FLOATS

}  // namespace nn::rvv
