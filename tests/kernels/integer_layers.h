// SPDX-License-Identifier: Apache-2.0
// Generated integer layers: random shapes, types and numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "compiler/program/descriptors.h"

class LayerNumbers {
 public:
  explicit LayerNumbers(uint32_t seed) : random_(seed) {}

  int32_t pick(int32_t low, int32_t high) { return std::uniform_int_distribution<int32_t>(low, high)(random_); }
  float real(double low, double high) { return static_cast<float>(std::uniform_real_distribution<double>(low, high)(random_)); }
  /// A positive number, all magnitudes of [low, high] alike.
  float scale(double low, double high) { return static_cast<float>(std::exp(std::uniform_real_distribution<double>(std::log(low), std::log(high))(random_))); }

  template <class T>
  T element() {
    return static_cast<T>(pick(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  template <class T>
  std::vector<T> elements(int64_t count) {
    std::vector<T> out(static_cast<size_t>(count));
    for (T& v : out) v = element<T>();
    return out;
  }
  std::vector<float> reals(int64_t count, double low, double high) {
    std::vector<float> out(static_cast<size_t>(count));
    for (float& v : out) v = real(low, high);
    return out;
  }
  /// y_zero_point, low, high of a quantized result; sometimes bounds of a fused activation.
  template <class Y, class D>
  void result_grid(D& d) {
    if constexpr (std::is_same_v<Y, float> || std::is_same_v<Y, int32_t>) return;
    else {
      d.y_zero_point = pick(0, 2) == 0 ? 0 : element<Y>();
      d.low = std::numeric_limits<Y>::min();
      d.high = std::numeric_limits<Y>::max();
      if (pick(0, 2) == 0) d.low = d.y_zero_point;
      if (pick(0, 3) == 0) d.high = pick(d.low, d.high);
    }
  }

 private:
  std::mt19937 random_;
};

/// What a layer is called with, and the bias before the folding of x_zero_point.
template <class X, class W>
struct Operands {
  std::vector<X> x;
  std::vector<W> w;
  std::vector<int32_t> bias, folded;
  std::vector<float> m;
};

/// Zero points, weights, bias and multipliers (of every third layer with addends) for `outputs` channels of `inner` products each; x has `elements`.
template <class X, class W, class Y, class D>
Operands<X, W> operands(LayerNumbers& numbers, D& d, int64_t elements, int32_t outputs, int32_t inner) {
  Operands<X, W> o;
  d.x_zero_point = numbers.pick(0, 3) == 0 ? 0 : numbers.element<X>();
  d.w_zero_point = numbers.element<W>();
  if (numbers.pick(0, 3) != 0) d.w_zero_point = std::is_signed_v<W> ? 0 : 128;
  numbers.result_grid<Y>(d);
  d.multiplier_stride = numbers.pick(0, std::is_same_v<Y, int32_t> ? 1 : 2);
  o.x = numbers.elements<X>(elements);
  o.w = numbers.elements<W>(static_cast<int64_t>(outputs) * inner);
  double product = std::exp2(8.0 * sizeof(X)) * std::exp2(8.0 * sizeof(W));
  bool fits = 2 * product * inner < std::exp2(31.0);
  if (!fits) d.x_zero_point %= 200;  // so that the folded bias fits
  d.wide = fits ? numbers.pick(0, 1) : 1;
  for (int32_t c = 0; c < outputs; ++c) {
    int64_t weights = 0;
    for (int32_t i = 0; i < inner; ++i) weights += o.w[static_cast<size_t>(c * inner + i)] - d.w_zero_point;
    o.bias.push_back(numbers.pick(-20000, 20000));
    o.folded.push_back(static_cast<int32_t>(o.bias.back() - d.x_zero_point * weights));
  }
  double spread = std::max(d.high - d.low, 1) / (product / 8 * std::sqrt(inner));
  for (int32_t c = 0; c < (d.multiplier_stride ? outputs : 1); ++c) {
    o.m.push_back(static_cast<float>(spread * numbers.scale(0.1, 2)));
    if (d.multiplier_stride == 2) o.m.push_back(numbers.real(-20000, 20000));
  }
  return o;
}

inline kiln::QConv2d random_window(LayerNumbers& n) {
  kiln::QConv2d d;
  d.batch = n.pick(1, 2);
  d.kernel_h = n.pick(1, 4), d.kernel_w = n.pick(1, 4);
  d.dilation_h = n.pick(1, 2), d.dilation_w = n.pick(1, 2);
  d.stride_h = n.pick(1, 3), d.stride_w = n.pick(1, 3);
  d.pad_top = n.pick(0, 3), d.pad_left = n.pick(0, 3);
  int32_t span_h = (d.kernel_h - 1) * d.dilation_h + 1, span_w = (d.kernel_w - 1) * d.dilation_w + 1;
  d.in_h = std::max(1, span_h - 2 * d.pad_top) + n.pick(0, 5), d.in_w = std::max(1, span_w - 2 * d.pad_left) + n.pick(0, 9);
  d.out_h = std::max(0, d.in_h + d.pad_top + n.pick(0, d.pad_top) - span_h) / d.stride_h + 1;
  d.out_w = std::max(0, d.in_w + d.pad_left + n.pick(0, d.pad_left) - span_w) / d.stride_w + 1;
  return d;
}

/// The depthwise convolution that `c`, with as many groups as channels, is.
inline kiln::QDepthwise2d depthwise_of(const kiln::QConv2d& c) {
  kiln::QDepthwise2d d;
  d.batch = c.batch, d.in_h = c.in_h, d.in_w = c.in_w, d.channels = c.in_c, d.out_h = c.out_h, d.out_w = c.out_w;
  d.kernel_h = c.kernel_h, d.kernel_w = c.kernel_w, d.stride_h = c.stride_h, d.stride_w = c.stride_w;
  d.dilation_h = c.dilation_h, d.dilation_w = c.dilation_w, d.pad_top = c.pad_top, d.pad_left = c.pad_left;
  d.x_zero_point = c.x_zero_point, d.w_zero_point = c.w_zero_point, d.y_zero_point = c.y_zero_point, d.low = c.low, d.high = c.high;
  d.multiplier_stride = c.multiplier_stride, d.wide = c.wide;
  return d;
}

/// [channel][tap] -> [tap][channel]
template <class W>
std::vector<W> by_taps(const std::vector<W>& w, int32_t channels) {
  std::vector<W> out(w.size());
  size_t taps = w.size() / static_cast<size_t>(channels);
  for (size_t i = 0; i < w.size(); ++i) out[i % taps * static_cast<size_t>(channels) + i / taps] = w[i];
  return out;
}

/// A dense layer as a convolution of a row of pixels by 1 x 1 filters, and back.
inline kiln::QConv2d dense_as_conv(int32_t rows, int32_t in, int32_t out) {
  kiln::QConv2d c;
  c.batch = c.in_h = c.out_h = c.kernel_h = c.kernel_w = c.stride_h = c.stride_w = c.dilation_h = c.dilation_w = c.groups = 1;
  c.in_w = c.out_w = rows, c.in_c = in, c.out_c = out;
  return c;
}
inline kiln::QDense dense_of(const kiln::QConv2d& c) {
  return {c.in_w, c.in_c, c.out_c, c.x_zero_point, c.w_zero_point, c.y_zero_point, c.low, c.high, c.multiplier_stride, c.wide};
}

/// An average pool with the multiplier of each count of elements.
struct AveragePool {
  kiln::QPool2d d;
  float x_scale = 1, y_scale = 1;
  std::vector<float> m;
};

template <class X, class Y>
AveragePool random_average_pool(LayerNumbers& n, int32_t channels) {
  AveragePool pool;
  kiln::QPool2d& d = pool.d;
  d.batch = n.pick(1, 2), d.channels = channels;
  d.kernel_h = n.pick(1, 4), d.kernel_w = n.pick(1, 4);
  d.dilation_h = n.pick(1, 2), d.dilation_w = n.pick(1, 2);
  d.stride_h = n.pick(1, 3), d.stride_w = n.pick(1, 3);
  d.pad_top = n.pick(0, 3), d.pad_left = n.pick(0, 3);
  int32_t pad_bottom = n.pick(0, 3), pad_right = n.pick(0, 3), span_h = (d.kernel_h - 1) * d.dilation_h + 1, span_w = (d.kernel_w - 1) * d.dilation_w + 1;
  d.in_h = std::max(1, span_h - d.pad_top - pad_bottom) + n.pick(0, 6), d.in_w = std::max(1, span_w - d.pad_left - pad_right) + n.pick(0, 6);
  d.padded_h = d.in_h + d.pad_top + pad_bottom, d.padded_w = d.in_w + d.pad_left + pad_right;
  bool ceil = n.pick(0, 3) == 0;  // windows that begin inside and end beyond the padding
  d.out_h = (d.padded_h - span_h + (ceil ? d.stride_h - 1 : 0)) / d.stride_h + 1;
  d.out_w = (d.padded_w - span_w + (ceil ? d.stride_w - 1 : 0)) / d.stride_w + 1;
  d.count_include_pad = n.pick(0, 1);
  d.uniform_count = d.count_include_pad != 0 && !ceil;
  d.x_zero_point = n.element<X>();
  n.result_grid<Y>(d);
  pool.x_scale = n.scale(0.01, 1), pool.y_scale = pool.x_scale * n.scale(0.2, 2) * (sizeof(X) > sizeof(Y) ? 256.0f : 1.0f);
  for (int32_t count = 1; count <= d.kernel_h * d.kernel_w; ++count) pool.m.push_back(static_cast<float>(pool.x_scale / (static_cast<double>(count) * pool.y_scale)));
  if (d.uniform_count) pool.m = {pool.m.back()};
  return pool;
}

/// Calls f.template operator()<X, W, Y>() with one of the combinations of element types that models have.
template <class F>
void with_layer_types(int32_t which, F&& f) {
  switch (which) {
    case 0: return f.template operator()<int8_t, int8_t, int8_t>();
    case 1: return f.template operator()<uint8_t, int8_t, uint8_t>();
    case 2: return f.template operator()<uint8_t, uint8_t, uint8_t>();
    case 3: return f.template operator()<int8_t, uint8_t, int8_t>();
    case 4: return f.template operator()<int16_t, int8_t, int16_t>();
    case 5: return f.template operator()<uint16_t, int8_t, uint16_t>();
    case 6: return f.template operator()<int16_t, int16_t, int16_t>();
    case 7: return f.template operator()<uint8_t, int8_t, int8_t>();
    case 8: return f.template operator()<int8_t, int8_t, uint16_t>();
    case 9: return f.template operator()<int8_t, int8_t, float>();
    case 10: return f.template operator()<uint8_t, uint8_t, float>();
    case 11: return f.template operator()<uint8_t, uint8_t, int32_t>();
    case 12: return f.template operator()<uint16_t, uint8_t, int16_t>();
    default: return f.template operator()<int16_t, int8_t, float>();
  }
}
constexpr int32_t kLayerTypes = 14;
