// SPDX-License-Identifier: Apache-2.0
// Grids: as attributes, on constants and through operators that move data; what integer-layers and integer-boundary leave.
#include "compiler/ops/quantization.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "compiler/ir/parse.h"
#include "compiler/ir/verify.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/qlayer.h"
#include "passes/integer_layers.h"
#include "tests/onnx_models.h"
#include "tests/unit/op_bench.h"

using namespace kiln;
using namespace kiln::test;

namespace {

Graph parsed(const std::string& text) {
  Result<Graph> graph = parse_graph(text, op_table());
  INFO((graph.ok() ? "" : graph.diagnostic().message));
  REQUIRE(graph.ok());
  return *std::move(graph);
}

struct Passes {
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
};

/// The reason of the node that computes `name`.
std::string reason_of(const Graph& graph, const std::string& name) {
  for (NodeId id : graph.order())
    if (graph.value(graph.node(id).outputs[0]).name == name) return float_reason(graph, id);
  FAIL("no value " << name);
  return {};
}

constexpr DType kGridTypes[] = {DType::i4, DType::u4, DType::i8, DType::u8, DType::i16, DType::u16};

}  // namespace

TEST_CASE("a grid survives its way through attributes") {
  Quant whole{{0.1f}, {-7}, 0, DType::i8}, rows{{0.1f, 3e-5f, 1.0f}, {0, 255, 128}, 1, DType::u8};
  CHECK(*quant_of(quant_attrs(whole), {2, 3}) == whole);
  CHECK(*quant_of(quant_attrs(rows), {2, 3}) == rows);
}

TEST_CASE("attributes that say no grid are refused") {
  auto refused = [](Attrs attrs, const Shape& shape) {
    Result<Quant> quant = quant_of(attrs, shape);
    REQUIRE(!quant.ok());
    CHECK(quant.diagnostic().id == DiagId::bad_node);
    return quant.diagnostic().message;
  };
  Attrs good = quant_attrs({{0.5f, 0.25f}, {0, 0}, 1, DType::i8});
  auto with = [&](const char* name, Attr value) {
    Attrs attrs = good;
    attrs.set(name, std::move(value));
    return attrs;
  };
  CHECK(refused(with("dtype", std::string("f32")), {3, 2}).find("'f32'") != std::string::npos);
  CHECK(refused(with("zero_point", std::vector<int64_t>{0, 200}), {3, 2}) == "zero point 200 is no i8, which has -128 to 127.");
  CHECK(refused(with("zero_point", std::vector<int64_t>{0}), {3, 2}) == "2 scales and 1 zero points.");
  CHECK(refused(with("scale", std::vector<double>{0.5, -1}), {3, 2}).find("-1") != std::string::npos);
  CHECK(refused(good, {2, 3}) == "2 scales do not fit axis 1 of [2,3].");
  CHECK(refused(with("quant_axis", int64_t{2}), {3, 2}) == "2 scales do not fit axis 2 of [3,2].");
}

TEST_CASE("the integers behind a constant on a grid come back, whatever the grid") {
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    DType dtype = kGridTypes[random() % std::size(kGridTypes)];
    IntegerRange range = integer_range(dtype);
    Shape shape = {static_cast<int64_t>(1 + random() % 4), static_cast<int64_t>(1 + random() % 5)};
    Quant quant{{}, {}, static_cast<int64_t>(random() % 2), dtype};
    size_t entries = random() % 2 ? 1 : static_cast<size_t>(shape[static_cast<size_t>(quant.axis)]);
    if (entries == 1) quant.axis = 0;
    std::uniform_int_distribution<int32_t> stored(range.low, range.high);
    for (size_t k = 0; k < entries; ++k) {
      quant.scale.push_back(std::ldexp(1.0f + static_cast<float>(random() % 4096) / 4096.0f, static_cast<int>(random() % 40) - 25));
      quant.zero_point.push_back(stored(random));
    }
    Tensor integers(stored_type(shape, quant));
    with_grid_type(dtype, [&]<class T>() {
      for (T& v : integers.as<T>()) v = static_cast<T>(stored(random));
    });
    Bench t;
    Result<ValueId> floats = t.b.add(ops::dequantize, {t.constant(integers)}, quant_attrs(quant));
    REQUIRE(floats.ok());
    REQUIRE(t.b.constant(*floats));
    CHECK(t.b.type(*floats) == TensorType{DType::f32, shape, quant});
    std::optional<Tensor> back = stored_integers(*t.b.constant(*floats));
    REQUIRE(back);
    CHECK(*back == integers);
  }
}

TEST_CASE("floats beside their grid have no integers") {
  Tensor t = Tensor::floats({2}, {0.5f, 0.75f});
  t.type.quant = Quant{{0.5f}, {0}, 0, DType::i8};
  CHECK(!stored_integers(t));
  t = Tensor::floats({1}, {64.0f});  // 128 steps, one beyond i8
  t.type.quant = Quant{{0.5f}, {0}, 0, DType::i8};
  CHECK(!stored_integers(t));
  CHECK(!stored_integers(Tensor::floats({1}, {0.5f})));
}

TEST_CASE("operators that move data keep grids of floats where they can, and lose them where they cannot") {
  Bench t;
  Tensor floats = Tensor::floats({2, 3}, {0, 1, 2, 3, 4, 5});
  floats.type.quant = Quant{{1.0f, 0.5f, 0.25f}, {0, 0, 0}, 1, DType::i8};
  ValueId x = t.graph.add_input("x", floats.type);
  auto moved = [&](const OpDef& op, Attrs attrs) { return t.b.type(*t.b.add(op, {x}, std::move(attrs))).quant; };
  CHECK(moved(ops::transpose, {{"perm", std::vector<int64_t>{1, 0}}})->axis == 0);
  CHECK(moved(ops::reshape, {{"shape", std::vector<int64_t>{2, 1, 3}}})->axis == 2);
  CHECK(!moved(ops::reshape, {{"shape", std::vector<int64_t>{6}}}));
  Attrs cut{{"starts", std::vector<int64_t>{0, 1}}, {"sizes", std::vector<int64_t>{2, 2}}, {"steps", std::vector<int64_t>{1, 1}}};
  CHECK(!moved(ops::slice, cut));
  Attrs padded{{"before", std::vector<int64_t>{0, 0}}, {"after", std::vector<int64_t>{0, 1}}};
  CHECK(!moved(ops::pad, padded));
  ValueId i = t.graph.add_input("i", TensorType{DType::i8, {2, 3}, floats.type.quant});
  CHECK(!t.b.add(ops::slice, {i}, cut).ok());  // integers without their grid would mean something else
}

TEST_CASE("the greatest of elements on a grid are on it, their averages are not") {
  Graph graph = parsed(R"(graph @g (%x: f32[1,4,4,2]) -> (%a, %b, %c, %d) {
    %q = quantize(%x) {dtype="i8", scale=[0.05], zero_point=[0]} // "q"
    %f = dequantize(%q) {dtype="i8", scale=[0.05], zero_point=[0]} // "f"
    %a = max_pool2d(%f) {kernel=[2,2], strides=[2,2]} // "a"
    %b = average_pool2d(%f) {kernel=[2,2], strides=[2,2]} // "b"
    %c = reduce_min(%f) {axes=[1]} // "c"
    %d = reduce_mean(%f) {axes=[1]} // "d"
  })");
  std::vector<bool> on_grid;
  for (ValueId output : graph.outputs()) on_grid.push_back(graph.type(output).quant.has_value());
  CHECK(on_grid == std::vector{true, false, true, false});
}

TEST_CASE("a grid that is computed gives what a constant one gives") {
  const std::string body = " (float[2,6] x, float s, uint8 z) => (uint8[2,6] q, float[2,6] y) { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }";
  Imported computed = import_graph("agraph" + body);
  Imported constant = import_graph(
      "agraph (float[2,6] x) => (uint8[2,6] q, float[2,6] y) <float s = {0.07}, uint8 z = {99}> { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }");
  INFO(computed.text() << constant.text());
  REQUIRE((computed.model && constant.model));
  Tensor x = Tensor::floats({2, 6}, {-9, -6.93f, -1, -0.1f, 0, 0.035f, 0.105f, 1, 5, 10.9f, 11, 100});
  Tensor z(TensorType{DType::u8, {}, {}});
  z.as<uint8_t>()[0] = 99;
  std::vector<Tensor> a = *evaluate(computed.graph(), {x, Tensor::floats({}, {0.07f}), z}), b = *evaluate(constant.graph(), {x});
  CHECK(std::ranges::equal(a[0].bytes(), b[0].bytes()));
  CHECK(std::ranges::equal(a[1].bytes(), b[1].bytes()));
}

TEST_CASE("grids that do not fit are refused with both shapes") {
  Imported axis = import_graph("agraph (float[2,3] x) => (uint8[2,3] q) <float[2] s = {1, 2}, uint8[2] z = {0, 0}> { q = QuantizeLinear <axis = 1> (x, s, z) }");
  CHECK(axis.errors() == std::vector<DiagId>{DiagId::bad_node});
  CHECK(axis.text().find("the scale is f32[2], axis 1 of f32[2,3] needs 3 entries.") != std::string::npos);
  Imported zero = import_graph("agraph (float[2,3] x) => (uint8[2,3] q) <float s = {0.0}, uint8 z = {0}> { q = QuantizeLinear(x, s, z) }");
  CHECK(zero.text().find("a scale is 0") != std::string::npos);
  Imported type = import_graph("agraph (uint8[3] x) => (float[3] y) <float s = {1.0}, int8 z = {0}> { y = DequantizeLinear(x, s, z) }");
  CHECK(type.text().find("the zero point is i8[]") != std::string::npos);
}

TEST_CASE("a channel without weights keeps its bias, whatever its scale") {
  Graph graph = parsed(R"(graph @g (%xq: i8[1,2]) -> (%q) {
    const %wq: i8[2,2] = [3, -4, 0, 0]
    const %b: f32[2] = [0.5, 7.25]
    %x = dequantize(%xq) {dtype="i8", scale=[0.05], zero_point=[1]} // "dx"
    const %w: f32[2,2] quant(scale=[0.01, 1e-30], zero=[0, 0], axis=0, grid=i8) = [0.03, -0.04, 0.0, 0.0]
    %y = dense(%x, %w, %b) // "dense"
    %q = quantize(%y) {dtype="i8", scale=[0.125], zero_point=[0]} // "q"
  })");
  Tensor x(TensorType{DType::i8, {1, 2}, {}});
  x.as<int8_t>()[0] = 41;
  x.as<int8_t>()[1] = -19;
  std::vector<Tensor> expected = *evaluate(graph, {x});
  CHECK(expected[0].as<int8_t>()[1] == 58);
  Passes p;
  REQUIRE(*integer_layers(graph, p.context));
  REQUIRE(graph.order().size() == 1);
  CHECK(graph.node(graph.order()[0]).op == &ops::qdense);
  x.type.quant = graph.type(graph.inputs[0]).quant;
  CHECK(std::ranges::equal((*evaluate(graph, {x}))[0].bytes(), expected[0].bytes()));
}

TEST_CASE("sums that could leave 32 bits are computed in 64, others are not") {
  Tensor w(TensorType{DType::i8, {2, 1000}, {}});
  for (int8_t& v : w.as<int8_t>()) v = 127;
  Tensor zeros(TensorType{DType::i32, {2}, {}});
  CHECK(!needs_wide_sums(DType::u8, w, zeros, 0));
  CHECK(needs_wide_sums(DType::i16, w, zeros, 0));  // 127,000 * 32,768
  zeros.as<int32_t>()[1] = 2147483647 - 127000 * 255;
  CHECK(!needs_wide_sums(DType::u8, w, zeros, 0));
  ++zeros.as<int32_t>()[1];
  CHECK(needs_wide_sums(DType::u8, w, zeros, 0));
  Tensor bias(TensorType{DType::i32, {2}, {}});
  bias.as<int32_t>()[0] = 2147483647;
  CHECK(folded_bias(w, &bias, 1, 0));
  CHECK(!folded_bias(w, &bias, -1, 0));
}

TEST_CASE("inputs and outputs at which a model only converts become integers") {
  const std::string text = R"(graph @g (%x: f32[1,4], %z: f32[1,4]) -> (%y, %s) {
    const %wq: i8[3,4] = random 2
    const %w: f32[3,4] quant(scale=0.5, zero=0, grid=i8) = [1.0, 0.5, -2.0, 0.0, 4.0, 5.0, 6.0, 7.0, -8.0, 9.5, 10.0, 11.0]
    %q = quantize(%x) {dtype="u8", scale=[0.25], zero_point=[7]} // "q"
    %d = dequantize(%q) {dtype="u8", scale=[0.25], zero_point=[7]} // "d"
    %l = dense(%d, %w) // "dense"
    %lq = quantize(%l) {dtype="i8", scale=[0.75], zero_point=[-3]} // "lq"
    %y = dequantize(%lq) {dtype="i8", scale=[0.75], zero_point=[-3]} // "dy"
    %s = add(%z, %z) // "add"
  })";
  Graph graph = parsed(text);
  Passes p;
  REQUIRE(*integer_layers(graph, p.context));
  CHECK(*integer_boundary(graph, {}, p.context));
  CHECK(verify(graph, Stage::canonical).ok());
  CHECK(graph.type(graph.inputs[0]) == TensorType{DType::u8, {1, 4}, Quant{{0.25f}, {7}, 0, DType::u8}});
  CHECK(graph.type(graph.inputs[1]).dtype == DType::f32);  // the model computes on it in float
  CHECK(graph.type(graph.outputs()[0]) == TensorType{DType::i8, {1, 3}, Quant{{0.75f}, {-3}, 0, DType::i8}});
  CHECK(graph.output_name(0) == "y");
  CHECK(!*integer_boundary(graph, {}, p.context));
}

TEST_CASE("state stays as it is when inputs and outputs become integers") {
  const std::string text = R"(graph @g (%x: f32[1,4], %h: f32[1,4]) -> (%y, %hn) {
    %xq = quantize(%x) {dtype="i8", scale=[0.25], zero_point=[7]} // "xq"
    %hq = quantize(%h) {dtype="i8", scale=[0.5], zero_point=[1]} // "hq"
    %xd = dequantize(%xq) {dtype="i8", scale=[0.25], zero_point=[7]} // "xd"
    %hd = dequantize(%hq) {dtype="i8", scale=[0.5], zero_point=[1]} // "hd"
    %s = add(%xd, %hd) // "add"
    %sq = quantize(%s) {dtype="i8", scale=[0.75], zero_point=[-3]} // "sq"
    %y = dequantize(%sq) {dtype="i8", scale=[0.75], zero_point=[-3]} // "dy"
    %p = mul(%xd, %hd) // "mul"
    %pq = quantize(%p) {dtype="i8", scale=[0.125], zero_point=[2]} // "pq"
    %hn = dequantize(%pq) {dtype="i8", scale=[0.125], zero_point=[2]} // "dh"
  })";
  Graph graph = parsed(text);
  Passes p;
  REQUIRE(*integer_layers(graph, p.context));
  CHECK(*integer_boundary(graph, {{"hn", "h"}}, p.context));
  CHECK(verify(graph, Stage::canonical).ok());
  CHECK(graph.type(graph.inputs[0]).dtype == DType::i8);
  CHECK(graph.type(graph.inputs[1]) == TensorType{DType::f32, {1, 4}, {}});
  CHECK(graph.type(graph.outputs()[0]).dtype == DType::i8);
  CHECK(graph.type(graph.outputs()[1]).dtype == DType::f32);
}

TEST_CASE("what stays float in a quantized model has its reason") {
  Graph graph = parsed(R"(graph @g (%x: f32[2,4], %u: f32[2,4]) -> (%a, %d, %s) {
    %xq = quantize(%x) {dtype="i8", scale=[0.05], zero_point=[0]} // "qx"
    %xd = dequantize(%xq) {dtype="i8", scale=[0.05], zero_point=[0]} // "dx"
    %sum = add(%xd, %u) // "add"
    %a = quantize(%sum) {dtype="i8", scale=[0.1], zero_point=[0]} // "qa"
    const %w: f32[3,4] = random 1
    %layer = dense(%xd, %w) // "dense"
    %d = quantize(%layer) {dtype="i8", scale=[0.1], zero_point=[0]} // "qd"
    %total = reduce_sum(%xd) {axes=[1]} // "sum"
    %s = softmax(%xd) {axis=1} // "softmax"
    %t = quantize(%total) {dtype="i8", scale=[0.1], zero_point=[0]} // "qt"
  })");
  graph.add_output(graph.node(graph.order().back()).outputs[0]);
  Passes p;
  REQUIRE(integer_layers(graph, p.context).ok());
  CHECK(is_quantized(graph));
  CHECK(reason_of(graph, "xq").empty());  // the model's boundary
  CHECK(reason_of(graph, "xd") == "'xq' is read as floats.");
  CHECK(reason_of(graph, "sum") == "operand 'u' is not quantized.");
  CHECK(reason_of(graph, "a") == "'sum' is computed in float.");
  CHECK(reason_of(graph, "layer") == "constant 'w' is not quantized.");
  CHECK(reason_of(graph, "total") == "'reduce_sum' has no integer form.");
  CHECK(reason_of(graph, "s") == "its result 's' is not quantized.");
  CHECK(!is_quantized(parsed("graph @g (%x: f32[2]) -> (%y) {\n  %y = relu(%x) // \"r\"\n}")));
}
