// SPDX-License-Identifier: Apache-2.0
// That the tests of layers miss no kernel: each row of each set serves some layer of some build, and plain layers are served by the
// target's own kernels. Only the choice is looked at here, nothing is built; the layers and builds are those that other tests run.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "compiler/ir/parse.h"
#include "targets/kernels/kernels.h"
#include "targets/targets.h"
#include "tests/float_layers.h"
#include "tests/integer_board_layers.h"
#include "tests/recurrent_layers.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// Those of kernel_rows_test.cpp, integer_rows_test.cpp and recurrent_rows_test.cpp; "native" is one of them, depending on the machine.
constexpr LayerBuild kHostBuilds[] = {{"host", "x86-64"}, {"host", "x86-64-v3"}, {"host", "x86-64-v4"}, {"host", "icelake-server"}};

Graph float_host_layers() {
  return FloatLayers(1)
      .convolutions(6, false)
      .convolutions(6, true)
      .dense(6)
      .pools(6, ops::max_pool2d)
      .pools(6, ops::average_pool2d)
      .graph();
}

/// The rows that serve layers in the tests on boards and on this machine.
std::set<std::string> rows_in_tests() {
  std::set<std::string> rows;
  auto take = [&](Graph graph, const LayerBuild& build) {
    rows.merge(rows_of(compiled_layers(std::move(graph), options_for(build)).program));
  };
  for (const LayerBuild& build : kIntegerBuilds) take(integer_layers(build, 40), build);
  uint32_t seed = 1;
  for (const LayerBuild& build : kFloatBuilds) take(float_board_layers(seed++), build);
  for (const LayerBuild& build : kFloatVectorBuilds) take(float_host_layers(), build);
  seed = 1;
  for (const LayerBuild& build : kRecurrentBuilds) take(RecurrentGenerator(seed++).graph(18), build);
  for (const LayerBuild& build : kHostBuilds) {
    take(IntegerLayers(1).graph(40), build);
    take(float_host_layers(), build);
    take(RecurrentGenerator(1).graph(18), build);
  }
  return rows;
}

/// A layer of each kind with sizes that suit every kernel.
constexpr std::string_view kPlainFloats = R"(graph @plain (%a: f32[1,12,12,16], %b: f32[8,32]) -> (%conv, %depthwise, %dense) {
  const %wa: f32[16,3,3,16] = random 1
  const %ba: f32[16] = random 2
  const %wd: f32[16,3,3,1] = random 3
  const %wb: f32[24,32] = random 4
  const %bb: f32[24] = random 5
  %conv = conv2d(%a, %wa, %ba) {pads=[1,1,1,1]}
  %depthwise = conv2d(%a, %wd, %ba) {pads=[1,1,1,1], groups=16}
  %dense = dense(%b, %wb, %bb)
}
)";

Graph plain_integers() {
  Graph graph;
  GraphBuilder b(graph, {"layer"});
  Attrs layer = quant_attrs(Quant{{0.1f}, {-128}, 0, DType::i8});
  layer.set("x_zero_point", int64_t{3});
  layer.set("multiplier", std::vector<double>{static_cast<double>(0.001f)});
  auto weights = [&](Shape shape) { return b.add_constant(random_tensor({DType::i8, std::move(shape), {}}, 7)); };
  auto clamped = [&](Shape shape) {  // without -128, and small
    Tensor w = random_tensor({DType::i8, std::move(shape), {}}, 7);
    for (int8_t& v : w.as<int8_t>()) v = static_cast<int8_t>(v / 2);
    return b.add_constant(std::move(w));
  };
  const ValueId bias = b.add_constant(Tensor(TensorType{DType::i32, {16}, {}}));
  auto input = [&](Shape shape) { return graph.add_input("x", {DType::i8, std::move(shape), {}}); };
  auto output = [&](const Result<ValueId>& y) {
    INFO((y.ok() ? "" : y.diagnostic().message));
    REQUIRE(y.ok());
    graph.add_output(*y, fmt::format("y{}", graph.outputs().size()));
  };
  Attrs window = layer;
  window.set("pads", std::vector<int64_t>{1, 1, 1, 1});
  output(b.add(ops::qconv2d, {input({1, 12, 12, 16}), weights({16, 3, 3, 16}), bias}, window));
  window.set("groups", int64_t{16});
  output(b.add(ops::qconv2d, {input({1, 12, 12, 16}), clamped({16, 3, 3, 1}), bias}, window));
  output(b.add(ops::qdense, {input({1, 32}), weights({16, 32}), bias}, layer));
  output(b.add(ops::qdense, {input({8, 32}), weights({16, 32}), bias}, layer));
  return graph;
}

/// The families of a target's own sets.
std::set<std::string> own_families(const Target& target) {
  std::set<std::string> families;
  for (const KernelSet& set : target.kernels)
    for (const KernelRow& row : set.rows())
      if (set.name() != "ref" && (row.needs & target.capabilities) == row.needs) families.insert(row.family);
  return families;
}

void check_own_kernels(Graph graph, const LayerBuild& build) {
  const Compiled c = compiled_layers(std::move(graph), options_for(build));
  const std::set<std::string> own = own_families(c.target);
  for (const Step& step : c.program.steps) {
    INFO(to_text(build) << ": " << step.call.family << " is served by " << step.call.row->function);
    if (own.contains(step.call.family)) CHECK_FALSE(step.call.row->variant == "ref");
  }
}

}  // namespace

TEST_CASE("every row of every set of kernels is taken in the tests of layers") {
  const std::set<std::string> taken = rows_in_tests();
  for (const KernelSet* set : kernel_sets())
    for (const KernelRow& row : set->rows()) {
      if (row.variant == "ref") continue;  // tests/random/random_test.cpp
      INFO(row.family << "." << row.variant << " serves no layer of any build: extend tests/emitted_layers.h or the generators");
      CHECK(taken.contains(fmt::format("{}.{}", row.family, row.variant)));
    }
}

TEST_CASE("plain layers are served by the target's own kernels") {
  std::vector<LayerBuild> builds(std::begin(kIntegerBuilds), std::end(kIntegerBuilds));
  const std::vector<TargetInfo> targets = known_targets();
  for (const TargetInfo& target : targets) {
    for (Goal goal : {Goal::speed, Goal::size}) builds.push_back({target.name.c_str(), "", "", goal});
    Result<Target> made = make_target(target.name, "");
    REQUIRE(made.ok());
    REQUIRE_FALSE(made->kernels.empty());
    CHECK(made->kernels.back().get().name() == "ref");
  }
  builds.insert(builds.end(), std::begin(kHostBuilds), std::end(kHostBuilds));
  for (const LayerBuild& build : builds) {
    check_own_kernels(plain_integers(), build);
    Result<Graph> floats = parse_graph(kPlainFloats, op_table());
    if (!floats) FAIL(to_string(floats.diagnostic()));
    check_own_kernels(*std::move(floats), build);
  }
}
