// SPDX-License-Identifier: 0BSD
// Scalar functions as types, so that a kernel can take one as a template argument: the function itself (`unary<fn::relu>`)
// or the activation fused behind a layer (`conv2d<fn::relu>`). They have a namespace of their own because nn::exp and many
// others are functions (math.h). `d` is the kernel's descriptor; d.alpha and d.beta are the parameters of functions that
// have some. Integer arithmetic wraps around, on signed types as well; dividing by zero gives zero.
#pragma once

#include "base.h"

namespace nn::detail {

template <class T>
inline constexpr bool is_integer_type = T(1) / T(2) == T(0);

// Unsigned type of at least 32 bits, in which arithmetic on integers of type T cannot overflow.
template <bool wide>
struct Wrapping { using type = uint32_t; };
template <>
struct Wrapping<true> { using type = uint64_t; };
template <class T>
using wrapping = typename Wrapping<(sizeof(T) > 4)>::type;

template <class T>
inline constexpr bool is_signed_type = is_integer_type<T> && T(-1) < T(0);

}  // namespace nn::detail

namespace nn::fn {

struct none {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x; }
};

// ---- activations

struct relu {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x < T(0) ? T(0) : x; }
};

// alpha: slope below zero.
struct leaky_relu {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    const T scaled = T(d.alpha) * x;
    return x < T(0) ? scaled : x;
  }
};

// alpha, beta: lower and upper bound.
struct clip {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    const T low = T(d.alpha), high = T(d.beta);
    x = x < low ? low : x;
    return x > high ? high : x;
  }
};

// alpha * x + beta within 0 and 1.
struct hard_sigmoid {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    T y = T(d.alpha) * x + T(d.beta);
    y = y < T(0) ? T(0) : y;
    return y > T(1) ? T(1) : y;
  }
};

// x times a hard_sigmoid of slope 1/6 and offset 1/2.
struct hard_swish {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) {
    T y = T(1.0f / 6.0f) * x + T(0.5f);
    y = y < T(0) ? T(0) : y;
    return x * (y > T(1) ? T(1) : y);
  }
};

// alpha: the threshold.
struct thresholded_relu {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) { return x > T(d.alpha) ? x : T(0); }
};

// alpha: half width of the interval that becomes 0; beta: what values outside it move towards 0 by.
struct shrink {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    const T up = x + T(d.beta), down = x - T(d.beta);
    return x < -T(d.alpha) ? up : x > T(d.alpha) ? down : T(0);
  }
};

// alpha * x + beta.
struct affine {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) { return T(d.alpha) * x + T(d.beta); }
};

// ---- arithmetic

struct neg {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) {
    if constexpr (detail::is_integer_type<T>) return static_cast<T>(0 - static_cast<detail::wrapping<T>>(x));
    else return -x;
  }
};

struct sign {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x != x ? x : static_cast<T>((x > T(0)) - (x < T(0))); }
};

struct reciprocal {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return T(1) / x; }
};

struct bitwise_not {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return static_cast<T>(~x); }
};

struct logical_not {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return static_cast<T>(x == T(0)); }
};

struct is_nan {
  template <class D, class T>
  static KILN_INLINE bool apply(const D&, T x) { return x != x; }
};

// alpha, beta: 1 if minus (plus) infinity counts, else 0. x - x of an infinity is NaN, of all other numbers it is 0.
struct is_inf {
  template <class D, class T>
  static KILN_INLINE bool apply(const D& d, T x) {
    const T rest = x - x;
    return x == x && rest != rest && ((d.alpha != 0 && x < T(0)) || (d.beta != 0 && x > T(0)));
  }
};

// ---- two operands, for `binary`; `second` is for `scatter` alone

struct second {
  template <class T>
  static KILN_INLINE T apply(T, T b) { return b; }
};

struct add {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    if constexpr (detail::is_integer_type<T>) return static_cast<T>(detail::wrapping<T>(a) + detail::wrapping<T>(b));
    else return a + b;
  }
};

struct sub {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    if constexpr (detail::is_integer_type<T>) return static_cast<T>(detail::wrapping<T>(a) - detail::wrapping<T>(b));
    else return a - b;
  }
};

struct mul {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    if constexpr (detail::is_integer_type<T>) return static_cast<T>(detail::wrapping<T>(a) * detail::wrapping<T>(b));
    else return a * b;
  }
};

// Integers: rounds towards zero.
struct div {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    if constexpr (!detail::is_integer_type<T>) {
      return a / b;
    } else {
      if (b == T(0)) return T(0);
      if constexpr (detail::is_signed_type<T>)  // the least number has no positive counterpart
        if (b == T(-1)) return sub::apply(T(0), a);
      return static_cast<T>(a / b);
    }
  }
};

// Remainder of integers with the sign of the dividend, as C's %.
struct remainder {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    if (b == T(0)) return T(0);
    if constexpr (detail::is_signed_type<T>)
      if (b == T(-1)) return T(0);
    return static_cast<T>(a % b);
  }
};

// Remainder of integers with the sign of the divisor, as Python's %.
struct modulo {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    const T r = remainder::apply(a, b);
    if constexpr (detail::is_signed_type<T>)
      if (r != T(0) && (r < T(0)) != (b < T(0))) return static_cast<T>(r + b);
    return r;
  }
};

// NaN if an operand is.
struct max {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return a > b || a != a ? a : b; }
};

struct min {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return a < b || a != a ? a : b; }
};

// b: slope below zero.
struct prelu {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    const T scaled = mul::apply(a, b);
    return a < T(0) ? scaled : a;
  }
};

struct bitwise_and {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return static_cast<T>(a & b); }
};

struct bitwise_or {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return static_cast<T>(a | b); }
};

struct bitwise_xor {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return static_cast<T>(a ^ b); }
};

// Shifts of unsigned numbers; by their width or more gives 0.
struct shift_left {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return b < T(8 * sizeof(T)) ? static_cast<T>(detail::wrapping<T>(a) << b) : T(0); }
};

struct shift_right {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return b < T(8 * sizeof(T)) ? static_cast<T>(detail::wrapping<T>(a) >> b) : T(0); }
};

// ---- comparisons, for `binary` with results of type uint8_t

struct equal {
  template <class T>
  static KILN_INLINE bool apply(T a, T b) { return a == b; }
};

struct less {
  template <class T>
  static KILN_INLINE bool apply(T a, T b) { return a < b; }
};

struct less_equal {
  template <class T>
  static KILN_INLINE bool apply(T a, T b) { return a <= b; }
};

struct greater {
  template <class T>
  static KILN_INLINE bool apply(T a, T b) { return a > b; }
};

struct greater_equal {
  template <class T>
  static KILN_INLINE bool apply(T a, T b) { return a >= b; }
};

}  // namespace nn::fn
