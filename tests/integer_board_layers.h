// SPDX-License-Identifier: Apache-2.0
// Generated integer layers as graphs: dense, convolutions, sums and average pools.
#pragma once

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ir/builder.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/ops.h"
#include "compiler/ops/quantization.h"
#include "tests/emitted_layers.h"

namespace kiln::test {

/// Layers side by side, each with an input and an output of its own.
class IntegerLayers {
 public:
  explicit IntegerLayers(uint32_t seed) : random_(seed) {}

  Graph graph(int layers) {
    Graph graph;
    GraphBuilder b(graph, {"layer"});
    for (int i = 0; i < layers; ++i) {
      int kind = pick(0, 5);
      Attrs attrs = numbers();
      Result<ValueId> y = kind == 0   ? dense(graph, b, attrs)
                          : kind == 4 ? sum(graph, b, attrs)
                          : kind == 5 ? average(graph, b, attrs)
                                      : convolution(graph, b, attrs, kind == 1);
      INFO((y.ok() ? "" : y.diagnostic().message));
      REQUIRE(y.ok());
      graph.add_output(*y, "y" + std::to_string(i));
    }
    return graph;
  }

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  /// The arithmetic: signedness, zero points, bounds, a multiplier for all or one per channel (set later).
  Attrs numbers() {
    x_ = pick(0, 1) ? DType::i8 : DType::u8;
    Quant y{{0.1f}, {pick(0, 1) ? pick(-128, 127) : -128}, 0, DType::i8};
    if (pick(0, 2) == 0) y = Quant{{0.1f}, {pick(0, 255)}, 0, DType::u8};
    Attrs attrs = quant_attrs(y);
    IntegerRange x = integer_range(x_);
    attrs.set("x_zero_point", int64_t{pick(x.low, x.high)});
    if (pick(0, 2) == 0) attrs.set("low", int64_t{y.zero_point[0]});
    return attrs;
  }

  void set_multiplier(Attrs& attrs, int64_t channels, int64_t products) {
    std::vector<double> multiplier;
    int64_t entries = pick(0, 1) ? channels : 1;
    for (int64_t i = 0; i < entries; ++i)
      multiplier.push_back(static_cast<double>(static_cast<float>(pick(1, 1000)) * 1e-5f / static_cast<float>(products)));
    attrs.set("multiplier", multiplier);
  }

  ValueId weights(GraphBuilder& b, Shape shape) { return b.add_constant(random_tensor({DType::i8, std::move(shape), {}}, random_())); }
  /// Now and then between whole sums.
  ValueId bias(GraphBuilder& b, int64_t channels) {
    if (pick(0, 3) == 0) {
      Tensor t(TensorType{DType::f32, {channels}, {}});
      for (float& v : t.as<float>()) v = static_cast<float>(pick(-1000000, 1000000)) / 10.0f;
      return b.add_constant(std::move(t));
    }
    Tensor t(TensorType{DType::i32, {channels}, {}});
    for (int32_t& v : t.as<int32_t>()) v = pick(-100000, 100000);
    return b.add_constant(std::move(t));
  }

  Result<ValueId> dense(Graph& graph, GraphBuilder& b, Attrs attrs) {
    int64_t rows = pick(1, most_pixels()), in = pick(1, 70), out = pick(1, most_channels());
    ValueId x = graph.add_input("x", {x_, {rows, in}, {}});
    set_multiplier(attrs, out, in);
    return b.add(ops::qdense, {x, weights(b, {out, in}), bias(b, out)}, std::move(attrs));
  }

  Result<ValueId> convolution(Graph& graph, GraphBuilder& b, Attrs attrs, bool depthwise) {
    int64_t kh = pick(1, 4), kw = pick(1, 4), channels = depthwise ? pick(4, most_channels() + 2) : pick(1, 13),
            out = depthwise ? channels : pick(1, most_channels());
    std::vector<int64_t> strides{pick(1, 2), pick(1, 2)}, dilations{pick(1, 2), pick(1, 2)}, pads;
    if (depthwise && pick(0, 1)) {  // the window that depthwise kernels are made for
      kh = kw = 3;
      dilations = {1, 1};
    }
    for (int i = 0; i < 4; ++i) pads.push_back(pick(0, static_cast<int>(i % 2 ? kw : kh) - 1));
    int64_t h = (kh - 1) * dilations[0] + pick(1, 6), w = (kw - 1) * dilations[1] + pick(1, most_pixels());
    ValueId x = graph.add_input("x", {x_, {pick(1, 2), h, w, channels}, {}});
    attrs.set("strides", strides);
    attrs.set("dilations", dilations);
    attrs.set("pads", pads);
    if (depthwise) attrs.set("groups", channels);
    int64_t taken = depthwise ? 1 : channels;
    set_multiplier(attrs, out, kh * kw * taken);
    return b.add(ops::qconv2d, {x, weights(b, {out, kh, kw, taken}), bias(b, out)}, std::move(attrs));
  }

  /// Of operands of one shape, or with a second one that is the same for all rows, or for all columns. Scales are round now and then:
  /// results lie between two integers, and no integer form gives the float formula's rounding.
  Result<ValueId> sum(Graph& graph, GraphBuilder& b, Attrs attrs) {
    int64_t rows = pick(1, most_pixels()), columns = pick(1, most_channels());
    Shape other{pick(0, 3) == 0 ? 1 : rows, pick(0, 3) == 0 ? 1 : columns};
    attrs.set("functor", std::string(pick(0, 1) ? "add" : "sub"));
    for (const char* operand : {"a", "b"}) {
      attrs.set(std::string(operand) + "_scale", pick(0, 1) ? pick(1, 200) * 1e-3 : pick(1000, 200000) * 1e-6);
      attrs.set(std::string(operand) + "_zero_point", int64_t{pick(integer_range(x_).low, integer_range(x_).high)});
    }
    return b.add(ops::qbinary, {graph.add_input("x", {x_, {rows, columns}, {}}), graph.add_input("z", {x_, other, {}})}, std::move(attrs));
  }

  Result<ValueId> average(Graph& graph, GraphBuilder& b, Attrs attrs) {
    int64_t kh = pick(1, 4), kw = pick(1, 4);
    std::vector<int64_t> pads;
    for (int i = 0; i < 4; ++i) pads.push_back(pick(0, static_cast<int>(i % 2 ? kw : kh) - 1));
    ValueId x = graph.add_input("x", {x_, {pick(1, 2), kh + pick(0, 5), kw + pick(0, most_pixels()), pick(1, most_channels())}, {}});
    attrs.set("kernel", std::vector<int64_t>{kh, kw});
    attrs.set("strides", std::vector<int64_t>{pick(1, 3), pick(1, 3)});
    attrs.set("pads", pads);
    attrs.set("count_include_pad", int64_t{pick(0, 1)});
    attrs.set("x_scale", static_cast<double>(pick(1, 200)) * 1e-3);
    return b.add(ops::qaverage_pool2d, {x}, std::move(attrs));
  }

  /// Now and then more than a group of vector registers or a tile takes.
  int most_channels() { return pick(0, 3) == 0 ? 80 : 19; }
  int most_pixels() { return pick(0, 3) == 0 ? 30 : 9; }

  std::mt19937 random_;
  DType x_ = DType::i8;
};

/// The layers of a build of kIntegerBuilds.
inline Graph integer_layers(const LayerBuild& build, int layers) {
  return IntegerLayers(static_cast<uint32_t>(&build - kIntegerBuilds) + 1).graph(layers);
}

}  // namespace kiln::test
