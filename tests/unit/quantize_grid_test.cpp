// SPDX-License-Identifier: Apache-2.0
// Grids of activations and weights, and the methods that choose ranges, on distributions whose best range is known.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "compiler/quantize/grid.h"
#include "compiler/quantize/ranges.h"

using namespace kiln;

namespace {

/// Normally distributed numbers that do not depend on the standard library (Box-Muller).
std::vector<float> normal_numbers(size_t count, uint32_t seed) {
  std::mt19937 engine(seed);
  auto uniform = [&] { return (static_cast<double>(engine()) + 0.5) / 4294967296.0; };
  std::vector<float> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back(static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform())));
  return out;
}

Histogram histogram_of(const std::vector<float>& values) {
  auto [low, high] = std::minmax_element(values.begin(), values.end());
  Histogram h({static_cast<double>(*low), static_cast<double>(*high)});
  h.add(values);
  return h;
}

double error_of(std::vector<float> values, Range range) {
  const std::vector<float> exact = values;
  round_to_grid(values, activation_grid(range, DType::i8));
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += std::pow(static_cast<double>(values[i]) - static_cast<double>(exact[i]), 2);
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("an activation grid spans its range, has zero, and rounds half to even") {
  Grid grid = activation_grid({-1, 3}, DType::i8);
  CHECK(grid.scale == Approx(4.0 / 255));
  CHECK(grid.zero_point == -64);
  CHECK(grid.real(grid.zero_point) == 0);
  CHECK(grid.quantize(100) == 127);
  CHECK(grid.quantize(-100) == -128);
  Grid halves{DType::i8, 1, 0};
  CHECK(halves.quantize(0.5f) == 0);
  CHECK(halves.quantize(1.5f) == 2);
  CHECK(halves.quantize(-2.5f) == -2);
  std::vector<float> values{0.5f, 1.5f, -2.5f, 126.5f, 127.5f, 1e30f, -1e30f};
  round_to_grid(values, halves);
  CHECK(values == std::vector<float>{0, 2, -2, 126, 127, 127, -128});
}

TEST_CASE("zero is always on the grid, also beside ranges that do not have it") {
  CHECK(activation_grid({2, 6}, DType::i8).zero_point == -128);
  CHECK(activation_grid({2, 6}, DType::i8).range().high == Approx(6));
  CHECK(activation_grid({-6, -2}, DType::i8).zero_point == 127);
  CHECK(activation_grid({0, 0}, DType::i8) == Grid{DType::i8, 1, 0});
  CHECK(activation_grid({0, 1e-45}, DType::i8) == Grid{DType::i8, 1, 0});
  Grid wide = activation_grid({-1, 1}, DType::i16);
  CHECK(wide.scale == Approx(2.0 / 65535));
  CHECK(wide.range().low == Approx(-1).margin(1e-4));
}

TEST_CASE("weights have a scale per channel that makes 127 of the largest") {
  Tensor weights = Tensor::floats({3, 2}, {1, -2, 0.5f, 0.25f, 0, 0});
  std::vector<float> scales = weight_scales(weights, true, {});
  CHECK(scales == std::vector<float>{2.0f / 127, 0.5f / 127, 2.0f / 127});  // a row of zeros takes the widest
  QuantizedWeights q = quantize_weights(weights, scales);
  std::span<const int8_t> values = q.values.as<int8_t>();
  CHECK(std::vector<int>(values.begin(), values.end()) == std::vector<int>{64, -127, 127, 64, 0, 0});
  CHECK(dequantized(q).as<float>()[1] == -2.0f);
  CHECK(weight_scales(weights, false, {}) == std::vector<float>(3, 2.0f / 127));
  CHECK(weight_scales(weights, true, {0, 1, 0})[1] == 1);
}

TEST_CASE("biases are in units of input and weights, and saturate") {
  std::vector<float> bias{1, -0.26f, 1e12f};
  QuantizedBias q = quantize_bias(bias, 0.5f, {0.5f, 0.25f, 1e-3f});
  CHECK(q.values == std::vector<int32_t>{4, -2, 2147483647});
  CHECK(q.scale[1] == 0.125f);
  CHECK(dequantized(q)[0] == 1);
}

TEST_CASE("minmax takes everything, percentile cuts both ends") {
  std::vector<float> values;
  for (int i = 0; i <= 100000; ++i) values.push_back(static_cast<float>(i) / 100);
  Histogram h = histogram_of(values);
  CHECK(choose_range(h, RangeMethod::minmax, 0, 255) == Range{0, 1000});
  Range cut = choose_range(h, RangeMethod::percentile, 99, 255);
  CHECK(cut.low == Approx(5).margin(h.bin_width()));
  CHECK(cut.high == Approx(995).margin(h.bin_width()));
  CHECK(choose_range(h, RangeMethod::percentile, 100, 255) == Range{0, 1000});
}

TEST_CASE("zeros count for the percentile and for nothing else") {
  std::vector<float> values(9000, 0.0f);
  for (int i = 1; i <= 1000; ++i) values.push_back(static_cast<float>(i));
  Histogram h = histogram_of(values);
  CHECK(h.zeros() == 9000);
  // 1 % of 10,000 at the upper end is the upper 5 % of what is not zero... halved between both ends.
  CHECK(choose_range(h, RangeMethod::percentile, 98, 255).high == Approx(900).margin(2));
  CHECK(choose_range(h, RangeMethod::percentile, 98, 255).low == Approx(0).margin(1));
}

TEST_CASE("mse finds the range with the least error of a normal distribution") {
  std::vector<float> values = normal_numbers(200000, 1);
  Range range = choose_range(histogram_of(values), RangeMethod::mse, 0, 255);
  // Half the range of the best uniform quantizer with 256 levels for a normal distribution: 128 * 0.0308 (Jayant and Noll, "Digital Coding
  // of Waveforms", table 4.1).
  CHECK(range.high == Approx(3.94).margin(0.3));
  CHECK(range.low == Approx(-3.94).margin(0.3));
  double least = 1e9;
  for (double reach = 2; reach < 5; reach += 0.05) least = std::min(least, error_of(values, {-reach, reach}));
  CHECK(error_of(values, range) < 1.01 * least);
}

TEST_CASE("mse weighs outliers, entropy gives them up, and both keep ranges without any") {
  std::vector<float> values = normal_numbers(100000, 2);
  for (int i = 0; i < 20; ++i) values.push_back(12);
  Range mse = choose_range(histogram_of(values), RangeMethod::mse, 0, 255);
  double least = 1e9;
  for (double high = 3; high <= 12; high += 0.1) least = std::min(least, error_of(values, {mse.low, high}));
  CHECK(error_of(values, mse) < 1.01 * least);
  values.push_back(40);
  Range entropy = choose_range(histogram_of(values), RangeMethod::entropy, 0, 255);
  CHECK(entropy.high < 12);
  CHECK(entropy.high > 3);
  std::vector<float> even;
  for (int i = 0; i < 65536; ++i) even.push_back(static_cast<float>(i) / 65536 - 0.25f);
  for (RangeMethod method : {RangeMethod::mse, RangeMethod::entropy}) {
    Range range = choose_range(histogram_of(even), method, 0, 255);
    CHECK(range.low == Approx(-0.25).margin(0.01));
    CHECK(range.high == Approx(0.75).margin(0.01));
  }
}

TEST_CASE("a one-sided distribution keeps zero as its end") {
  std::vector<float> values = normal_numbers(100000, 3);
  for (float& x : values) x = std::max(x, 0.0f);
  for (RangeMethod method : {RangeMethod::mse, RangeMethod::entropy, RangeMethod::percentile}) {
    INFO(range_method_name(method));
    Range range = choose_range(histogram_of(values), method, 99.9, 255);
    CHECK(range.low == 0);
    CHECK(range.high > 2.8);
    CHECK(range.high < 4.6);
  }
}

TEST_CASE("a constant tensor keeps its value") {
  std::vector<float> values(10, 2.5f);
  for (RangeMethod method : {RangeMethod::minmax, RangeMethod::percentile, RangeMethod::entropy, RangeMethod::mse})
    CHECK(choose_range(histogram_of(values), method, 99.99, 255) == Range{2.5, 2.5});
}

TEST_CASE("methods have names") {
  for (const char* name : {"minmax", "percentile", "entropy", "mse"}) CHECK(range_method_name(*range_method_from_name(name)) == name);
  CHECK(!range_method_from_name("kl"));
}
