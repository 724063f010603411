// SPDX-License-Identifier: Apache-2.0
// Operators on images as emitted code: one program of many, side by side, against the evaluation of the imported graph.
#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "compiler/emit/bundle.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/op_util.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"

using namespace kiln;

namespace {

using Ints = std::vector<int64_t>;

/// ONNX nodes side by side, each with inputs and outputs of its own.
class Nodes {
 public:
  ValueId input(const Shape& shape) { return graph_.add_input(fmt::format("x{}", graph_.inputs.size()), {DType::f32, shape, {}}); }
  ValueId constant(const Shape& shape) {
    Tensor t = random_tensor({DType::f32, shape, {}}, ++seed_);
    return graph_.add_constant("w", std::move(t));
  }
  ValueId constant(Tensor t) { return graph_.add_constant("c", std::move(t)); }
  void add(const std::string& type, std::vector<ValueId> inputs, Attrs attrs = {}, int64_t opset = 22, size_t outputs = 1) {
    CAPTURE(type);
    GraphBuilder b(graph_, {fmt::format("{}_{}", type, graph_.outputs().size())});
    const OpDef* op = op_table().find_onnx("", type);
    REQUIRE(op != nullptr);
    ImportResult y =
        op->import(OnnxNode{"", type, type, opset, std::move(attrs), std::move(inputs), outputs, std::vector<bool>(outputs, true)}, b);
    if (!y) FAIL(to_string(y.diagnostic()));
    for (ValueId v : *y) graph_.add_output(v, fmt::format("y{}", graph_.outputs().size()));
  }
  [[nodiscard]] const Graph& graph() const { return graph_; }

 private:
  Graph graph_;
  uint64_t seed_ = 100;
};

void add_layers(Nodes& n) {
  const Ints twice{2, 2}, pads{1, 1, 1, 1};
  n.add("ConvTranspose", {n.input({1, 3, 5, 4}), n.constant(Shape{3, 4, 3, 3}), n.constant(Shape{4})},
        {{"strides", twice}, {"pads", pads}, {"output_padding", Ints{1, 1}}});
  n.add("ConvTranspose", {n.input({1, 4, 3, 5}), n.constant(Shape{4, 2, 2, 2})}, {{"strides", twice}, {"group", int64_t{2}}});
  n.add("ConvTranspose", {n.input({2, 3, 7}), n.constant(Shape{3, 5, 4}), n.constant(Shape{5})},
        {{"strides", Ints{2}}, {"pads", Ints{1, 1}}});
  n.add("Conv", {n.input({1, 2, 4, 5, 3}), n.constant(Shape{3, 2, 2, 3, 3}), n.constant(Shape{3})}, {{"pads", Ints{0, 1, 1, 1, 1, 1}}});
  n.add("MaxPool", {n.input({1, 3, 6, 7})}, {{"kernel_shape", Ints{3, 2}}, {"strides", twice}, {"pads", pads}}, 22, 2);
  n.add("AveragePool", {n.input({1, 2, 4, 5, 6})}, {{"kernel_shape", Ints{2, 3, 2}}, {"pads", Ints{1, 0, 1, 0, 1, 0}}});
  n.add("LpPool", {n.input({1, 3, 6, 7})}, {{"kernel_shape", Ints{3, 2}}, {"strides", twice}, {"ceil_mode", int64_t{1}}});
  n.add("DeformConv",
        {n.input({1, 2, 4, 4}), n.constant(Shape{3, 2, 3, 3}), n.input({1, 18, 4, 4}), n.constant(Shape{3}), n.input({1, 9, 4, 4})},
        {{"pads", pads}});
  n.add("Col2Im", {n.input({1, 8, 6}), n.constant(Tensor::int64s({3, 4})), n.constant(Tensor::int64s({2, 2}))});
}

void add_normalizations(Nodes& n) {
  n.add("InstanceNormalization", {n.input({2, 11, 3, 4}), n.constant(Shape{11}), n.constant(Shape{11})});
  n.add("GroupNormalization", {n.input({1, 12, 5}), n.constant(Shape{12}), n.constant(Shape{12})}, {{"num_groups", int64_t{3}}});
  n.add("MeanVarianceNormalization", {n.input({2, 3, 4, 2})});
  n.add("LpNormalization", {n.input({2, 5, 3})}, {{"axis", int64_t{1}}});
  n.add("LRN", {n.input({1, 7, 2, 3})}, {{"size", int64_t{3}}});
  n.add("LayerNormalization", {n.input({2, 3, 4}), n.constant(Shape{3, 4}), n.constant(Shape{3, 4})}, {{"axis", int64_t{1}}}, 17, 3);
  n.add("RMSNormalization", {n.input({2, 3, 8}), n.constant(Shape{8})}, {}, 23);
}

void add_samplers(Nodes& n) {
  for (const char* mode : {"linear", "nearest", "cubic"})
    for (const char* padding : {"zeros", "border", "reflection"})
      n.add("GridSample", {n.input({1, 3, 4, 5}), n.input({1, 3, 3, 2})},
            {{"mode", std::string(mode)}, {"padding_mode", std::string(padding)}});
  n.add("GridSample", {n.input({2, 2, 3, 4, 3}), n.input({2, 2, 2, 2, 3})}, {{"align_corners", int64_t{1}}});
  n.add("AffineGrid", {n.input({1, 2, 3}), n.constant(Tensor::int64s({1, 1, 3, 2}))});
  const Tensor boxes = Tensor::floats({2, 4}, {0, 0.5f, 3, 3.5f, 1, 1, 4, 2});
  for (const char* mode : {"avg", "max"})
    n.add("RoiAlign", {n.input({2, 3, 4, 5}), n.constant(boxes), n.constant(Tensor::int64s({1, 0}))},
          {{"output_height", int64_t{2}}, {"output_width", int64_t{2}}, {"mode", std::string(mode)}});
  for (const char* mode : {"cubic", "linear"})
    n.add("Resize", {n.input({1, 2, 6, 5}), kNoValue, n.constant(Tensor::floats({4}, {1, 1, 0.5f, 1.6f}))},
          {{"mode", std::string(mode)}, {"antialias", int64_t{1}}});
}

/// Runs the nodes as emitted code for the host and compares each output with its evaluation.
void check(const Nodes& nodes) {
  CompileOptions options;
  options.target = "host";
  Diagnostics diagnostics;
  std::optional<Compiled> c = compile_graph({nodes.graph(), ModelInfo{"nodes", std::string(64, '0'), 22, "", {}}}, options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(c);
  std::vector<Tensor> inputs;
  for (ValueId v : nodes.graph().inputs) inputs.push_back(random_tensor(nodes.graph().type(v), inputs.size() + 1));
  Result<std::vector<Tensor>> expected = evaluate(nodes.graph(), inputs);
  if (!expected) FAIL(to_string(expected.diagnostic()));
  Result<BuiltBundle> program = BuiltBundle::build(c->program, c->target, emit_bundle(c->program, c->target, c->info, {}), {});
  if (!program) FAIL(to_string(program.diagnostic()));
  Result<RunResult> result = program->run({inputs}, {});
  if (!result) FAIL(to_string(result.diagnostic()));
  for (size_t i = 0; i < expected->size(); ++i) {
    const Tensor& tensor = result->outputs[0][i];
    REQUIRE(tensor.type.shape == (*expected)[i].type.shape);
    const std::vector<double> got = tensor.to_doubles(), want = (*expected)[i].to_doubles();
    for (size_t k = 0; k < got.size(); ++k)
      if (!(std::abs(got[k] - want[k]) <= 2e-5 * (1 + std::abs(want[k]))))
        FAIL(fmt::format("output {} element {} is {}, expected {}", i, k, got[k], want[k]));
  }
}

}  // namespace

TEST_CASE("layers, normalizations and samplers of images compute as emitted code what they evaluate to") {
  Nodes nodes;
  add_layers(nodes);
  add_normalizations(nodes);
  add_samplers(nodes);
  check(nodes);
}
