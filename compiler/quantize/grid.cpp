// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kiln {
namespace {

/// Adding and subtracting it rounds |x| <= 2^22 half to even, as long as the rounding mode is the default.
constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23

float rounded(float x) { return (x + kRounder) - kRounder; }

size_t row_length(const Tensor& weights) {
  return weights.type.shape[0] == 0 ? 0 : static_cast<size_t>(weights.type.elements() / weights.type.shape[0]);
}

}  // namespace

int32_t Grid::quantize(float x) const {
  float least = static_cast<float>(low() - zero_point), most = static_cast<float>(high() - zero_point);
  return static_cast<int32_t>(rounded(std::clamp(x / scale, least, most))) + zero_point;
}

Grid activation_grid(Range range, DType dtype) {
  Grid grid{dtype, 1, 0};
  double low = std::min(range.low, 0.0), high = std::max(range.high, 0.0);
  double steps = grid.high() - grid.low();
  auto scale = static_cast<float>((high - low) / steps);
  if (!(scale >= std::numeric_limits<float>::min())) return grid;
  grid.scale = scale;
  double zero = std::nearbyint(grid.low() - low / static_cast<double>(scale));
  grid.zero_point = static_cast<int32_t>(std::clamp<double>(zero, grid.low(), grid.high()));
  return grid;
}

void round_to_grid(std::span<float> values, const Grid& grid) {
  const float least = static_cast<float>(grid.low() - grid.zero_point), most = static_cast<float>(grid.high() - grid.zero_point);
  for (float& x : values) x = rounded(std::min(std::max(x / grid.scale, least), most)) * grid.scale;
}

std::vector<float> weight_scales(const Tensor& weights, bool per_channel, const std::vector<float>& least) {
  std::span<const float> w = weights.as<float>();
  size_t row = row_length(weights);
  std::vector<float> scales;
  for (size_t first = 0; first < w.size(); first += row) {
    float largest = 0;
    for (float x : w.subspan(first, row)) largest = std::max(largest, std::fabs(x));
    scales.push_back(largest / 127.0f);
  }
  float widest = scales.empty() ? 0 : *std::max_element(scales.begin(), scales.end());
  if (widest < std::numeric_limits<float>::min()) widest = 1;
  for (size_t o = 0; o < scales.size(); ++o) {
    if (!per_channel || scales[o] < std::numeric_limits<float>::min()) scales[o] = widest;
    if (o < least.size()) scales[o] = std::max(scales[o], least[o]);
  }
  if (!per_channel && !scales.empty()) scales.assign(scales.size(), *std::max_element(scales.begin(), scales.end()));
  return scales;
}

QuantizedWeights quantize_weights(const Tensor& weights, std::vector<float> scales) {
  QuantizedWeights out{std::move(scales), Tensor({DType::i8, weights.type.shape, {}})};
  std::span<const float> w = weights.as<float>();
  std::span<int8_t> q = out.values.as<int8_t>();
  size_t row = row_length(weights);
  for (size_t i = 0; i < w.size(); ++i) q[i] = static_cast<int8_t>(rounded(std::clamp(w[i] / out.scale[i / row], -127.0f, 127.0f)));
  return out;
}

Tensor dequantized(const QuantizedWeights& weights) {
  Tensor out({DType::f32, weights.values.type.shape, {}});
  std::span<const int8_t> q = weights.values.as<int8_t>();
  std::span<float> w = out.as<float>();
  size_t row = row_length(weights.values);
  for (size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(q[i]) * weights.scale[i / row];
  return out;
}

QuantizedBias quantize_bias(std::span<const float> bias, float input_scale, const std::vector<float>& weight_scale) {
  QuantizedBias out;
  for (size_t o = 0; o < bias.size(); ++o) {
    float scale = input_scale * weight_scale[o];
    double q = std::nearbyint(static_cast<double>(bias[o]) / static_cast<double>(scale));
    constexpr double kLow = std::numeric_limits<int32_t>::min(), kHigh = std::numeric_limits<int32_t>::max();
    out.scale.push_back(scale);
    out.values.push_back(static_cast<int32_t>(std::clamp(q, kLow, kHigh)));
  }
  return out;
}

std::vector<float> dequantized(const QuantizedBias& bias) {
  std::vector<float> out;
  for (size_t o = 0; o < bias.values.size(); ++o) out.push_back(static_cast<float>(bias.values[o]) * bias.scale[o]);
  return out;
}

}  // namespace kiln
