// SPDX-License-Identifier: Apache-2.0
// The integer operators straight from their ONNX definitions, for tests: plain loops in 64-bit integers over real padding, and float32
// steps one at a time. Shares no code with the kernels; only the descriptor structs carry the layers' numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "compiler/program/descriptors.h"

namespace oracle {

/// One float operation, rounded to float whatever the compiler thinks of fusing.
inline float single(double exact) {
  volatile float rounded = static_cast<float>(exact);
  return rounded;
}
inline float product(float a, float b) { return single(static_cast<double>(a) * b); }   // exact in double: 48 bits
inline float sum(float a, float b) { return single(static_cast<double>(a) + b); }       // double rounding is innocuous: 53 >= 2 * 24 + 2
inline float quotient(float a, float b) { return single(static_cast<double>(a) / b); }  // likewise

/// saturate(round_half_even(real) + zero_point), low for NaN.
inline int32_t saturate(float real, int32_t zero_point, int32_t low, int32_t high) {
  if (std::isnan(real)) return low;
  double shifted = std::nearbyint(static_cast<double>(real)) + zero_point;
  return static_cast<int32_t>(std::clamp<double>(shifted, low, high));
}
inline int32_t requantize(int64_t acc, float m, int32_t zero_point, int32_t low, int32_t high) {
  volatile float converted = static_cast<float>(acc);
  return saturate(product(converted, m), zero_point, low, high);
}

/// A layer's result for the exact sum; what is added to it as a float, if anything.
template <class Y, class D>
Y result(const D& d, int64_t acc, float m, const float* addend = nullptr) {
  volatile float converted = static_cast<float>(acc);
  const float scaled = product(addend ? sum(converted, *addend) : converted, m);
  if constexpr (std::is_same_v<Y, float>) {
    return scaled;
  } else if constexpr (std::is_same_v<Y, int32_t>) {
    return static_cast<int32_t>(acc);
  } else {
    return static_cast<Y>(saturate(scaled, d.y_zero_point, d.low, d.high));
  }
}

/// Convolution of (x - x_zero_point) with (w - w_zero_point), padding being 0, plus `bias`. w [out_c][kernel_h][kernel_w][in_c / groups].
template <class Y, class X, class W>
std::vector<Y> conv2d(const kiln::QConv2d& d, const std::vector<X>& x, const std::vector<W>& w, const std::vector<int32_t>& bias, const std::vector<float>& m) {
  std::vector<Y> y;
  int64_t per_group = d.in_c / d.groups;
  for (int64_t n = 0; n < d.batch; ++n)
    for (int64_t oy = 0; oy < d.out_h; ++oy)
      for (int64_t ox = 0; ox < d.out_w; ++ox)
        for (int64_t o = 0; o < d.out_c; ++o) {
          int64_t acc = bias[static_cast<size_t>(o)];
          int64_t group = o / (d.out_c / d.groups);
          for (int64_t ky = 0; ky < d.kernel_h; ++ky)
            for (int64_t kx = 0; kx < d.kernel_w; ++kx) {
              int64_t iy = oy * d.stride_h - d.pad_top + ky * d.dilation_h, ix = ox * d.stride_w - d.pad_left + kx * d.dilation_w;
              if (iy < 0 || iy >= d.in_h || ix < 0 || ix >= d.in_w) continue;
              for (int64_t i = 0; i < per_group; ++i) {
                int64_t xv = x[static_cast<size_t>(((n * d.in_h + iy) * d.in_w + ix) * d.in_c + group * per_group + i)];
                int64_t wv = w[static_cast<size_t>(((o * d.kernel_h + ky) * d.kernel_w + kx) * per_group + i)];
                acc += (xv - d.x_zero_point) * (wv - d.w_zero_point);
              }
            }
          const float* factor = &m[static_cast<size_t>(o * d.multiplier_stride)];
          y.push_back(result<Y>(d, acc, *factor, d.multiplier_stride == 2 ? factor + 1 : nullptr));
        }
  return y;
}

/// Average over windows: elements outside the input count as 0, or not at all; those outside the padded input never count.
template <class Y, class X>
std::vector<Y> average_pool2d(const kiln::QPool2d& d, const std::vector<X>& x, float x_scale, float y_scale) {
  std::vector<Y> y;
  for (int64_t n = 0; n < d.batch; ++n)
    for (int64_t oy = 0; oy < d.out_h; ++oy)
      for (int64_t ox = 0; ox < d.out_w; ++ox)
        for (int64_t c = 0; c < d.channels; ++c) {
          int64_t acc = 0, inside = 0, padded = 0;
          for (int64_t ky = 0; ky < d.kernel_h; ++ky)
            for (int64_t kx = 0; kx < d.kernel_w; ++kx) {
              int64_t py = oy * d.stride_h + ky * d.dilation_h, px = ox * d.stride_w + kx * d.dilation_w;
              padded += py < d.padded_h && px < d.padded_w ? 1 : 0;
              int64_t iy = py - d.pad_top, ix = px - d.pad_left;
              if (iy < 0 || iy >= d.in_h || ix < 0 || ix >= d.in_w) continue;
              ++inside;
              acc += x[static_cast<size_t>(((n * d.in_h + iy) * d.in_w + ix) * d.channels + c)] - d.x_zero_point;
            }
          int64_t count = d.count_include_pad ? padded : inside;
          float m = count == 0 ? 0.0f : single(static_cast<double>(x_scale) / (static_cast<double>(count) * y_scale));
          y.push_back(static_cast<Y>(requantize(acc, m, d.y_zero_point, d.low, d.high)));
        }
  return y;
}

template <class Y, class X>
std::vector<Y> resize_linear2d(const kiln::QResize2d& d, const std::vector<X>& x, const std::vector<int32_t>& rows, const std::vector<float>& row_weights,
                               const std::vector<int32_t>& columns, const std::vector<float>& column_weights) {
  std::vector<Y> y;
  for (int64_t n = 0; n < d.batch; ++n)
    for (size_t i = 0; i < rows.size(); ++i)
      for (size_t j = 0; j < columns.size(); ++j)
        for (int64_t c = 0; c < d.channels; ++c) {
          auto at = [&](int64_t row, int64_t column) {
            row = std::min<int64_t>(row, d.in_h - 1);
            column = std::min<int64_t>(column, d.in_w - 1);
            return static_cast<float>(x[static_cast<size_t>(((n * d.in_h + row) * d.in_w + column) * d.channels + c)] - d.x_zero_point);
          };
          float down = row_weights[i], up = sum(1.0f, -down), right = column_weights[j], left = sum(1.0f, -right);
          float total = product(product(left, up), at(rows[i], columns[j]));
          total = sum(total, product(product(right, up), at(rows[i], columns[j] + 1)));
          total = sum(total, product(product(left, down), at(rows[i] + 1, columns[j])));
          total = sum(total, product(product(right, down), at(rows[i] + 1, columns[j] + 1)));
          y.push_back(static_cast<Y>(saturate(product(total, d.multiplier), d.y_zero_point, d.low, d.high)));
        }
  return y;
}

/// One row of layer normalization in the order that nn/ref/layer_norm.h states.
inline std::vector<float> layer_norm(const std::vector<float>& x, float epsilon, const std::vector<float>& scale, const std::vector<float>& bias) {
  auto count = static_cast<float>(x.size());
  float total = 0, squares = 0;
  for (float v : x) total = sum(total, v);
  float mean = quotient(total, count);
  for (float v : x) squares = sum(squares, product(sum(v, -mean), sum(v, -mean)));
  float deviation = single(std::sqrt(static_cast<double>(sum(quotient(squares, count), epsilon))));
  float factor = quotient(1.0f, deviation);
  std::vector<float> y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(sum(product(product(sum(x[i], -mean), factor), scale[i]), bias[i]));
  return y;
}

}  // namespace oracle
