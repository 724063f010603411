// SPDX-License-Identifier: 0BSD
// Scalar functions as types, so that a kernel can take one as a template argument: the function itself (`unary<fn::relu>`)
// or the activation fused behind a layer (`conv2d<fn::relu>`). They have a namespace of their own because nn::exp and many
// others are functions (math.h). `d` is the kernel's descriptor; d.alpha and d.beta are the parameters of functions that
// have some.
#pragma once

#include "base.h"

namespace nn::fn {

struct none {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x; }
};

struct relu {
  template <class D, class T>
  static KILN_INLINE T apply(const D&, T x) { return x < T(0) ? T(0) : x; }
};

// alpha: slope below zero.
struct leaky_relu {
  template <class D, class T>
  static KILN_INLINE T apply(const D& d, T x) { return x < T(0) ? T(d.alpha) * x : x; }
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

// ---- two operands, for `binary`

struct add {
  template <class T>
  static KILN_INLINE T apply(T a, T b) { return T(a + b); }
};

}  // namespace nn::fn
