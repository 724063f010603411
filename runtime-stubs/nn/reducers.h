// SPDX-License-Identifier: 0BSD
// What a reduction does, for the kernel `reduce`: start() is the result of nothing, step() takes in one element, join()
// combines the results of two parts, finish() turns the result of `count` elements into the output. Integers wrap around.
#pragma once

#include "functors.h"
#include "limits.h"

namespace nn::fn {

struct reduce_sum {
  template <class T> static KILN_INLINE T start() { return T(0); }
  template <class T> static KILN_INLINE T step(T sum, T x) { return add::apply(sum, x); }
  template <class T> static KILN_INLINE T join(T a, T b) { return add::apply(a, b); }
  template <class T> static KILN_INLINE T finish(T sum, int32_t) { return sum; }
};

struct reduce_mean : reduce_sum {
  template <class T> static KILN_INLINE T finish(T sum, int32_t count) { return T(sum / T(count)); }
};

struct reduce_l1 : reduce_sum {
  template <class T> static KILN_INLINE T step(T sum, T x) { return x < T(0) ? sub::apply(sum, x) : add::apply(sum, x); }
};

struct reduce_sum_square : reduce_sum {
  template <class T> static KILN_INLINE T step(T sum, T x) { return add::apply(sum, mul::apply(x, x)); }
};

struct reduce_prod {
  template <class T> static KILN_INLINE T start() { return T(1); }
  template <class T> static KILN_INLINE T step(T product, T x) { return mul::apply(product, x); }
  template <class T> static KILN_INLINE T join(T a, T b) { return mul::apply(a, b); }
  template <class T> static KILN_INLINE T finish(T product, int32_t) { return product; }
};

// NaN among the elements is the result, as in NumPy.
struct reduce_max {
  template <class T> static KILN_INLINE T start() { return limits<T>::lowest(); }
  template <class T> static KILN_INLINE T step(T best, T x) { return x > best || x != x ? x : best; }
  template <class T> static KILN_INLINE T join(T a, T b) { return step(a, b); }
  template <class T> static KILN_INLINE T finish(T best, int32_t) { return best; }
};

struct reduce_min {
  template <class T> static KILN_INLINE T start() { return limits<T>::highest(); }
  template <class T> static KILN_INLINE T step(T best, T x) { return x < best || x != x ? x : best; }
  template <class T> static KILN_INLINE T join(T a, T b) { return step(a, b); }
  template <class T> static KILN_INLINE T finish(T best, int32_t) { return best; }
};

}  // namespace nn::fn
