// SPDX-License-Identifier: Apache-2.0
// Generated float layers side by side, each with an input and an output of its own: convolutions, dense layers and pools.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/builder.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/ops.h"
#include "nn/half.h"

namespace kiln::test {

/// Sums of a few hundred products of numbers below 1, with and without fused multiply-add.
inline constexpr double kFloatTolerance = 2e-5;

/// The most of each; boards have little memory.
struct FloatLayerSizes {
  int height, width, inputs, channels, rows, features;
};
inline constexpr FloatLayerSizes kHostSizes{9, 17, 40, 70, 33, 150}, kBoardSizes{7, 9, 21, 13, 9, 19};

class FloatLayers {
 public:
  /// `stored`: the type in which the model has the weights: f32, f16 or bf16.
  explicit FloatLayers(uint32_t seed, const FloatLayerSizes& sizes = kHostSizes, DType stored = DType::f32)
      : random_(seed), sizes_(sizes), stored_(stored) {
    graph_.has_narrow_weights = stored != DType::f32;
  }

  [[nodiscard]] const Graph& graph() const { return graph_; }

  /// `count` convolutions, general or depthwise.
  FloatLayers& convolutions(int count, bool depthwise) {
    for (int i = 0; i < count; ++i) convolution(depthwise);
    return *this;
  }
  FloatLayers& dense(int count) {
    for (int i = 0; i < count; ++i) {
      const int64_t rows = pick(0, 1) ? 1 : pick(1, sizes_.rows), in = pick(1, 90), out = pick(1, sizes_.features);
      add(ops::dense, {input({rows, in}), weights({out, in}), constant({out})}, activation());
    }
    return *this;
  }
  FloatLayers& pools(int count, const OpDef& op) {
    for (int i = 0; i < count; ++i) {
      const int64_t kh = pick(1, 5), kw = pick(1, 5);
      Attrs attrs;
      attrs.set("kernel", std::vector<int64_t>{kh, kw});
      attrs.set("strides", std::vector<int64_t>{pick(1, 3), pick(1, 3)});
      attrs.set("pads", pads(kh, kw));
      if (&op == &ops::average_pool2d) attrs.set("count_include_pad", pick(0, 1));
      add(op, {input({pick(1, 2), kh + pick(0, sizes_.height), kw + pick(0, sizes_.width), pick(1, sizes_.inputs)})}, std::move(attrs));
    }
    return *this;
  }

 private:
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }

  ValueId input(Shape shape) { return graph_.add_input("x", {DType::f32, std::move(shape), {}}); }
  ValueId constant(Shape shape) { return graph_.add_constant("c", random_tensor({DType::f32, std::move(shape), {}}, random_())); }
  ValueId weights(Shape shape) {
    Tensor values = random_tensor({DType::f32, std::move(shape), {}}, random_());
    for (float& x : values.as<float>()) {
      if (stored_ == DType::f16) x = nn::f16_to_float(nn::float_to_f16(x));
      if (stored_ == DType::bf16) x = nn::bf16_to_float(nn::float_to_bf16(x));
    }
    return graph_.add_constant("w", std::move(values));
  }
  void add(const OpDef& op, std::vector<ValueId> operands, Attrs attrs) {
    GraphBuilder b(graph_, {"layer"});
    Result<ValueId> y = b.add(op, std::move(operands), std::move(attrs));
    INFO((y.ok() ? "" : y.diagnostic().message));
    REQUIRE(y.ok());
    graph_.add_output(*y, fmt::format("y{}", graph_.outputs().size()));
  }

  Attrs activation() {
    switch (pick(0, 3)) {
      case 0:
        return {};
      case 1:
        return {{"act", std::string("clip")}, {"alpha", -0.25}, {"beta", 0.5}};
      case 2:
        return {{"act", std::string("leaky_relu")}, {"alpha", 0.1}};
      default:
        return {{"act", std::string("relu")}};
    }
  }
  std::vector<int64_t> pads(int64_t kh, int64_t kw) { return {pick(0, kh - 1), pick(0, kw - 1), pick(0, kh - 1), pick(0, kw - 1)}; }

  void convolution(bool depthwise) {
    const int64_t kh = pick(1, 4), kw = pick(1, 4), dh = pick(1, 2), dw = pick(1, 2), channels = pick(1, sizes_.inputs),
                  out = depthwise ? channels : pick(1, sizes_.channels);
    Attrs attrs = activation();
    attrs.set("strides", std::vector<int64_t>{pick(1, 3), pick(1, 3)});
    attrs.set("dilations", std::vector<int64_t>{dh, dw});
    attrs.set("pads", pads(kh, kw));
    if (depthwise) attrs.set("groups", channels);
    const ValueId x = input({pick(1, 2), (kh - 1) * dh + pick(1, sizes_.height), (kw - 1) * dw + pick(1, sizes_.width), channels});
    add(ops::conv2d, {x, weights({out, kh, kw, depthwise ? 1 : channels}), constant({out})}, std::move(attrs));
  }

  std::mt19937 random_;
  FloatLayerSizes sizes_;
  DType stored_;
  Graph graph_;
};

/// What boards with an FPU or vectors compute.
inline Graph float_board_layers(uint32_t seed) {
  return FloatLayers(seed, kBoardSizes).convolutions(13, false).convolutions(13, true).dense(14).graph();
}

}  // namespace kiln::test
