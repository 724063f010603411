// SPDX-License-Identifier: Apache-2.0
// The forms in which exporters write quantized models: each imports, becomes integer (or stays float for a stated reason), and computes
// what it says within one step of the result's grid.
#include <cmath>

#include "../quantized_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// Scale and zero point of activations as constants.
struct Grid {
  std::string scale, zero;
};
Grid grid(ModelMaker& m, DType dtype, float scale, int64_t zero) { return {m.number(scale), m.constant(zero_point(dtype, zero))}; }
std::string quantize(ModelMaker& m, const std::string& x, const Grid& g) { return m.node("QuantizeLinear", {x, g.scale, g.zero}); }
std::string dequantize(ModelMaker& m, const std::string& x, const Grid& g) { return m.node("DequantizeLinear", {x, g.scale, g.zero}); }
std::string conversions(ModelMaker& m, const std::string& x, const Grid& g) { return dequantize(m, quantize(m, x, g), g); }

std::string integer_weights(ModelMaker& m, Dice& dice, const Shape& shape, int64_t axis, int bits = 8) {
  int64_t n = shape[static_cast<size_t>(axis)];
  std::string w = m.constant(dice.integers(DType::i8, shape, bits)), scale = m.constant(dice.floats({n}, 0.005f, 0.01f));
  return m.node("DequantizeLinear", {w, scale, m.constant(Tensor(TensorType{DType::i8, {n}, {}}))}, {{"axis", axis}});
}

/// Expects these operators, no float island but those of `reasons`, and equal results within `steps`.
Prepared check(const ModelMaker& m, const std::string& operators, const std::string& reasons = "", double steps = kOneStep) {
  Prepared p = prepare(m);
  INFO(print_graph(p.optimized, {}));
  CHECK(p.operators() == operators);
  CHECK(p.float_reasons() == reasons);
  CHECK(greatest_step(p, 1) <= steps);
  return p;
}

Attrs pads(int64_t p) { return {{"pads", std::vector<int64_t>{p, p, p, p}}}; }

}  // namespace

TEST_CASE("tf2onnx: transposes and reshapes between the conversions, weights transposed after dequantizing", "[quantized]") {
  Dice dice(1);
  ModelMaker m;
  m.input("x", DType::f32, {1, 6, 6, 3});
  Grid gx = grid(m, DType::i8, 0.01f, 3), gy = grid(m, DType::i8, 0.03f, -20), gz = grid(m, DType::i8, 0.2f, 5);
  std::string x = m.node("Transpose", {conversions(m, "x", gx)}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
  std::string w = m.node("Transpose", {integer_weights(m, dice, {3, 3, 3, 4}, 3)}, {{"perm", std::vector<int64_t>{3, 2, 0, 1}}});
  std::string y = m.node("Relu", {m.node("Conv", {x, w}, pads(1))});
  y = m.node("Transpose", {quantize(m, y, gy)}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
  y = dequantize(m, m.node("Reshape", {y, m.constant(Tensor::int64s({1, 144}))}), gy);
  std::string dense = m.node("Transpose", {integer_weights(m, dice, {5, 144}, 0)}, {{"perm", std::vector<int64_t>{1, 0}}});
  m.output(conversions(m, m.node("MatMul", {y, dense}), gz), DType::f32);
  check(m, "dequantize qconv2d qdense quantize reshape", "", 3);
}

TEST_CASE("TensorRT and modelopt: nothing is quantized behind a layer, float weights stand before their conversions", "[quantized]") {
  Dice dice(2);
  ModelMaker m;
  m.input("x", DType::f32, {1, 4, 6, 6});
  Grid gx = grid(m, DType::i8, 0.01f, 0), gr = grid(m, DType::i8, 0.02f, 0);
  auto weights = [&](const Shape& shape) {
    std::string scale = m.constant(dice.floats({shape[0]}, 0.004f, 0.008f)), zero = m.constant(Tensor(TensorType{DType::i8, {shape[0]}, {}}));
    std::string q = m.node("QuantizeLinear", {m.constant(dice.floats(shape, -0.5f, 0.5f)), scale, zero}, {{"axis", int64_t{0}}});
    return m.node("DequantizeLinear", {q, scale, zero}, {{"axis", int64_t{0}}});
  };
  std::string x = conversions(m, "x", gx);
  std::string y = m.node("Relu", {m.node("Conv", {x, weights({4, 4, 3, 3}), m.constant(dice.floats({4}))}, pads(1))});
  // The residual is quantized on one side only; the sum is quantized where the next layer reads it.
  std::string sum = m.node("Relu", {m.node("Add", {conversions(m, y, gr), y})});
  Grid gs = grid(m, DType::i8, 0.05f, 0);
  m.output(m.node("Conv", {conversions(m, sum, gs), weights({3, 4, 1, 1})}), DType::f32);
  Prepared p = prepare(m);
  INFO(print_graph(p.optimized, {}));
  size_t layers = 0;
  for (NodeId id : p.optimized.order()) {
    CHECK(p.optimized.node(id).op != &ops::conv2d);
    if (p.optimized.node(id).op == &ops::qconv2d) ++layers;
  }
  CHECK(layers == 2);
  CHECK_THAT(p.float_reasons(), Catch::Matchers::Contains("add: operand "));
  CHECK(p.optimized.type(p.optimized.outputs()[0]).dtype == DType::f32);
  CHECK(greatest_step(p, 1) <= 100);  // of 1e-5 of the greatest value: the output is float, and one step of a sum moves it
}

TEST_CASE("Brevitas QCDQ: a clip of integers for fewer bits is the bounds of what makes them", "[quantized]") {
  Dice dice(3);
  ModelMaker m;
  m.input("x", DType::f32, {2, 8});
  Grid gx = grid(m, DType::i8, 0.2f, 0), gy = grid(m, DType::u8, 0.1f, 0);
  auto clipped = [&](const std::string& x, const Grid& g, auto low, auto high) {
    return dequantize(m, m.node("Clip", {quantize(m, x, g), m.integer(low), m.integer(high)}), g);
  };
  std::string x = clipped("x", gx, int8_t{-7}, int8_t{7});
  std::string w = clipped(m.constant(dice.floats({5, 8})), grid(m, DType::i8, 0.15f, 0), int8_t{-7}, int8_t{7});
  Tensor bias(TensorType{DType::i32, {5}, {}});
  for (int32_t& v : bias.as<int32_t>()) v = static_cast<int32_t>(dice.between(-50, 50));
  std::string b = m.node("DequantizeLinear", {m.constant(bias), m.number(0.2f * 0.15f), m.integer<int32_t>(0)});
  std::string y = m.node("Relu", {m.node("Gemm", {x, w, b}, {{"transB", int64_t{1}}})});
  m.output(clipped(y, gy, uint8_t{0}, uint8_t{15}), DType::f32);
  Prepared p = check(m, "dequantize qdense quantize");
  for (NodeId id : p.optimized.order()) {
    const Node& node = p.optimized.node(id);
    if (node.op == &ops::quantize) CHECK((node.attrs.i("low") == -7 && node.attrs.i("high") == 7));
    if (node.op == &ops::qdense) CHECK(node.attrs.i("high") == 15);
  }
}

TEST_CASE("PyTorch: fake quantization spelled out, of activations and of weights", "[quantized]") {
  for (bool reciprocal : {false, true}) {
    Dice dice(4);
    ModelMaker m;
    m.input("x", DType::f32, {2, 8});
    auto fake = [&](const std::string& x, float scale, float zero, float low, float high) {
      std::string y = reciprocal ? m.node("Mul", {x, m.number(1 / scale)}) : m.node("Div", {x, m.number(scale)});
      y = m.node("Add", {m.node("Round", {y}), m.number(zero)});
      y = m.node("Clip", {y, m.number(low), m.number(high)});
      return m.node("Mul", {m.node("Sub", {y, m.number(zero)}), m.number(scale)});
    };
    std::string w = fake(m.constant(dice.floats({5, 8})), 0.011f, 0, -127, 127);
    std::string y = m.node("Gemm", {fake("x", 0.013f, 120, 0, 255), w, m.constant(dice.floats({5}))}, {{"transB", int64_t{1}}});
    m.output(fake(y, 0.05f, 100, 0, 255), DType::f32);
    check(m, "dequantize qdense quantize");
  }
}

TEST_CASE("shared and duplicated conversions, scales of one element, missing zero points", "[quantized]") {
  Dice dice(5);
  ModelMaker m;
  m.input("x", DType::f32, {2, 8});
  std::string s = m.constant(Tensor::floats({1}, {0.007f})), t = m.number(0.007f);
  std::string q = m.node("QuantizeLinear", {"x", s});  // u8 with zero point 0
  std::string shared = m.node("DequantizeLinear", {q, t}), twin = m.node("DequantizeLinear", {q, s});
  std::string w = integer_weights(m, dice, {8, 5}, 1), v = integer_weights(m, dice, {8, 5}, 1);
  std::string a = m.node("MatMul", {shared, w}), b = m.node("MatMul", {twin, v}), c = m.node("Relu", {shared});
  Grid g = grid(m, DType::u8, 0.03f, 120);
  m.output(quantize(m, m.node("Add", {conversions(m, a, g), conversions(m, b, g)}), grid(m, DType::u8, 0.06f, 120)), DType::u8);
  m.output(quantize(m, c, g), DType::u8);
  check(m, "lookup qbinary qdense quantize");
}

TEST_CASE("int16 activations with int8 weights", "[quantized]") {
  Dice dice(6);
  ModelMaker m(21);
  m.input("x", DType::f32, {2, 8});
  Grid gx = grid(m, DType::i16, 1.0f / 32768, 0), gy = grid(m, DType::i16, 3.0f / 32768, 0);
  std::string w = integer_weights(m, dice, {8, 5}, 1);
  std::string y = conversions(m, m.node("MatMul", {conversions(m, "x", gx), w}), gy);
  m.output(conversions(m, m.node("Sigmoid", {y}), grid(m, DType::i16, 1.0f / 32768, 0)), DType::f32);
  Prepared p = prepare(m);
  INFO(print_graph(p.optimized, {}));
  CHECK(p.float_reasons() == "");
  CHECK(greatest_step(p, 1) <= kOneStep);
}

TEST_CASE("4-bit weights, and weights on one grid per block", "[quantized]") {
  for (DType type : {DType::i4, DType::u4})
    for (bool blocked : {false, true}) {
      Dice dice(7);
      ModelMaker m(21);
      m.input("x", DType::f32, {2, 8});
      Grid gx = grid(m, DType::u8, 0.01f, 100), gy = grid(m, DType::u8, 0.03f, 120);
      std::string w = m.constant(dice.integers(type, {8, 5}));
      Tensor zeros = dice.integers(type, blocked ? Shape{2, 5} : Shape{5}, 2);
      std::string scale = m.constant(dice.floats(zeros.type.shape, 0.05f, 0.1f));
      Attrs attrs{{"axis", blocked ? int64_t{0} : int64_t{1}}};
      if (blocked) attrs.set("block_size", int64_t{4});
      std::string weights = m.node("DequantizeLinear", {w, scale, m.constant(zeros)}, attrs);
      m.output(conversions(m, m.node("MatMul", {conversions(m, "x", gx), weights}), gy), DType::f32);
      Prepared p = prepare(m);
      INFO(print_graph(p.optimized, {}));
      if (!blocked) CHECK(p.operators() == "dequantize qdense quantize");
      if (blocked) CHECK_THAT(p.float_reasons(), Catch::Matchers::Contains("is not quantized."));
      CHECK(greatest_step(p, 1) <= kOneStep);
      CHECK(greatest_step_from_ort(p, 2).value_or(0) <= kOneStep);
    }
}

TEST_CASE("weight-only quantization computes in float and says so", "[quantized]") {
  Dice dice(8);
  ModelMaker m;
  m.input("x", DType::f32, {2, 8});
  m.output(m.node("MatMul", {"x", integer_weights(m, dice, {8, 5}, 1)}), DType::f32);
  check(m, "dense", "dense: operand 'x' is not quantized.\n");
}

TEST_CASE("softmax of 16 bits is computed in float, which the report says", "[quantized]") {
  ModelMaker m(21);
  m.input("x", DType::i16, {2, 8});
  Grid gx = grid(m, DType::i16, 0.001f, 0), gy = grid(m, DType::u16, 1.0f / 65536, 0);
  m.output(quantize(m, m.node("Softmax", {dequantize(m, "x", gx)}), gy), DType::u16);
  Prepared p = prepare(m);
  CHECK(p.operators() == "dequantize quantize softmax");
  CHECK_THAT(p.float_reasons(), Catch::Matchers::Contains("softmax: 'softmax' of 16-bit integers has no integer form."));
}

TEST_CASE("requantization between two grids, at outputs too", "[quantized]") {
  ModelMaker m;
  m.input("x", DType::u8, {2, 8});
  Grid a = grid(m, DType::u8, 0.05f, 100), b = grid(m, DType::i8, 0.07f, 3);
  m.output(quantize(m, dequantize(m, "x", a), b), DType::i8);
  check(m, "lookup");
}

// ---- QONNX

namespace {

Attrs quant_node(bool is_signed, bool narrow) { return {{"signed", int64_t{is_signed}}, {"narrow", int64_t{narrow}}, {"rounding_mode", std::string("ROUND")}}; }

}  // namespace

TEST_CASE("QONNX Quant, in its three domains, is quantize and dequantize with bounds for the bit width", "[quantized]") {
  struct Case {
    int bits;
    bool is_signed, narrow;
    double low, high;
  };
  const Case cases[] = {{8, true, false, -128, 127}, {8, true, true, -127, 127}, {4, true, false, -8, 7}, {4, true, true, -7, 7},
                        {8, false, false, 0, 255},   {3, false, false, 0, 7},    {3, false, true, 0, 6},  {1, false, false, 0, 1},
                        {16, true, false, -32768, 32767}, {12, false, false, 0, 4095}};
  for (const char* domain : {"qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"})
    for (const Case& c : cases) {
      ModelMaker m;
      m.input("x", DType::f32, {4, 50});
      float scale = 2.5f / static_cast<float>(c.high);
      std::string y = m.node("Quant", {"x", m.number(scale), m.number(0), m.number(static_cast<float>(c.bits))}, quant_node(c.is_signed, c.narrow), domain);
      m.output(y, DType::f32);
      Prepared p = check(m, "dequantize quantize");
      Dice dice(1);
      Tensor x = dice.floats({4, 50}, -4, 4);
      Result<std::vector<Tensor>> actual = evaluate(p.optimized, {x});
      REQUIRE(actual.ok());
      for (size_t i = 0; i < 200; ++i) {
        float q = std::nearbyint(x.as<float>()[i] / scale);
        q = std::min(std::max(q, static_cast<float>(c.low)), static_cast<float>(c.high));
        REQUIRE((*actual)[0].as<float>()[i] == q * scale);
      }
    }
}

TEST_CASE("QONNX weights come out on a grid per channel, so that a network of IntQuant and BipolarQuant is integer", "[quantized]") {
  Dice dice(9);
  ModelMaker m;
  m.input("x", DType::f32, {1, 2, 6, 6});
  const std::string domain = "qonnx.custom_op.general";
  std::string zero = m.number(0), four = m.number(4), eight = m.number(8);
  std::string x = m.node("IntQuant", {"x", m.number(0.01f), zero, eight}, quant_node(true, false), domain);
  std::string scales = m.constant(dice.floats({4, 1, 1, 1}, 0.05f, 0.1f));
  std::string w = m.node("Quant", {m.constant(dice.floats({4, 2, 3, 3})), scales, zero, four}, quant_node(true, true), domain);
  std::string y = m.node("Relu", {m.node("Conv", {x, w})});
  y = m.node("Quant", {y, m.number(0.05f), zero, four}, quant_node(false, false), domain);
  std::string v = m.node("BipolarQuant", {m.constant(dice.floats({3, 4, 1, 1})), m.number(0.25f)}, {}, domain);
  y = m.node("BipolarQuant", {m.node("Conv", {y, v}), m.number(0.5f)}, {}, domain);
  m.output(y, DType::f32);
  Prepared p = prepare(m);
  INFO(print_graph(p.optimized, {}));
  size_t layers = 0;
  for (NodeId id : p.optimized.order()) {
    CHECK(p.optimized.node(id).op != &ops::conv2d);
    if (p.optimized.node(id).op == &ops::qconv2d) ++layers;
  }
  CHECK(layers == 2);
  // A step of the first layer can turn a sign: compare how many of the 48 signs agree.
  Result<std::vector<Tensor>> expected = evaluate(p.imported, {dice.floats({1, 2, 6, 6})});
  REQUIRE(expected.ok());
  for (float value : (*expected)[0].as<float>()) CHECK(std::abs(value) == 0.5f);
}

TEST_CASE("QONNX Trunc drops low bits, as inputs of bit widths and of scales say it", "[quantized]") {
  for (bool by_scale : {false, true})
    for (const char* mode : {"FLOOR", "CEIL", "ROUND"}) {
      ModelMaker m;
      m.input("x", DType::f32, {4, 50});
      const std::string domain = "qonnx.custom_op.general";
      std::string s = m.number(0.05f), zero = m.number(0), eight = m.number(8), five = m.number(5);
      std::string x = m.node("Quant", {"x", s, zero, eight}, quant_node(true, false), domain);
      Attrs attrs{{"rounding_mode", std::string(mode)}};
      if (by_scale) attrs.set("signed", int64_t{1});
      std::vector<std::string> inputs{x, s, zero, eight, five};
      if (by_scale) inputs = {x, s, zero, eight, m.number(0.4f), zero, five};
      m.output(m.node("Trunc", inputs, attrs, domain), DType::f32);
      Prepared p = check(m, "dequantize lookup quantize", "", 0);
      Dice dice(1);
      Tensor input = dice.floats({4, 50}, -6, 6);
      Result<std::vector<Tensor>> actual = evaluate(p.optimized, {input});
      REQUIRE(actual.ok());
      for (size_t i = 0; i < 200; ++i) {
        double q = std::min(std::max(std::nearbyint(input.as<float>()[i] / 0.05f), -128.0f), 127.0f) / 8.0;
        double r = mode[0] == 'F' ? std::floor(q) : mode[0] == 'C' ? std::ceil(q) : std::nearbyint(q);
        if (by_scale) r = std::min(std::max(r, -16.0), 15.0);
        REQUIRE((*actual)[0].as<float>()[i] == Approx(r * (by_scale ? 0.4 : 0.05)).epsilon(1e-6));
      }
    }
}

TEST_CASE("a QONNX grid that no axis has is computed as it stands", "[quantized]") {
  Dice dice(2);
  ModelMaker m;
  m.input("x", DType::f32, {3, 4});
  std::string scales = m.constant(dice.floats({3, 4}, 0.05f, 0.1f));
  m.output(m.node("Quant", {"x", scales, m.number(0), m.number(4)}, quant_node(true, false), "qonnx.custom_op.general"), DType::f32);
  Prepared p = prepare(m);
  CHECK(p.operators() == "div mul round");  // the zero point is 0; the clip is fused with the division
  CHECK_THAT(p.float_reasons(), Catch::Matchers::Contains("div: operand 'x' is not quantized."));
  CHECK(greatest_step(p, 1) <= kOneStep);
}

TEST_CASE("what QONNX says and kiln has not is refused", "[quantized]") {
  auto message = [](const std::string& type, const std::vector<float>& numbers, const Attrs& attrs) {
    ModelMaker m;
    std::vector<std::string> inputs{m.input("x", DType::f32, {4})};
    for (float v : numbers) inputs.push_back(m.number(v));
    m.output(m.node(type, inputs, attrs, "qonnx.custom_op.general"), DType::f32);
    Imported imported = import_bytes(m.bytes());
    REQUIRE_FALSE(imported.model);
    return imported.text();
  };
  auto contains = [](const std::string& text) { return Catch::Matchers::Contains(text); };
  CHECK_THAT(message("Quant", {0.1f, 0, 8}, {{"rounding_mode", std::string("FLOOR")}}), contains("'rounding_mode' FLOOR is not supported, only ROUND is."));
  CHECK_THAT(message("Quant", {0.1f, 0, 24}, {}), contains("the bit width is 24, supported are whole numbers from 1 to 16."));
  CHECK_THAT(message("Quant", {0.1f, 0, 2.5f}, {}), contains("the bit width is 2.5, supported are whole numbers from 1 to 16."));
  CHECK_THAT(message("Quant", {0.1f, 0, 1}, {{"signed", int64_t{1}}}), contains("signed integers of 1 bit are not supported."));
  {
    ModelMaker m;
    m.input("x", DType::f32, {4});
    m.input("bits", DType::f32, {});
    m.output(m.node("Quant", {"x", m.number(0.1f), m.number(0), "bits"}, {}, "qonnx.custom_op.general"), DType::f32);
    CHECK_THAT(import_bytes(m.bytes()).text(), contains("the bit width is computed at run time, it must be a constant."));
  }
  CHECK_THAT(message("Trunc", {0.1f, 0, 4, 8}, {}), contains("4 bits cannot be truncated to 8."));
  CHECK_THAT(message("Trunc", {0.1f, 0, 8, 4}, {{"rounding_mode", std::string("HALF_UP")}}), contains("'rounding_mode' HALF_UP is not supported"));
  CHECK_THAT(message("Trunc", {0.1f, 0, 8, 4, 0}, {}), contains("Trunc has 5 or 7 inputs, the node has 6."));
  CHECK_THAT(message("Trunc", {0.1f, 1, 8, 0.8f, 0, 4}, {}), contains("which is no grid of i8."));
  CHECK_THAT(message("BipolarQuant", {0}, {}), contains("it must be above 0 and have one entry"));
}

TEST_CASE("TensorRT, NNCF and Brevitas: a float bias between the whole sums is added as it is", "[quantized]") {
  // Scales are powers of two and biases quarters of the sums' unit, so that the float model is computed exactly, ties included.
  for (const char* layer : {"conv", "depthwise", "dense"})
    for (bool whole : {false, true}) {
      INFO(layer << " " << whole);
      Dice dice(11);
      ModelMaker m;
      const bool dense = std::string(layer) == "dense", depthwise = std::string(layer) == "depthwise";
      m.input("x", DType::f32, dense ? Shape{9, 40} : Shape{1, 12, 9, 9});
      Grid gx = grid(m, DType::i8, 0x1p-6f, 3), gy = grid(m, DType::i8, 0x1p-4f, -5);
      const Shape shape = dense ? Shape{40, 12} : depthwise ? Shape{12, 1, 3, 3} : Shape{12, 12, 3, 3};
      std::string w = m.node("DequantizeLinear", {m.constant(dice.integers(DType::i8, shape, 8)), m.number(0x1p-7f), m.constant(Tensor(TensorType{DType::i8, {}, {}}))});
      Tensor bias = dice.floats({12}, -1, 1);
      for (float& b : bias.as<float>()) b = std::nearbyint(b * (whole ? 0x1p13f : 0x1p15f)) / (whole ? 0x1p13f : 0x1p15f);
      const std::string x = conversions(m, "x", gx);
      Attrs attrs = dense ? Attrs{} : pads(1);
      if (depthwise) attrs.set("group", int64_t{12});
      m.output(conversions(m, m.node(dense ? "Gemm" : "Conv", {x, w, m.constant(std::move(bias))}, attrs), gy), DType::f32);
      Prepared p = check(m, dense ? "dequantize qdense quantize" : "dequantize qconv2d quantize transpose", "", 0);
      for (NodeId id : p.optimized.order())
        if (const Node& node = p.optimized.node(id); node.inputs.size() > 2) CHECK(p.optimized.type(node.inputs[2]).dtype == (whole ? DType::i32 : DType::f32));
    }
}
