// SPDX-License-Identifier: Apache-2.0
// Arithmetic of two operands with NumPy broadcasting. ONNX operators of any number of operands become chains of two.
#include "compiler/ops/elementwise.h"
#include "nn/functors_math.h"
#include "nn/math_f64.h"

namespace kiln {
namespace {

constexpr AttrSpec kModAttrs[] = {{"fmod", AttrKind::integer}};

/// Operand 0 combined with the others one after another; alone, it is the result.
Result<ValueId> chain(const OpDef& op, const OnnxNode& node, GraphBuilder& b) {
  ValueId y = node.inputs[0];
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (!node.has(i)) return bad_node(fmt::format("operand {} is missing.", i));
    Result<ValueId> next = b.add(op, {y, node.inputs[i]});
    if (!next) return next;
    y = *next;
  }
  return y;
}

template <const OpDef& kOp>
ImportResult import_chain(const OnnxNode& node, GraphBuilder& b) {
  return one(chain(kOp, node, b));
}

ImportResult import_mean(const OnnxNode& node, GraphBuilder& b) {
  Result<ValueId> sum = chain(ops::add, node, b);
  if (!sum || node.inputs.size() == 1) return one(std::move(sum));
  const ValueId count = b.add_constant(scalar(b.type(*sum).dtype, static_cast<double>(node.inputs.size())));
  return one(b.add(ops::div, {*sum, count}));
}

ImportResult import_mod(const OnnxNode& node, GraphBuilder& b) {
  const bool c_semantics = node.attrs.i("fmod") != 0;
  if (!is_float(b.type(node.inputs[0]).dtype)) return one(b.add(c_semantics ? ops::remainder : ops::modulo, node.inputs));
  if (!c_semantics) return bad_node("attribute 'fmod' must be 1 for floating-point operands.");
  return one(b.add(ops::fmod, node.inputs));
}

/// x to a power that needs no general pow, if it is one and keeps the shape of x; else nothing.
std::optional<Result<ValueId>> special_power(ValueId x, ValueId exponent, GraphBuilder& b) {
  const Tensor* constant = b.constant(exponent);
  const bool floating = is_float(b.type(x).dtype);
  if (!constant || constant->type.elements() != 1 || constant->type.rank() > b.type(x).rank()) return std::nullopt;
  const double power = constant->to_doubles()[0];
  if (power == 1) return x;
  if (power == 2) return b.add(ops::mul, {x, x});
  if (power == 3) {
    Result<ValueId> square = b.add(ops::mul, {x, x});
    return square ? b.add(ops::mul, {*square, x}) : square;
  }
  if (power == 0.5 && floating) return b.add(ops::sqrt, {x});
  if (power == -1 && floating) return b.add(ops::reciprocal, {x});
  return std::nullopt;
}

/// Base and exponent may differ in type; the result has that of the base. Integers to a floating-point power go through f64.
ImportResult import_pow(const OnnxNode& node, GraphBuilder& b) {
  const DType base = b.type(node.inputs[0]).dtype, power = b.type(node.inputs[1]).dtype;
  if (std::optional<Result<ValueId>> special = special_power(node.inputs[0], node.inputs[1], b)) return one(*std::move(special));
  const DType common = !is_float(base) && is_float(power) ? DType::f64 : base;
  Result<ValueId> x = cast(b, node.inputs[0], common), exponent = cast(b, node.inputs[1], common);
  if (!x) return one(std::move(x));
  if (!exponent) return one(std::move(exponent));
  Result<ValueId> y = b.add(ops::pow, {*x, *exponent});
  return one(y ? cast(b, *y, base) : y);
}

constexpr OpDef pow_op() {
  OpDef op = binary_op<nn::fn::pow>("pow", "Pow", "a to the power of b");
  op.import = import_pow;
  return op;
}

/// The slope's shape broadcasts to that of x, never the other way round.
InferResult infer_prelu(const OpArgs& args) {
  InferResult types = infer_binary<kNumbers, ResultType::same>(args);
  if (types && types->front().shape != args.in(0).shape)
    return bad_node(fmt::format("the slope's shape {} does not broadcast to shape {}.", to_string(args.in(1).shape),
                                to_string(args.in(0).shape)));
  return types;
}

constexpr OpDef prelu_op() {
  OpDef op = binary_op<nn::fn::prelu>("prelu", "PRelu", "x, below zero x times the slope");
  op.infer = infer_prelu;
  return op;
}

template <const OpDef& kOp, class F>
constexpr OpDef variadic_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op = binary_op<F>(name, onnx_type, summary);
  op.onnx.min_inputs = 1;
  op.onnx.max_inputs = 1000;
  op.import = import_chain<kOp>;
  return op;
}

constexpr OpDef importer(OnnxOp onnx, std::string_view summary, ImportResult (*import)(const OnnxNode&, GraphBuilder&)) {
  OpDef op;
  op.summary = summary;
  op.onnx = onnx;
  op.import = import;
  return op;
}

}  // namespace

namespace ops {
const OpDef add = binary_op<nn::fn::add>("add", "Add", "a + b");
const OpDef sub = binary_op<nn::fn::sub>("sub", "Sub", "a - b");
const OpDef mul = binary_op<nn::fn::mul>("mul", "Mul", "a * b");
const OpDef div = binary_op<nn::fn::div>("div", "Div", "a / b; integers round towards zero");
const OpDef max = variadic_op<max, nn::fn::max>("max", "Max", "the greatest of all operands");
const OpDef min = variadic_op<min, nn::fn::min>("min", "Min", "the least of all operands");
const OpDef pow = pow_op();
const OpDef prelu = prelu_op();
const OpDef modulo = binary_op<nn::fn::modulo, kIntegers>("modulo", "", "remainder with the sign of the divisor");
const OpDef remainder = binary_op<nn::fn::remainder, kIntegers>("remainder", "", "remainder with the sign of the dividend");
const OpDef fmod = binary_op<nn::fn::fmod, kFloats>("fmod", "", "remainder with the sign of the dividend");
const OpDef sum = importer({.type = "Sum", .attrs = {}}, "the sum of all operands", import_chain<add>);
const OpDef mean = importer({.type = "Mean", .attrs = {}}, "the mean of all operands", import_mean);
const OpDef mod = importer({.type = "Mod", .attrs = kModAttrs, .since = 10, .min_inputs = 2, .max_inputs = 2}, "a remainder", import_mod);
}  // namespace ops

}  // namespace kiln
