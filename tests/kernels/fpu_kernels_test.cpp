// SPDX-License-Identifier: Apache-2.0
// The float kernels for scalar FPUs as this machine compiles them, with descriptors that are known at run time only, against the reference
// kernels. Boards run them in tests/bundle/board_float_layers_test.cpp.
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "compiler/program/descriptors.h"
#include "nn/fpu/conv2d.h"
#include "nn/ref/conv2d.h"

using namespace kiln;

namespace {

class Numbers {
 public:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::vector<float> floats(int count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& v : values) v = std::uniform_real_distribution<float>(-1, 1)(random_);
    return values;
  }

 private:
  std::mt19937 random_{1};
};

/// [channel][k] -> [block of 4 channels][k][4], further channels 0.
std::vector<float> blocks(const std::vector<float>& from, int channels) {
  int inputs = static_cast<int>(from.size()) / channels;
  std::vector<float> packed(static_cast<size_t>((channels + 3) / 4 * 4 * inputs));
  for (int o = 0; o < channels; ++o)
    for (int k = 0; k < inputs; ++k)
      packed[static_cast<size_t>((o / 4 * inputs + k) * 4 + o % 4)] = from[static_cast<size_t>(o * inputs + k)];
  return packed;
}

/// [tap][channel] -> [block of 4 channels][tap][4], the last block at the last four channels.
std::vector<float> depthwise_blocks(const std::vector<float>& from, int channels) {
  std::vector<float> packed;
  for (int block = 0; block < channels; block += 4)
    for (size_t tap = 0; tap < from.size(); tap += static_cast<size_t>(channels)) {
      auto start = from.begin() + static_cast<ptrdiff_t>(tap) + std::min(block, channels - 4);
      packed.insert(packed.end(), start, start + 4);
    }
  return packed;
}

/// The largest difference, relative to 1 or to the number if that is greater. Sums of up to a few hundred products of numbers below 1.
float worst(const std::vector<float>& got, const std::vector<float>& want) {
  float most = 0;
  for (size_t i = 0; i < want.size(); ++i) most = std::max(most, std::abs(got[i] - want[i]) / (1 + std::abs(want[i])));
  return most;
}

/// A window over an image that both kinds of convolution understand; output sizes by ONNX's formula.
template <class D>
void set_window(Numbers& n, D& d) {
  d.batch = n.pick(1, 2);
  d.kernel_h = n.pick(1, 4), d.kernel_w = n.pick(1, 4);
  d.stride_h = n.pick(1, 3), d.stride_w = n.pick(1, 3);
  d.dilation_h = n.pick(1, 2), d.dilation_w = n.pick(1, 2);
  d.pad_top = n.pick(0, d.kernel_h - 1), d.pad_left = n.pick(0, d.kernel_w - 1);
  int high = (d.kernel_h - 1) * d.dilation_h + 1, wide = (d.kernel_w - 1) * d.dilation_w + 1;
  d.in_h = std::max(1, high - d.pad_top) + n.pick(0, 6), d.in_w = std::max(1, wide - d.pad_left) + n.pick(0, 9);
  d.out_h = (d.in_h + d.pad_top + n.pick(0, d.kernel_h - 1) - high) / d.stride_h + 1;
  d.out_w = (d.in_w + d.pad_left + n.pick(0, d.kernel_w - 1) - wide) / d.stride_w + 1;
  d.alpha = -0.5f, d.beta = 0.25f;
}

}  // namespace

TEST_CASE("float tiles of convolutions agree with the reference") {
  Numbers n;
  for (int layer = 0; layer < 200; ++layer) {
    Conv2d d{};
    set_window(n, d);
    d.groups = 1, d.in_c = n.pick(1, 9), d.out_c = n.pick(1, 13);
    std::vector<float> x = n.floats(d.batch * d.in_h * d.in_w * d.in_c), w = n.floats(d.out_c * d.kernel_h * d.kernel_w * d.in_c),
                       b = n.floats(d.out_c);
    std::vector<float> y(static_cast<size_t>(d.batch * d.out_h * d.out_w * d.out_c)), expected = y;
    nn::ref::conv2d<nn::fn::clip>(d, x.data(), w.data(), b.data(), expected.data());
    nn::fpu::conv2d<nn::fn::clip>(d, x.data(), blocks(w, d.out_c).data(), blocks(b, d.out_c).data(), y.data());
    INFO("layer " << layer);
    CHECK(worst(y, expected) <= 2e-5f);
  }
}

TEST_CASE("float tiles of depthwise convolutions agree with the reference") {
  Numbers n;
  for (int layer = 0; layer < 200; ++layer) {
    Depthwise2d d{};
    set_window(n, d);
    d.channels = n.pick(4, 14);
    std::vector<float> x = n.floats(d.batch * d.in_h * d.in_w * d.channels), w = n.floats(d.kernel_h * d.kernel_w * d.channels),
                       b = n.floats(d.channels);
    std::vector<float> y(static_cast<size_t>(d.batch * d.out_h * d.out_w * d.channels)), expected = y;
    nn::ref::depthwise2d<nn::fn::relu>(d, x.data(), w.data(), b.data(), expected.data());
    nn::fpu::depthwise2d<nn::fn::relu>(d, x.data(), depthwise_blocks(w, d.channels).data(), b.data(), y.data());
    INFO("layer " << layer);
    CHECK(worst(y, expected) <= 2e-5f);
  }
}

TEST_CASE("float tiles of dense layers agree with the reference") {
  Numbers n;
  for (int layer = 0; layer < 200; ++layer) {
    Dense d{n.pick(1, 9), n.pick(1, 40), n.pick(1, 11), 0.1f, 0};
    std::vector<float> x = n.floats(d.rows * d.in), w = n.floats(d.out * d.in), b = n.floats(d.out), y(static_cast<size_t>(d.rows * d.out)),
                       expected = y;
    nn::ref::dense<nn::fn::leaky_relu>(d, x.data(), w.data(), b.data(), expected.data());
    nn::fpu::dense<nn::fn::leaky_relu>(d, x.data(), blocks(w, d.out).data(), blocks(b, d.out).data(), y.data());
    INFO("layer " << layer);
    CHECK(worst(y, expected) <= 2e-5f);
  }
}
