// SPDX-License-Identifier: Apache-2.0
// Lines instead of requantization: the kernel's arithmetic against the float formula, for every sum of random channels.
#include "targets/kernels/scalar/line_form.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "nn/scalar/line.h"

using namespace kiln::kernels;

namespace {

struct Descriptor {
  int32_t y_zero_point, low, high;
};

int32_t kernel_result(const LineForms& forms, const Grid& g, int32_t channel, int32_t sum) {
  int32_t result = 0;
  Descriptor d{g.zero_point, g.low, g.high};
  nn::scalar::finish_channel<1>(d, nn::scalar::lines_of(forms.offsets.data(), forms.factors.data()), channel, &sum, [&](int32_t, int32_t y) { result = y; });
  return result;
}

constexpr Grid kGrids[] = {{-128, -128, 127}, {0, -128, 127}, {83, -128, 127}, {131, 131, 255}, {0, 0, 255}, {-7, -7, 40}};

}  // namespace

TEST_CASE("lines equal the float formula for every sum, and most channels have one") {
  std::mt19937 random(7);
  auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
  int32_t channels = 0, lines = 0;
  int64_t wrong = 0;
  for (int round = 0; round < 60; ++round) {
    const Grid& g = kGrids[round % 6];
    std::vector<Staircase> layer;
    for (int i = 0; i < 8; ++i) {
      const auto extent = static_cast<int64_t>(std::exp(real(3, 11)));
      const auto m = static_cast<float>(real(0.2, 4) * 255 / static_cast<double>(2 * extent));
      layer.push_back({-static_cast<int64_t>(real(0.1, 1) * static_cast<double>(extent)), extent, static_cast<int32_t>(real(-0.3, 0.3) * static_cast<double>(extent)), m});
    }
    LineForms forms = line_forms(layer, g);
    lines += forms.lines;
    channels += 8;
    for (int32_t o = 0; o < 8; ++o) {
      const Staircase& s = layer[static_cast<size_t>(o)];
      for (int64_t sum = s.least; sum <= s.most; ++sum) {
        const int32_t at = static_cast<int32_t>(sum);
        if (kernel_result(forms, g, o, at) != nn::requantize_float(at + s.bias, s.m, g.zero_point, g.low, g.high)) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(lines * 10 >= channels * 8);
}

TEST_CASE("channels at the ends of the scale have a line or do without") {
  const Grid g{3, -128, 127};
  const std::vector<Staircase> layer{
      {0, 0, 5, 0.25f},                 // no inputs that matter
      {-1000, 1000, 0, 0.0f},           // all results are the zero point
      {-1000, 1000, 77, 1e-30f},        // so here
      {-1000, 1000, 0, 1.0f},           // every sum is a step
      {-1000, 1000, 0, 3.5f},           // and here some results do not occur
      {-1000, 1000, 0, 0.5f},           // ties, to even: no line
      {-2000000000, 2000000000, 0, 1e-7f},
      {-1000, 1000, 1 << 30, 1e-3f},    // saturates always
  };
  LineForms forms = line_forms(layer, g);
  REQUIRE(forms.offsets.size() == layer.size());
  REQUIRE(forms.factors.size() == layer.size() + 2);
  CHECK(forms.factors[2 + 5] < 0);
  for (int32_t o = 0; o < static_cast<int32_t>(layer.size()); ++o) {
    const Staircase& s = layer[static_cast<size_t>(o)];
    const int64_t stride = std::max<int64_t>(1, (s.most - s.least) / 4001);
    for (int64_t sum = s.least; sum <= s.most; sum += stride) {
      CAPTURE(o, sum);
      const int32_t at = static_cast<int32_t>(sum);
      if (kernel_result(forms, g, o, at) != nn::requantize_float(at + s.bias, s.m, g.zero_point, g.low, g.high)) FAIL_CHECK("the line differs");
    }
  }
}
