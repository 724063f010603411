// SPDX-License-Identifier: 0BSD
// Reductions. F is one of reducers.h. y must not overlap x.
#pragma once

#include "../reducers.h"

namespace nn::ref {

// The number of indices below the first `rank` of `dims`.
template <class Dims>
KILN_INLINE int32_t index_count(int32_t rank, const Dims& dims) {
  int32_t count = 1;
  for (int32_t i = 0; i < rank; ++i) count *= dims[i];
  return count;
}

// Where the `flat`-th of them (last dimension fastest) is, by `strides`.
template <class Dims, class Strides>
KILN_INLINE int32_t index_offset(int32_t flat, int32_t rank, const Dims& dims, const Strides& strides) {
  int32_t offset = 0;
  for (int32_t i = rank - 1; i > 0; --i) {
    offset += flat % dims[i] * strides[i];
    flat /= dims[i];
  }
  return rank > 0 ? offset + flat * strides[0] : 0;
}

// Reduces `count` adjacent elements in four interleaved parts, so that the chain of dependent steps is shorter.
template <class F, class T>
KILN_INLINE T reduce_block(int32_t count, const T* x) {
  constexpr int32_t kParts = 4;
  T parts[kParts];
  for (int32_t p = 0; p < kParts; ++p) parts[p] = F::template start<T>();
  int32_t i = 0;
  for (; i + kParts <= count; i += kParts)
    for (int32_t p = 0; p < kParts; ++p) parts[p] = F::step(parts[p], x[i + p]);
  for (; i < count; ++i) parts[0] = F::step(parts[0], x[i]);
  return F::join(F::join(parts[0], parts[1]), F::join(parts[2], parts[3]));
}

// Adjacent elements by blocks: rounding errors grow with the number of blocks, not of elements.
template <class F, class T>
KILN_INLINE T reduce_run(int32_t count, const T* x) {
  constexpr int32_t kBlock = 1024;
  T result = F::template start<T>();
  for (; count > kBlock; count -= kBlock, x += kBlock) result = F::join(result, reduce_block<F>(kBlock, x));
  return F::join(result, reduce_block<F>(count, x));
}

// The fastest dimension of x is kept: whole rows are taken in, with their results in y.
template <class F, class D, class T>
KILN_INLINE void reduce_rows(const D& d, const T* x, T* y) {
  const int32_t last = d.kept_rank - 1, width = d.kept[last];
  const int32_t outputs = index_count(last, d.kept), rows = index_count(d.reduced_rank, d.reduced);
  for (int32_t o = 0; o < outputs; ++o) {
    const T* start = x + index_offset(o, last, d.kept, d.kept_strides);
    for (int32_t i = 0; i < width; ++i) y[i] = F::template start<T>();
    for (int32_t r = 0; r < rows; ++r) {
      const T* row = start + index_offset(r, d.reduced_rank, d.reduced, d.reduced_strides);
      for (int32_t i = 0; i < width; ++i) y[i] = F::step(y[i], row[i]);
    }
    for (int32_t i = 0; i < width; ++i) y[i] = F::finish(y[i], rows);
    y += width;
  }
}

// The fastest dimension of x is reduced: runs of memory become one number.
template <class F, class D, class T>
KILN_INLINE void reduce_runs(const D& d, const T* x, T* y) {
  const int32_t last = d.reduced_rank - 1, width = d.reduced[last];
  const int32_t outputs = index_count(d.kept_rank, d.kept), runs = index_count(last, d.reduced);
  for (int32_t o = 0; o < outputs; ++o) {
    const T* start = x + index_offset(o, d.kept_rank, d.kept, d.kept_strides);
    T result = F::template start<T>();
    for (int32_t r = 0; r < runs; ++r)
      result = F::join(result, reduce_run<F>(width, start + index_offset(r, last, d.reduced, d.reduced_strides)));
    y[o] = F::finish(result, runs * width);
  }
}

template <class F, class D, class T>
KILN_INLINE void reduce(const D& d, const T* x, T* y) {
  if (d.kept_strides[d.kept_rank - 1] == 1) reduce_rows<F>(d, x, y);
  else reduce_runs<F>(d, x, y);
}

}  // namespace nn::ref
