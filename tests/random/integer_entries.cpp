// SPDX-License-Identifier: Apache-2.0
// Between floats and integers, and sums of integers, within float graphs. Whole quantized graphs have their own generator.
#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;

DType byte(Sketch& s) { return s.chance(0.5) ? DType::i8 : DType::u8; }

std::string quantized(Sketch& s, const std::string& x, DType type, const std::string& scale) {
  return s.add("QuantizeLinear", {x, scale, s.number(type, type == DType::u8 ? 117 : -5)});
}

void make_quantize(Sketch& s) {
  std::string x = s.any(DType::f32);
  quantized(s, x, byte(s), s.weights(DType::f32, {}, 0.01, 0.05));
}

void make_dequantize(Sketch& s) {
  const DType type = byte(s);
  std::string x = s.find([&](const Sketch::Info& v) { return v.type.dtype == type && !v.constant; });
  if (x.empty()) x = s.input(type, s.random_shape(0, 4), type == DType::u8 ? 0 : -100, 100);
  s.add("DequantizeLinear", {x, s.weights(DType::f32, {}, 0.01, 0.05), s.number(type, 3)});
}

void make_dynamic_quantize(Sketch& s) { s.add_all("DynamicQuantizeLinear", {s.any(DType::f32, 1, 4)}, {}, 3); }

void make_matmul_integer(Sketch& s) {
  const DType ta = byte(s), tb = byte(s);
  const Shape shape = s.random_shape(2, 3);
  std::string a = s.input(ta, shape, ta == DType::u8 ? 0 : -25, 25);
  std::string b = s.weights(tb, {shape.back(), s.dice.between(1, 6)}, tb == DType::u8 ? 0 : -25, 25);
  Names operands{a, b};
  if (s.chance(0.7)) operands.push_back(s.number(ta, 4));
  if (operands.size() == 3 && s.chance(0.7)) operands.push_back(s.number(tb, 7));
  std::string sums = s.add("MatMulInteger", operands);
  s.add("Mul", {s.add("Cast", {sums}, {{"to", int64_t{1}}}), s.number(DType::f32, 0.001)});
}

void make_conv_integer(Sketch& s) {
  const int64_t channels = s.dice.between(1, 3);
  std::string x = s.input(DType::u8, {1, channels, s.dice.between(3, 6), s.dice.between(3, 6)}, 0, 25);
  std::string w = s.weights(byte(s), {s.dice.between(1, 4), channels, 2, 3}, 0, 15);
  Names operands{x, w};
  if (s.chance(0.7)) operands.push_back(s.number(DType::u8, 9));
  std::string sums = s.add("ConvInteger", operands, {{"pads", std::vector<int64_t>{0, 1, 1, 0}}});
  s.add("Mul", {s.add("Cast", {sums}, {{"to", int64_t{1}}}), s.number(DType::f32, 0.001)});
}

void make_matmul_integer_to_float(Sketch& s) {
  const Shape shape = s.random_shape(2, 2);
  const int64_t n = s.dice.between(1, 6);
  std::string a = s.input(DType::u8, shape, 0, 200), b = s.weights(DType::i8, {shape.back(), n}, -100, 100);
  s.add("MatMulIntegerToFloat", {a, b, s.number(DType::f32, 0.01), s.chance(0.5) ? s.number(DType::f32, 0.02) : s.weights(DType::f32, {n}, 0.01, 0.02), s.number(DType::u8, 100)},
        {}, "com.microsoft");
}

void make_dynamic_quantize_matmul(Sketch& s) {
  std::string a = s.any(DType::f32, 2, 3);
  const int64_t n = s.dice.between(1, 6);
  s.add("DynamicQuantizeMatMul", {a, s.weights(DType::i8, {s.shape(a).back(), n}, -100, 100), s.number(DType::f32, 0.01)}, {}, "com.microsoft");
}

}  // namespace

std::vector<OperatorMaker> integer_entries() {
  return {{"QuantizeLinear", make_quantize}, {"DequantizeLinear", make_dequantize}, {"DynamicQuantizeLinear", make_dynamic_quantize},
          {"MatMulInteger", make_matmul_integer}, {"ConvInteger", make_conv_integer}, {"com.microsoft::MatMulIntegerToFloat", make_matmul_integer_to_float},
          {"com.microsoft::DynamicQuantizeMatMul", make_dynamic_quantize_matmul}};
}

}  // namespace kiln::test
