// SPDX-License-Identifier: Apache-2.0
// Operators that write or select by positions computed at run time, as emitted code under AddressSanitizer, against the reference
// evaluation: indices outside of the tensors must not write anywhere, and all element types have to compile.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>

#include "compiler/emit/bundle.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/op_util.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"

using namespace kiln;

namespace {

class Layers {
 public:
  explicit Layers(uint32_t seed) : random_(seed) {}

  ValueId input(Tensor data) {
    ValueId v = graph.add_input("x", data.type);
    data_.push_back(std::move(data));
    return v;
  }
  ValueId values(DType dtype, Shape shape) { return input(random_tensor({dtype, std::move(shape), {}}, random_())); }
  /// Some below -size, some above size - 1.
  ValueId indices(DType dtype, const Shape& shape, int64_t size) {
    Tensor t(TensorType{dtype, shape, {}});
    for (int64_t i = 0; i < t.type.elements(); ++i) {
      const int64_t index = pick(-size - 2, size + 1);
      if (dtype == DType::i64)
        t.as<int64_t>()[static_cast<size_t>(i)] = index;
      else
        t.as<int32_t>()[static_cast<size_t>(i)] = static_cast<int32_t>(index);
    }
    return input(std::move(t));
  }
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }
  void add(const OpDef& op, int64_t opset, std::vector<ValueId> inputs, Attrs attrs, size_t outputs = 1) {
    GraphBuilder b(graph, {"layer"});
    ImportResult y = op.import(
        OnnxNode{"", std::string(op.onnx.type), "n", opset, std::move(attrs), std::move(inputs), outputs, std::vector<bool>(outputs, true)},
        b);
    INFO((y ? "" : y.diagnostic().message));
    REQUIRE(y.ok());
    for (size_t i = 0; i < outputs; ++i) graph.add_output((*y)[i], fmt::format("y{}", graph.outputs().size()));
  }
  [[nodiscard]] const std::vector<Tensor>& data() const { return data_; }

  Graph graph;

 private:
  std::mt19937 random_;
  std::vector<Tensor> data_;
};

void check_emitted(const Layers& layers) {
  Diagnostics diagnostics;
  std::optional<Compiled> c = compile_graph({layers.graph, ModelInfo{"layers", std::string(64, '0'), 18, "", {}}}, {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(c);
  Result<std::vector<Tensor>> expected = evaluate(layers.graph, layers.data());
  REQUIRE(expected.ok());
  BuildOptions options;
  options.sanitize = true;
  Result<BuiltBundle> program = BuiltBundle::build(c->program, c->target, emit_bundle(c->program, c->target, c->info, {}), options);
  if (!program) FAIL(to_string(program.diagnostic()));
  Result<RunResult> result = program->run({layers.data()}, {});
  if (!result) FAIL(to_string(result.diagnostic()));
  for (size_t i = 0; i < expected->size(); ++i) {
    INFO("output " << i);
    REQUIRE(result->outputs[0][i] == (*expected)[i]);
  }
}

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::i8, DType::u8, DType::i16, DType::i32, DType::i64};

}  // namespace

TEST_CASE("emitted scatters stay within their tensors") {
  Layers layers(1);
  const std::string reductions[] = {"none", "add", "mul", "min", "max"};
  for (size_t i = 0; i < 21; ++i) {
    const DType dtype = kTypes[i % std::size(kTypes)], index = i % 2 ? DType::i32 : DType::i64;
    const Attrs attrs{{"reduction", reductions[i % 5]}};
    const Shape shape{layers.pick(1, 3), layers.pick(1, 4), layers.pick(1, 3)};
    if (i % 3 == 0) {
      const Shape part{shape[0], layers.pick(1, 5), shape[2]};
      Attrs along = attrs;
      along.set("axis", int64_t{1});
      layers.add(ops::scatter_elements, 18,
                 {layers.values(dtype, shape), layers.indices(index, part, shape[1]), layers.values(dtype, part)}, std::move(along));
    } else if (i % 3 == 1) {
      layers.add(ops::scatter_nd, 18,
                 {layers.values(dtype, shape), layers.indices(index, {2, 1}, shape[0]), layers.values(dtype, {2, shape[1], shape[2]})},
                 attrs);
    } else {
      layers.add(ops::scatter_nd, 18,
                 {layers.values(dtype, shape), layers.indices(index, {3, 2}, shape[1]), layers.values(dtype, {3, shape[2]})}, attrs);
    }
  }
  for (const char* mode : {"linear", "circular"})
    layers.add(ops::tensor_scatter, 24,
               {layers.values(DType::f32, {2, 3, 5, 2}), layers.values(DType::f32, {2, 3, 2, 2}), layers.indices(DType::i64, {2}, 5)},
               {{"mode", std::string(mode)}});
  check_emitted(layers);
}

TEST_CASE("emitted selections equal the reference") {
  Layers layers(2);
  for (size_t i = 0; i < 14; ++i) {
    const Shape shape{layers.pick(1, 3), layers.pick(2, 9), layers.pick(1, 3)};
    GraphBuilder b(layers.graph, {"k"});
    const ValueId k = b.add_constant(Tensor::int64s({layers.pick(1, shape[1])}));
    layers.add(ops::top_k, 11, {layers.values(kTypes[i % std::size(kTypes)], shape), k},
               {{"axis", int64_t{1}}, {"largest", static_cast<int64_t>(i / 7)}}, 2);
  }
  layers.add(ops::reverse_sequence, 10, {layers.values(DType::i16, {4, 3, 2}), layers.indices(DType::i64, {3}, 2)}, {});
  for (int64_t centred : {0, 1}) {
    GraphBuilder b(layers.graph, {"limits"});
    const ValueId limit = b.add_constant(Tensor::int64s({4})), overlap = b.add_constant(Tensor::floats({}, {0.2f}));
    layers.add(ops::non_max_suppression, 11, {layers.values(DType::f32, {2, 9, 4}), layers.values(DType::f32, {2, 3, 9}), limit, overlap},
               {{"center_point_box", centred}});
  }
  check_emitted(layers);
}
