// SPDX-License-Identifier: Apache-2.0
// ONNX's operators on integers with a grid for their result: each imports, becomes integer throughout, and computes what its float
// operators compute between DequantizeLinear and QuantizeLinear, and what ONNX Runtime computes where it is installed.
#include "../quantized_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

const std::string kMicrosoft = "com.microsoft";

struct Grid {
  std::string scale, zero;
};
Grid grid(ModelMaker& m, DType dtype, float scale, int64_t zero) {
  return {m.number(scale), m.constant(zero_point(dtype, zero))};
}

/// The model is integer throughout, with these operators, within one step of what was imported and within one of ONNX Runtime.
void check_integer(const ModelMaker& m, const std::string& operators) {
  Prepared p = prepare(m);
  INFO(print_graph(p.optimized, {}));
  CHECK(p.float_reasons() == "");
  CHECK(p.operators() == operators);
  CHECK(greatest_step(p, 1) <= kOneStep);
  CHECK(greatest_step_from_ort(p, 2).value_or(0) <= kOneStep);
}

Attrs pads(int64_t p) { return {{"pads", std::vector<int64_t>{p, p, p, p}}}; }

}  // namespace

TEST_CASE("QLinearConv becomes qconv2d", "[quantized]") {
  struct Case {
    DType x, w;
    bool per_channel, bias, depthwise;
    int64_t w_zero;
  };
  const Case cases[] = {
      {DType::u8, DType::i8, true, true, false, 0},    {DType::i8, DType::i8, true, true, true, 0},   {DType::u8, DType::u8, false, true, false, 131},
      {DType::u8, DType::i8, false, false, false, 0},  {DType::i8, DType::i8, false, false, true, 3}, {DType::u8, DType::u8, true, true, false, 128},
  };
  for (const Case& c : cases) {
    Dice dice(static_cast<uint32_t>(&c - cases));
    ModelMaker m;
    m.input("x", c.x, {1, 4, 6, 5});
    int64_t channels = c.depthwise ? 4 : 5;
    Grid gx = grid(m, c.x, 0.05f, c.x == DType::u8 ? 120 : -7), gy = grid(m, c.x, 0.3f, c.x == DType::u8 ? 100 : 4);
    std::string w = m.constant(dice.integers(c.w, {channels, c.depthwise ? 1 : 4, 3, 3}));
    std::string w_scale = c.per_channel ? m.constant(dice.floats({channels}, 0.01f, 0.03f)) : m.number(0.02f);
    Tensor zeros = dice.integers(c.w, {c.per_channel ? channels : 1});
    with_storage_type(c.w, [&]<class T>() { std::fill(zeros.as<T>().begin(), zeros.as<T>().end(), static_cast<T>(c.w_zero)); });
    std::string w_zero = c.per_channel ? m.constant(zeros) : m.constant(zero_point(c.w, c.w_zero));
    std::vector<std::string> inputs{"x", gx.scale, gx.zero, w, w_scale, w_zero, gy.scale, gy.zero};
    Tensor bias(TensorType{DType::i32, {channels}, {}});
    for (int32_t& v : bias.as<int32_t>()) v = static_cast<int32_t>(dice.between(-5000, 5000));
    if (c.bias) inputs.push_back(m.constant(bias));
    Attrs attrs = pads(1);
    if (c.depthwise) attrs.set("group", int64_t{4});
    m.output(m.node("QLinearConv", inputs, attrs), c.x);
    check_integer(m, "qconv2d transpose");
  }
}

TEST_CASE("com.microsoft QLinearConv and pools take channels last without transposing", "[quantized]") {
  Dice dice(5);
  ModelMaker m;
  m.input("x", DType::u8, {1, 6, 6, 4});
  Grid gx = grid(m, DType::u8, 0.05f, 120), gy = grid(m, DType::u8, 0.3f, 100), gp = grid(m, DType::u8, 0.2f, 90), gm = grid(m, DType::u8, 0.1f, 80);
  std::string w = m.constant(dice.integers(DType::i8, {5, 4, 3, 3}));
  Attrs attrs = pads(1);
  attrs.set("channels_last", int64_t{1});
  std::string zero = m.constant(zero_point(DType::i8, 0));
  std::string y = m.node("QLinearConv", {"x", gx.scale, gx.zero, w, m.constant(dice.floats({5}, 0.01f, 0.03f)), zero, gy.scale, gy.zero}, attrs, kMicrosoft);
  Attrs pool{{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}, {"channels_last", int64_t{1}}};
  y = m.node("QLinearAveragePool", {y, gy.scale, gy.zero, gp.scale, gp.zero}, pool, kMicrosoft);
  y = m.node("QLinearGlobalAveragePool", {y, gp.scale, gp.zero, gm.scale, gm.zero}, {{"channels_last", int64_t{1}}}, kMicrosoft);
  m.output(y, DType::u8);
  Prepared p = prepare(m);
  CHECK(p.float_reasons() == "");
  CHECK(p.operators() == "qaverage_pool2d qconv2d qreduce_mean");
  CHECK(greatest_step(p, 1) <= kOneStep);
}

TEST_CASE("pools of channels second", "[quantized]") {
  for (bool padded : {false, true}) {
    ModelMaker m;
    m.input("x", DType::i8, {1, 4, 6, 6});
    Grid gx = grid(m, DType::i8, 0.05f, 12), gp = grid(m, DType::i8, 0.04f, -9), gm = grid(m, DType::i8, 0.03f, 8);
    Attrs pool{{"kernel_shape", std::vector<int64_t>{3, 3}}, {"count_include_pad", int64_t{padded}}};
    if (padded) pool.set("pads", std::vector<int64_t>{1, 1, 1, 1});
    std::string y = m.node("QLinearAveragePool", {"x", gx.scale, gx.zero, gp.scale, gp.zero}, pool, kMicrosoft);
    m.output(m.node("QLinearGlobalAveragePool", {y, gp.scale, gp.zero, gm.scale, gm.zero}, {}, kMicrosoft), DType::i8);
    check_integer(m, "qaverage_pool2d qreduce_mean reshape transpose");
  }
}

TEST_CASE("QLinearMatMul of a constant is dense, with a grid per column if it has one; of two computed operands qmatmul", "[quantized]") {
  for (DType type : {DType::u8, DType::i8}) {
    Dice dice(7);
    ModelMaker m;
    m.input("a", type, {2, 3, 8});
    m.input("b", type, {2, 4, 6});
    Grid ga = grid(m, type, 0.05f, 3), gy = grid(m, type, 0.4f, 7), gb = grid(m, type, 0.06f, 5), gz = grid(m, type, 1.1f, 9);
    std::string w = m.constant(dice.integers(type, {8, 4}));
    Tensor zeros = dice.integers(type, {4}, 5);
    std::string y = m.node("QLinearMatMul", {"a", ga.scale, ga.zero, w, m.constant(dice.floats({4}, 0.01f, 0.05f)), m.constant(zeros), gy.scale, gy.zero});
    m.output(m.node("QLinearMatMul", {y, gy.scale, gy.zero, "b", gb.scale, gb.zero, gz.scale, gz.zero}), type);
    check_integer(m, "qdense qmatmul");
  }
}

TEST_CASE("QGemm with bias, factor and transposed weights; without an output grid it gives floats", "[quantized]") {
  for (int form = 0; form < 4; ++form) {
    Dice dice(static_cast<uint32_t>(form));
    bool transposed = form % 2 == 1, grids = form < 2;
    ModelMaker m;
    m.input("a", DType::u8, {3, 8});
    Grid ga = grid(m, DType::u8, 0.05f, 117), gy = grid(m, DType::u8, 0.2f, 110);
    std::string w = m.constant(dice.integers(DType::i8, transposed ? Shape{5, 8} : Shape{8, 5}));
    Tensor bias(TensorType{DType::i32, {5}, {}});
    for (int32_t& v : bias.as<int32_t>()) v = static_cast<int32_t>(dice.between(-3000, 3000));
    std::string w_scale = transposed ? m.constant(dice.floats({5}, 0.01f, 0.03f)) : m.number(0.02f);
    std::string w_zero = transposed ? m.constant(Tensor(TensorType{DType::i8, {5}, {}})) : m.constant(zero_point(DType::i8, 0));
    std::vector<std::string> inputs{"a", ga.scale, ga.zero, w, w_scale, w_zero, m.constant(bias)};
    if (grids) inputs.insert(inputs.end(), {gy.scale, gy.zero});
    m.output(m.node("QGemm", inputs, {{"transB", int64_t{transposed}}, {"alpha", form == 2 ? 0.5 : 1.0}}, kMicrosoft), grids ? DType::u8 : DType::f32);
    Prepared p = prepare(m);
    CHECK(p.operators() == "qdense");
    CHECK(p.optimized.type(p.optimized.outputs()[0]).dtype == (grids ? DType::u8 : DType::f32));
    CHECK(greatest_step(p, 1) <= kOneStep);
    CHECK(greatest_step_from_ort(p, 2).value_or(0) <= kOneStep);
  }
}

TEST_CASE("QLinearAdd and QLinearMul broadcast", "[quantized]") {
  for (const char* type : {"QLinearAdd", "QLinearMul"}) {
    ModelMaker m;
    m.input("a", DType::i8, {2, 3, 4});
    m.input("b", DType::i8, {3, 1});
    Grid ga = grid(m, DType::i8, 0.05f, 3), gb = grid(m, DType::i8, 0.02f, 0), gy = grid(m, DType::i8, 0.07f, -5);
    m.output(m.node(type, {"a", ga.scale, ga.zero, "b", gb.scale, gb.zero, gy.scale, gy.zero}, {}, kMicrosoft), DType::i8);
    check_integer(m, "qbinary");
  }
}

TEST_CASE("zero points that are left out are 0 of the operand's type", "[quantized]") {
  for (DType type : {DType::u8, DType::i8}) {  // ONNX Runtime stops the process on such nodes, so it is not asked
    ModelMaker m;
    m.input("a", type, {2, 4});
    std::string s = m.number(0.05f), t = m.number(0.03f);
    std::string y = m.node("QLinearAdd", {"a", s, "", "a", s, "", t}, {}, kMicrosoft);
    y = m.node("QLinearLeakyRelu", {y, t, "", s}, {{"alpha", 0.5}}, kMicrosoft);
    y = m.node("QLinearConcat", {t, "", y, s, "", "a", s}, {{"axis", int64_t{0}}}, kMicrosoft);
    m.output(m.node("QLinearSoftmax", {y, t, "", m.number(1.0f / 256)}, {{"axis", int64_t{1}}}, kMicrosoft), type);
    Prepared p = prepare(m);
    CHECK(p.float_reasons() == "");
    CHECK(p.optimized.type(p.optimized.outputs()[0]).quant->zero_point == std::vector<int32_t>{0});
    CHECK(greatest_step(p, 1) <= kOneStep);
  }
}

TEST_CASE("QLinearSigmoid and QLinearLeakyRelu are tables", "[quantized]") {
  ModelMaker m;
  m.input("x", DType::u8, {2, 9});
  Grid gx = grid(m, DType::u8, 0.05f, 120), gy = grid(m, DType::u8, 0.04f, 100), gz = grid(m, DType::u8, 1.0f / 256, 0);
  std::string y = m.node("QLinearLeakyRelu", {"x", gx.scale, gx.zero, gy.scale, gy.zero}, {{"alpha", 0.2}}, kMicrosoft);
  m.output(m.node("QLinearSigmoid", {y, gy.scale, gy.zero, gz.scale, gz.zero}, {}, kMicrosoft), DType::u8);
  check_integer(m, "lookup");
}

TEST_CASE("QLinearConcat brings its pieces to one grid", "[quantized]") {
  ModelMaker m;
  m.input("a", DType::u8, {2, 3});
  m.input("b", DType::u8, {2, 4});
  Grid ga = grid(m, DType::u8, 0.05f, 120), gb = grid(m, DType::u8, 0.03f, 90), gy = grid(m, DType::u8, 0.05f, 120);
  m.output(m.node("QLinearConcat", {gy.scale, gy.zero, "a", ga.scale, ga.zero, "b", gb.scale, gb.zero}, {{"axis", int64_t{1}}}, kMicrosoft), DType::u8);
  check_integer(m, "concat lookup");
}

TEST_CASE("QLinearSoftmax, with the meaning of the axis before opset 13 and since", "[quantized]") {
  for (int64_t opset : {11, 13}) {
    ModelMaker m;
    m.input("x", DType::i8, {2, 3, 4});
    Grid gx = grid(m, DType::i8, 0.05f, 3), gy = grid(m, DType::i8, 1.0f / 256, -128);
    m.output(m.node("QLinearSoftmax", {"x", gx.scale, gx.zero, gy.scale, gy.zero}, {{"axis", int64_t{1}}, {"opset", opset}}, kMicrosoft), DType::i8);
    check_integer(m, opset == 11 ? "qsoftmax reshape" : "qsoftmax");
  }
}

TEST_CASE("QLinearReduceMean", "[quantized]") {
  ModelMaker m;
  m.input("x", DType::i8, {2, 3, 4});
  Grid gx = grid(m, DType::i8, 0.05f, 3), gy = grid(m, DType::i8, 0.02f, -5);
  m.output(m.node("QLinearReduceMean", {"x", gx.scale, gx.zero, gy.scale, gy.zero}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}}, kMicrosoft), DType::i8);
  check_integer(m, "qreduce_mean reshape");
}

TEST_CASE("QLinearWhere chooses between integers", "[quantized]") {
  ModelMaker m;
  m.input("c", DType::boolean, {2, 3});
  m.input("a", DType::u8, {2, 3});
  m.input("b", DType::u8, {3});
  Grid ga = grid(m, DType::u8, 0.05f, 120), gb = grid(m, DType::u8, 0.03f, 90), gy = grid(m, DType::u8, 0.06f, 110);
  m.output(m.node("QLinearWhere", {"c", "a", ga.scale, ga.zero, "b", gb.scale, gb.zero, gy.scale, gy.zero}, {}, kMicrosoft), DType::u8);
  Prepared p = prepare(m);
  CHECK(greatest_step(p, 1) <= kOneStep);
}

TEST_CASE("operands that say no grid are refused", "[quantized]") {
  auto contains = [](const std::string& text) { return Catch::Matchers::Contains(text); };
  CHECK_THAT(refusal_of([](ModelMaker& m) {
               m.input("a", DType::u8, {2, 3});
               Grid g = grid(m, DType::u8, 0.05f, 120);
               std::string scales = m.constant(Tensor::floats({4}, {1, 1, 1, 1}));
               m.output(m.node("QLinearAdd", {"a", scales, g.zero, "a", g.scale, g.zero, g.scale, g.zero}, {}, kMicrosoft), DType::u8);
             }),
             contains("the scale is f32[4], it must have one entry or 3 along one axis."));
  CHECK_THAT(refusal_of([](ModelMaker& m) {
               m.input("a", DType::u8, {2, 3});
               Grid g = grid(m, DType::u8, 0.05f, 120);
               m.output(m.node("QLinearConcat", {g.scale, g.zero, "a"}, {{"axis", int64_t{1}}}, kMicrosoft), DType::u8);
             }),
             contains("input 3 is missing, QLinearConcat needs it."));
  CHECK_THAT(refusal_of([](ModelMaker& m) {
               m.input("a", DType::u8, {3, 8});
               Grid g = grid(m, DType::u8, 0.05f, 120);
               std::string w = m.constant(Dice(1).integers(DType::u8, {8, 5}));
               m.output(m.node("QGemm", {"a", g.scale, g.zero, w, g.scale, g.zero, "", g.scale, g.zero}, {{"alpha", -1.0}}, kMicrosoft), DType::u8);
             }),
             contains("'alpha' is -1, only values above 0 are supported."));
  CHECK_THAT(refusal_of([](ModelMaker& m) {
               m.input("a", DType::u8, {1, 2, 4, 4});
               Grid g = grid(m, DType::u8, 0.05f, 120);
               std::string w = m.constant(Dice(1).integers(DType::u8, {3, 2, 1, 1}));
               m.output(m.node("QLinearConv", {"a", g.scale, g.zero, w, g.scale, g.zero, g.scale, g.zero, m.constant(Tensor::floats({3}, {1, 2, 3}))}), DType::u8);
             }),
             contains("the bias is f32[3], it must be i32."));
}
