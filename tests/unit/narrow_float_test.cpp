// SPDX-License-Identifier: Apache-2.0
// ONNX import of models that store 16-bit floats.
#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"
#include "compiler/pipeline/pipeline.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

Tensor halves(std::vector<float> values, DType dtype = DType::f16) {
  Tensor t(TensorType{dtype, {static_cast<int64_t>(values.size())}, {}});
  for (size_t i = 0; i < values.size(); ++i) t.as<uint16_t>()[i] = dtype == DType::f16 ? float_to_f16(values[i]) : float_to_bf16(values[i]);
  return t;
}

Tensor run(const Imported& m, std::vector<Tensor> inputs) {
  Result<std::vector<Tensor>> outputs = evaluate(m.graph(), inputs);
  REQUIRE(outputs.ok());
  return outputs->front();
}

/// Those that an output needs; others are dead.
std::string live_ops(const Graph& g) {
  std::string out;
  for (NodeId id : g.order()) {
    const Node& node = g.node(id);
    const bool is_used = !g.value(node.outputs[0]).users.empty() || g.is_output(node.outputs[0]);
    if (is_used) out += (out.empty() ? "" : " ") + std::string(node.op->name);
  }
  return out;
}

}  // namespace

TEST_CASE("16-bit floats are computed in f32 and rounded at the end", "[frontend]") {
  // 2048 + 1 is no f16: rounded after the first sum, the result would be 2048.
  Imported m = import_graph(
      "agraph (float16[1] x) => (float16[1,1] y) <float[1] f = {1}, int64[2] s = {1, 1}> { one = Cast <to = 10> (f)  a = Add(x, one)  b = "
      "Reshape(a, s)  y = Add(b, one) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(live_ops(m.graph()) == "cast add reshape add cast");
  CHECK(run(m, {halves({2048})}).to_doubles() == std::vector<double>{2050});
  CHECK(run(m, {halves({0.25f})}).to_doubles() == std::vector<double>{2.25});
}

TEST_CASE("bfloat16 is computed in f32 too", "[frontend]") {
  Imported m = import_graph("agraph (bfloat16[3] x) => (bfloat16[3] y) { a = Mul(x, x)  y = Sqrt(a) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(live_ops(m.graph()) == "cast mul sqrt cast");
  CHECK(run(m, {halves({-3, 0.5f, 1.0078125f}, DType::bf16)}).to_doubles() == std::vector<double>{3, 0.5, 1.0078125});
}

TEST_CASE("what only moves 16-bit floats leaves them as they are", "[frontend]") {
  Imported m =
      import_graph("agraph (float16[2,3] x, float16[2,1] z) => (float16[4,2] y) { a = Concat <axis = 1> (x, z)  y = Transpose(a) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(live_ops(m.graph()) == "concat transpose");
}

TEST_CASE("only results of the operands' type are rounded to 16 bits", "[frontend]") {
  Imported m = import_graph(
      "agraph (float16[4] x) => (float[4] y, bool[4] less, float16[4] z) { a = Abs(x)  y = Cast <to = 1> (a)  less = Less(a, x)  z = Cast "
      "<to = 10> (y) }");
  INFO(m.text());
  REQUIRE(m.model);
  const Graph& g = m.graph();
  CHECK(g.type(g.outputs()[0]).dtype == DType::f32);
  CHECK(g.type(g.outputs()[1]).dtype == DType::boolean);
  CHECK(g.type(g.outputs()[2]).dtype == DType::f16);
}

TEST_CASE("operators that compute take no 16-bit floats as they are", "[frontend]") {
  // As integers the bits of negative numbers are in the opposite order.
  Imported pool = import_graph(
      "agraph (float16[4] v) => (float16[1,1,1,1] y) <int64[4] s = {1, 1, 2, 2}> { x = Reshape(v, s)  y = MaxPool <kernel_shape = [2, 2]> "
      "(x) }");
  INFO(pool.text());
  REQUIRE(pool.model);
  CHECK(run(pool, {halves({-2, -0.25f, 1, -1.25f})}).to_doubles() == std::vector<double>{1});
  Imported norm = import_graph("agraph (float16[2,8] x, float16[8] s) => (float16[2,8] y) { y = LayerNormalization(x, s) }", {}, 17);
  INFO(norm.text());
  REQUIRE(norm.model);
  CHECK(live_ops(norm.graph()) == "cast cast layer_norm cast");
  Imported deform = import_graph(
      "agraph (float16[1,1,3,3] x, float16[1,1,2,2] w, float16[1,8,2,2] o) => (float16[1,1,2,2] y) { y = DeformConv <kernel_shape = [2, "
      "2]> (x, w, o) }",
      {}, 19);
  INFO(deform.text());
  CHECK(deform.model);
}

TEST_CASE("every operator but those that only move elements refuses 16-bit floats", "[frontend]") {
  for (const OpDef* op : op_table().all()) {
    if (!op->is_core()) continue;
    const TensorType half{DType::f16, {2, 2}, {}};
    const Attrs attrs;
    Result<std::vector<TensorType>> types = infer_types({*op, attrs, {&half, &half, &half}, {nullptr, nullptr, nullptr}, {}});
    if (op->is(kMovesData | kAnyElements)) continue;
    INFO(op->name);
    REQUIRE(!types.ok());
    CHECK(types.diagnostic().id == DiagId::unsupported_type);
  }
}

TEST_CASE("16-bit results have the type that ONNX gives them", "[frontend]") {
  auto result = [](const std::string& graph, int opset) {
    Imported m = import_graph(graph, {}, opset);
    INFO(m.text());
    REQUIRE(m.model);
    return m.graph().type(m.graph().outputs()[0]).dtype;
  };
  CHECK(result("agraph (int8[4] x) => (float16[4] y) <float[1] f = {0.5}> { s = Cast <to = 10> (f)  y = DequantizeLinear(x, s) }", 19) ==
        DType::f16);
  CHECK(result("agraph (int8[4] x) => (float16[4] y) <float[1] f = {0.5}> { s = Cast <to = 10> (f)  y = DequantizeLinear(x, s) }", 23) ==
        DType::f16);
  CHECK(result("agraph (float16[1,1,4,4] x, float16[1,3,3,2] g) => (float16[1,1,3,3] y) { y = GridSample(x, g) }", 20) == DType::f16);
  CHECK(result("agraph (float16[2,8] x, float[8] s) => (float[2,8] y) { y = RMSNormalization(x, s) }", 23) == DType::f32);
}

TEST_CASE("layers keep weights in 16 bits unless they are wanted wide", "[frontend]") {
  const std::string model = "agraph (float16[1,4] x) => (float16[1,8] y) <float[4,8] f = {" + [] {
    std::string text;
    for (int i = 0; i < 32; ++i) text += fmt::format("{}{}", i ? ", " : "", 0.001 * i - 0.01);
    return text;
  }() + "}> { w = Cast <to = 10> (f)  y = MatMul(x, w) }";
  for (const bool wide : {false, true}) {
    Imported m = import_graph(model);
    INFO(m.text());
    REQUIRE(m.model);
    CompileOptions options;
    options.target = "cortex-m4";
    options.wide_weights = wide;
    Diagnostics diagnostics;
    std::optional<Compiled> c = compile_graph(*std::move(m.model), options, diagnostics);
    REQUIRE(c);
    CHECK(c->program.weights_bytes() == (wide ? 4 : 2) * 32 + 4 * 8);  // and the zeros of a bias
  }
}
