// SPDX-License-Identifier: 0BSD
// The functors (functors.h) that need the functions of math.h. Calls with double operands need math_f64.h too.
#pragma once

#include "functors.h"
#include "math.h"

namespace nn::fn {

// ---- activations

struct sigmoid {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::sigmoid(x); }
};

struct tanh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::tanh(x); }
};

// alpha * tanh(beta * x).
struct scaled_tanh {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) { return T(d.alpha) * nn::tanh(T(d.beta) * x); }
};

struct softplus {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::softplus(x); }
};

struct softsign {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x / (T(1) + nn::abs(x)); }
};

// Below zero alpha * (e^x - 1).
struct elu {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    const T curve = T(d.alpha) * nn::expm1(x);
    return x < T(0) ? curve : x;
  }
};

// beta times an elu.
struct selu {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) { return T(d.beta) * elu::apply(d, x); }
};

// Below zero alpha * (e^(x/alpha) - 1).
struct celu {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    const T curve = T(d.alpha) * nn::expm1(x / T(d.alpha));
    return x < T(0) ? curve : x;
  }
};

// x * sigmoid(alpha * x).
struct swish {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) { return x * nn::sigmoid(T(d.alpha) * x); }
};

struct mish {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x * nn::tanh(nn::softplus(x)); }
};

// x times the normal distribution's integral up to x.
struct gelu {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return T(0.5) * x * (T(1) + nn::erf(x * T(0.70710678118654752))); }
};

// The same with the integral approximated by tanh(sqrt(2/pi) * (x + 0.044715 x^3)).
struct gelu_tanh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) {
    return T(0.5) * x * (T(1) + nn::tanh(T(0.79788456080286536) * (x + T(0.044715) * x * x * x)));
  }
};

// ---- elementary functions

struct abs {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) {
    if constexpr (detail::is_integer_type<T>) return x < T(0) ? neg::apply(d, x) : x;
    else return nn::abs(x);
  }
};

struct sqrt {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::sqrt(x); }
};

struct floor {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::floor(x); }
};

struct ceil {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::ceil(x); }
};

// To the nearest integer, ties to even.
struct round {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::round_half_even(x); }
};

struct exp {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::exp(x); }
};

struct log {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::log(x); }
};

struct erf {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::erf(x); }
};

struct sin {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::sin(x); }
};

struct cos {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::cos(x); }
};

struct tan {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::tan(x); }
};

struct asin {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::asin(x); }
};

struct acos {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::acos(x); }
};

struct atan {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::atan(x); }
};

struct sinh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::sinh(x); }
};

struct cosh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::cosh(x); }
};

struct asinh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::asinh(x); }
};

struct acosh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::acosh(x); }
};

struct atanh {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return nn::atanh(x); }
};

// ---- two operands, for `binary`

// Integers: a negative power is rounded towards zero, 0 to a negative power is 0.
struct pow {
  template <class T>
  static KILN_INLINE T apply(T a, T b) {
    if constexpr (!detail::is_integer_type<T>) {
      return nn::pow(a, b);
    } else {
      if (b < T(0)) {
        if (a == T(1)) return a;
        if (a == static_cast<T>(-1)) return (b & T(1)) != 0 ? a : T(1);
        return T(0);
      }
      T y = T(1);
      for (; b != T(0); b = static_cast<T>(b >> 1)) {
        if ((b & T(1)) != 0) y = mul::apply(y, a);
        a = mul::apply(a, a);
      }
      return y;
    }
  }
};

// Remainder with the sign of the dividend.
struct fmod {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return nn::fmod(a, b); }
};

}  // namespace nn::fn
