// SPDX-License-Identifier: Apache-2.0
// Float kernels of microcontrollers with an FPU against the reference evaluation: generated layers, many to an image, run in QEMU.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "compiler/emit/bundle.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"

using namespace kiln;

namespace {

/// Layers side by side, each with an input and an output of its own.
class LayerGenerator {
 public:
  explicit LayerGenerator(uint32_t seed) : random_(seed) {}

  Graph graph(int layers) {
    Graph graph;
    GraphBuilder b(graph, {"layer"});
    for (int i = 0; i < layers; ++i) {
      int kind = pick(0, 2);
      Result<ValueId> y = kind == 0 ? dense(graph, b) : convolution(graph, b, kind == 1);
      INFO((y.ok() ? "" : y.diagnostic().message));
      REQUIRE(y.ok());
      graph.add_output(*y, "y" + std::to_string(i));
    }
    return graph;
  }

 private:
  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  Attrs activation() {
    Attrs attrs;
    switch (pick(0, 4)) {
      case 0:
        break;
      case 1:
        attrs.set("act", std::string("clip"));
        attrs.set("alpha", -0.25);
        attrs.set("beta", 0.5);
        break;
      case 2:
        attrs.set("act", std::string("leaky_relu"));
        attrs.set("alpha", 0.1);
        break;
      default:
        attrs.set("act", std::string("relu"));
    }
    return attrs;
  }

  ValueId constant(GraphBuilder& b, Shape shape) { return b.add_constant(random_tensor({DType::f32, std::move(shape), {}}, random_())); }

  Result<ValueId> dense(Graph& graph, GraphBuilder& b) {
    int64_t rows = pick(1, 9), in = pick(1, 70), out = pick(1, 19);
    ValueId x = graph.add_input("x", {DType::f32, {rows, in}, {}});
    return b.add(ops::dense, {x, constant(b, {out, in}), constant(b, {out})}, activation());
  }

  Result<ValueId> convolution(Graph& graph, GraphBuilder& b, bool depthwise) {
    int64_t kh = pick(1, 4), kw = pick(1, 4), channels = depthwise ? pick(3, 21) : pick(1, 13), out = depthwise ? channels : pick(1, 13);
    std::vector<int64_t> strides{pick(1, 2), pick(1, 2)}, dilations{pick(1, 2), pick(1, 2)}, pads;
    for (int i = 0; i < 4; ++i) pads.push_back(pick(0, static_cast<int>(i % 2 ? kw : kh) - 1));
    int64_t h = (kh - 1) * dilations[0] + pick(1, 7), w = (kw - 1) * dilations[1] + pick(1, 9);
    ValueId x = graph.add_input("x", {DType::f32, {pick(1, 2), h, w, channels}, {}});
    Attrs attrs = activation();
    attrs.set("strides", strides);
    attrs.set("dilations", dilations);
    attrs.set("pads", pads);
    if (depthwise) attrs.set("groups", channels);
    return b.add(ops::conv2d, {x, constant(b, {out, kh, kw, depthwise ? 1 : channels}), constant(b, {out})}, std::move(attrs));
  }

  std::mt19937 random_;
};

struct Build {
  const char *target, *compiler;
  Goal goal;
};

void check(const Build& build, int layers, uint32_t seed) {
  INFO(build.target << " " << build.compiler << (build.goal == Goal::size ? " for size" : "") << ", seed " << seed);
  LayerGenerator generator(seed);
  ImportedModel model;
  model.graph = generator.graph(layers);
  CompileOptions options;
  options.name = "layers";
  options.target = build.target;
  options.goal = build.goal;
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_graph(std::move(model), options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(compiled);
  std::set<std::string> rows;
  for (const Step& step : compiled->program.steps) rows.insert(fmt::format("{}.{}", step.call.family, step.call.row->variant));
  for (const char* row : {"conv2d.fpu", "depthwise2d.fpu", "dense.fpu"}) CHECK(rows.contains(row));
  std::vector<Tensor> inputs;
  for (ValueId v : compiled->graph.inputs) inputs.push_back(random_tensor(compiled->graph.type(v), seed + inputs.size()));
  Result<BuiltBundle> image =
      BuiltBundle::build(compiled->program, compiled->target, emit_bundle(compiled->program, compiled->target, compiled->info, {}),
                         {.compiler = build.compiler});
  if (!image) FAIL(to_string(image.diagnostic()));
  Result<RunResult> result = image->run({inputs}, {});
  if (!result) FAIL(to_string(result.diagnostic()));
  Result<std::vector<Tensor>> expected = evaluate(compiled->graph, inputs);
  REQUIRE(expected.ok());
  for (size_t i = 0; i < expected->size(); ++i) {
    std::vector<double> got = result->outputs[0][i].to_doubles(), want = (*expected)[i].to_doubles();
    REQUIRE(got.size() == want.size());
    for (size_t k = 0; k < got.size(); ++k) {
      // As on the host: sums of a few hundred products of numbers below 1, with and without fused multiply-add.
      if (std::abs(got[k] - want[k]) <= 2e-5 * (1 + std::abs(want[k]))) continue;
      FAIL(fmt::format("layer {} {} element {} is {}, expected {}", i, compiled->program.steps[i].label, k, got[k], want[k]));
    }
  }
}

}  // namespace

TEST_CASE("generated float layers on boards with an FPU agree with the reference") {
  constexpr int kLayers = 40;
  uint32_t seed = 1;
  for (const Build& build :
       {Build{"cortex-m4", "gcc", Goal::speed}, Build{"cortex-m4", "gcc", Goal::size}, Build{"cortex-m4", "clang", Goal::speed},
        Build{"cortex-m4", "clang", Goal::size}, Build{"cortex-m7", "gcc", Goal::speed}, Build{"rv32imafc", "gcc", Goal::speed},
        Build{"rv64gc", "clang", Goal::size}})
    check(build, kLayers, seed++);
}
