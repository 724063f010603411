// SPDX-License-Identifier: Apache-2.0
// The operators of QONNX, which say a grid between float tensors: IntQuant (formerly Quant), BipolarQuant and Trunc. They become
// quantize -> dequantize with bounds for the bit width, so constants come out on a grid and activations as integers.
//
// Source: github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops. The reference rounds x / scale + zero_point, kiln adds the
// zero point after rounding: with an odd zero point exact ties can go the other way.
// Not handled: rounding modes of IntQuant other than ROUND (half to even), more than 16 bits, FloatQuant.
#include <algorithm>
#include <cctype>
#include <cmath>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/quantization.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {
namespace {

/// A constant operand of one or more numbers. Errors: unsupported_node when it is computed.
Result<const Tensor*> constant_operand(const OnnxNode& node, GraphBuilder& b, size_t input, std::string_view what) {
  const Tensor* t = b.constant(node.inputs[input]);
  if (!t) return run_time_value(what, b.graph(), node.inputs[input], "export the model for inference.");
  return t;
}

Result<double> constant_number(const OnnxNode& node, GraphBuilder& b, size_t input, std::string_view what) {
  Result<const Tensor*> t = constant_operand(node, b, input, what);
  if (!t) return std::move(t).diagnostic();
  if ((*t)->type.elements() != 1) return unsupported(fmt::format("{} is {}, only one number is supported.", what, to_string((*t)->type)));
  return (*t)->to_doubles()[0];
}

/// Errors: unsupported_node for anything but a whole number of 1 to 16 bits.
Result<int> bit_width(const OnnxNode& node, GraphBuilder& b, size_t input, int most) {
  Result<double> bits = constant_number(node, b, input, "the bit width");
  if (!bits) return std::move(bits).diagnostic();
  if (!(*bits >= 1 && *bits <= most) || *bits != std::floor(*bits))
    return unsupported(fmt::format("the bit width is {}, supported are whole numbers from 1 to {}.", *bits, most));
  return static_cast<int>(*bits);
}

std::string rounding_mode(const OnnxNode& node, std::string fallback) {
  std::string mode = node.attrs.s("rounding_mode", std::move(fallback));
  std::transform(mode.begin(), mode.end(), mode.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return mode == "HALF_EVEN" ? "ROUND" : mode;
}

/// The integers of a bit width.
struct Integers {
  DType dtype;
  IntegerRange range;
};
Integers integers_of(int bits, bool is_signed, bool narrow) {
  int32_t top = int32_t{1} << (is_signed ? bits - 1 : bits);
  if (is_signed) return {bits <= 8 ? DType::i8 : DType::i16, {-top + (narrow ? 1 : 0), top - 1}};
  return {bits <= 8 ? DType::u8 : DType::u16, {0, top - (narrow ? 2 : 1)}};
}

/// x to the nearest point of the grid that is within the range.
Result<ValueId> on_grid(GraphBuilder& b, ValueId x, const Quant& quant, const IntegerRange& range) {
  Attrs attrs = quant_attrs(quant);
  IntegerRange whole = integer_range(quant.dtype);
  if (range.low > whole.low) attrs.set("low", int64_t{range.low});
  if (range.high < whole.high) attrs.set("high", int64_t{range.high});
  Result<ValueId> y = b.add(ops::quantize, {x}, std::move(attrs));
  return y ? b.add(ops::dequantize, {*y}, quant_attrs(quant)) : y;
}

/// Grids that a Quant cannot say: (round(clip(x / scale + zero)) - zero) * scale in float.
Result<ValueId> spelled_quant(GraphBuilder& b, ValueId x, ValueId scale, ValueId zero, const IntegerRange& range) {
  Result<ValueId> y = b.add(ops::div, {x, scale});
  if (y) y = b.add(ops::add, {*y, zero});
  if (y) y = b.add(ops::clip, {*y}, {{"alpha", double(range.low)}, {"beta", double(range.high)}});
  if (y) y = b.add(ops::round, {*y});
  if (y) y = b.add(ops::sub, {*y, zero});
  return y ? b.add(ops::mul, {*y, scale}) : y;
}

/// Inputs: x, scale, zero point, bit width.
ImportResult import_quant(const OnnxNode& node, GraphBuilder& b) {
  Result<int> bits = bit_width(node, b, 3, 16);
  if (!bits) return std::move(bits).diagnostic();
  if (std::string mode = rounding_mode(node, "ROUND"); mode != "ROUND")
    return unsupported(fmt::format("'rounding_mode' {} is not supported, only ROUND is.", mode));
  bool is_signed = node.attrs.i("signed", 1) != 0;
  if (is_signed && *bits == 1) return unsupported("signed integers of 1 bit are not supported.", "use BipolarQuant.");
  Integers integers = integers_of(*bits, is_signed, node.attrs.i("narrow", 0) != 0);
  const Tensor *scale = b.constant(node.inputs[1]), *zero = b.constant(node.inputs[2]);
  std::optional<Quant> quant;
  if (scale && zero) quant = broadcast_grid(*scale, *zero, b.shape(node.inputs[0]), integers.dtype);
  Result<ValueId> x = cast(b, node.inputs[0], DType::f32);
  if (!x) return one(x);
  return one(quant ? on_grid(b, *x, *quant, integers.range) : spelled_quant(b, *x, node.inputs[1], node.inputs[2], integers.range));
}

/// Inputs: x, scale. scale where x >= 0, else -scale.
ImportResult import_bipolar_quant(const OnnxNode& node, GraphBuilder& b) {
  Result<const Tensor*> scale = constant_operand(node, b, 1, "the scale");
  if (!scale) return std::move(scale).diagnostic();
  const Tensor zero = Tensor::floats({}, {0});
  std::optional<Quant> quant = broadcast_grid(**scale, zero, b.shape(node.inputs[0]), DType::i8);
  if (!quant) return unsupported(fmt::format("the scale is {}, it must be above 0 and have one entry or one per index of an axis.", to_string((*scale)->type)));
  Result<ValueId> y = b.add(ops::sign, {node.inputs[0]});
  if (y) y = b.add(ops::mul, {*y, b.add_constant(scalar(DType::f32, 2))});
  if (y) y = b.add(ops::add, {*y, b.add_constant(scalar(DType::f32, 1))});
  if (y) y = b.add(ops::clip, {*y}, {{"alpha", -1.0}, {"beta", 1.0}});
  if (y) y = b.add(ops::mul, {*y, node.inputs[1]});
  return one(y ? on_grid(b, *y, *quant, {-1, 1}) : y);
}

/// What a Trunc node says: x lies on a grid of in_bits; its integers are divided by a power of two, rounded, and scaled again.
struct Truncation {
  double scale = 1, zero_point = 0, divisor = 1, out_scale = 1, out_zero_point = 0;
  Integers integers{DType::i8, {}};
};

/// Version 1, inputs x, scale, zero point, in and out bit width: scale and zero point stay. Its results are signed or not as x is.
Result<Truncation> truncation_by_bits(const OnnxNode& node, GraphBuilder& b, double scale, double zero) {
  Result<int> in = bit_width(node, b, 3, 32), out = bit_width(node, b, 4, 15);
  if (!in) return std::move(in).diagnostic();
  if (!out) return std::move(out).diagnostic();
  if (*out > *in) return bad_node(fmt::format("{} bits cannot be truncated to {}.", *in, *out));
  const TensorType& x = b.type(node.inputs[0]);
  bool is_unsigned = x.quant && is_unsigned_integer(x.quant->dtype);
  Integers integers = is_unsigned ? integers_of(*out, false, false) : integers_of(*out + 1, true, false);
  return Truncation{scale, zero, std::ldexp(1.0, *in - *out), scale, zero, integers};
}

/// Version 2, inputs x, scale, zero point, in bit width, out scale, out zero point, out bit width.
Result<Truncation> truncation_by_scale(const OnnxNode& node, GraphBuilder& b, double scale, double zero) {
  Result<int> bits = bit_width(node, b, 6, 16);
  if (!bits) return std::move(bits).diagnostic();
  Result<double> out_scale = constant_number(node, b, 4, "the output scale");
  if (!out_scale) return std::move(out_scale).diagnostic();
  double divisor = std::exp2(std::nearbyint(std::log2(*out_scale / scale)));
  return Truncation{scale, zero, divisor, *out_scale, zero / divisor, integers_of(*bits, node.attrs.i("signed", 1) != 0, node.attrs.i("narrow", 0) != 0)};
}

ImportResult import_trunc(const OnnxNode& node, GraphBuilder& b) {
  Result<double> scale = constant_number(node, b, 1, "the scale"), zero = constant_number(node, b, 2, "the zero point");
  if (!scale) return std::move(scale).diagnostic();
  if (!zero) return std::move(zero).diagnostic();
  if (!(*scale > 0)) return bad_node(fmt::format("the scale is {}, it must be above 0.", *scale));
  if (node.inputs.size() != 5 && node.inputs.size() != 7) return bad_node(fmt::format("Trunc has 5 or 7 inputs, the node has {}.", node.inputs.size()));
  Result<Truncation> t = node.inputs.size() == 5 ? truncation_by_bits(node, b, *scale, *zero) : truncation_by_scale(node, b, *scale, *zero);
  if (!t) return std::move(t).diagnostic();
  std::string mode = rounding_mode(node, "FLOOR");
  const OpDef* rounding = mode == "FLOOR" ? &ops::floor : mode == "CEIL" ? &ops::ceil : mode == "ROUND" ? &ops::round : nullptr;
  if (!rounding) return unsupported(fmt::format("'rounding_mode' {} is not supported, only FLOOR, CEIL and ROUND are.", mode));
  std::optional<Quant> quant = broadcast_grid(Tensor::floats({}, {static_cast<float>(t->out_scale)}),
                                                Tensor::floats({}, {static_cast<float>(t->out_zero_point)}), {}, t->integers.dtype);
  if (!quant) return unsupported(fmt::format("the output scale is {} and its zero point {}, which is no grid of {}.", t->out_scale, t->out_zero_point,
                                             dtype_name(t->integers.dtype)));
  auto number = [&](double v) { return b.add_constant(scalar(DType::f32, v)); };
  Result<ValueId> y = b.add(ops::div, {node.inputs[0], number(t->scale)});
  if (y) y = b.add(ops::add, {*y, number(t->zero_point)});
  if (y) y = b.add(ops::round, {*y});
  if (y) y = b.add(ops::mul, {*y, number(1 / t->divisor)});
  if (y) y = b.add(*rounding, {*y});
  if (y) y = b.add(ops::sub, {*y, number(t->out_zero_point)});
  if (y) y = b.add(ops::mul, {*y, number(t->out_scale)});
  return one(y ? on_grid(b, *y, *quant, t->integers.range) : y);
}

constexpr AttrSpec kQuantAttrs[] = {{"signed", AttrKind::integer}, {"narrow", AttrKind::integer}, {"rounding_mode", AttrKind::string}};

constexpr OpDef qonnx_op(std::string_view type, std::span<const AttrSpec> attrs, size_t min_inputs, size_t max_inputs, std::string_view summary,
                         ImportResult (*import)(const OnnxNode&, GraphBuilder&)) {
  OpDef op;
  op.summary = summary;
  op.onnx = {.type = type, .domain = "qonnx.custom_op.general", .attrs = attrs, .min_inputs = min_inputs, .max_inputs = max_inputs};
  op.import = import;
  return op;
}

}  // namespace

namespace ops {
const OpDef qonnx_quant = qonnx_op("Quant", kQuantAttrs, 4, 4, "the nearest point of a grid of some bits", import_quant);
const OpDef qonnx_int_quant = qonnx_op("IntQuant", kQuantAttrs, 4, 4, "the nearest point of a grid of some bits", import_quant);
const OpDef qonnx_bipolar_quant = qonnx_op("BipolarQuant", {}, 2, 2, "scale or -scale", import_bipolar_quant);
const OpDef qonnx_trunc = qonnx_op("Trunc", kQuantAttrs, 5, 7, "drops low bits of integers on a grid", import_trunc);
}  // namespace ops

}  // namespace kiln
