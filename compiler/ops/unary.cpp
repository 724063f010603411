// SPDX-License-Identifier: Apache-2.0
// Elementwise functions of one operand, other than activations.
#include "compiler/ops/elementwise.h"
#include "nn/functors_math.h"
#include "nn/math_f64.h"

namespace kiln {
namespace {

constexpr AttrSpec kIsInfAttrs[] = {{"detect_negative", AttrKind::integer}, {"detect_positive", AttrKind::integer}};

ImportResult import_is_inf(const OnnxNode& node, GraphBuilder& b) {
  const auto flag = [&](const char* name) { return Attr{node.attrs.i(name, 1) != 0 ? 1.0 : 0.0}; };
  return one(b.add(ops::is_inf, node.inputs, {{"alpha", flag("detect_negative")}, {"beta", flag("detect_positive")}}));
}

constexpr OpDef is_inf_op() {
  OpDef op = unary_op<nn::fn::is_inf, kFloats, ResultType::boolean>("is_inf", "IsInf", "whether x is minus (alpha) or plus (beta) infinity");
  op.onnx.attrs = kIsInfAttrs;
  op.import = import_is_inf;
  return op;
}

constexpr OpDef not_op() {
  OpDef op = unary_op<nn::fn::logical_not, kBooleans>("not", "Not", "not x");
  op.functor = "logical_not";
  return op;
}

}  // namespace

namespace ops {
const OpDef neg = unary_op<nn::fn::neg, kSignedNumbers>("neg", "Neg", "-x");
const OpDef sign = unary_op<nn::fn::sign, kNumbers>("sign", "Sign", "-1, 0 or 1");
const OpDef reciprocal = unary_op<nn::fn::reciprocal>("reciprocal", "Reciprocal", "1 / x");
const OpDef bitwise_not = unary_op<nn::fn::bitwise_not, kIntegers>("bitwise_not", "BitwiseNot", "all bits inverted");
const OpDef logical_not = not_op();
const OpDef is_nan = unary_op<nn::fn::is_nan, kFloats, ResultType::boolean>("is_nan", "IsNaN", "whether x is not a number");
const OpDef is_inf = is_inf_op();

const OpDef abs = unary_op<nn::fn::abs, kNumbers>("abs", "Abs", "|x|");
const OpDef sqrt = unary_op<nn::fn::sqrt>("sqrt", "Sqrt", "square root");
const OpDef floor = unary_op<nn::fn::floor>("floor", "Floor", "the greatest integer not above x");
const OpDef ceil = unary_op<nn::fn::ceil>("ceil", "Ceil", "the least integer not below x");
const OpDef round = unary_op<nn::fn::round>("round", "Round", "the nearest integer, ties to even");
const OpDef exp = unary_op<nn::fn::exp>("exp", "Exp", "e^x");
const OpDef log = unary_op<nn::fn::log>("log", "Log", "natural logarithm");
const OpDef erf = unary_op<nn::fn::erf>("erf", "Erf", "error function");
const OpDef sin = unary_op<nn::fn::sin>("sin", "Sin", "sine");
const OpDef cos = unary_op<nn::fn::cos>("cos", "Cos", "cosine");
const OpDef tan = unary_op<nn::fn::tan>("tan", "Tan", "tangent");
const OpDef asin = unary_op<nn::fn::asin>("asin", "Asin", "arc sine");
const OpDef acos = unary_op<nn::fn::acos>("acos", "Acos", "arc cosine");
const OpDef atan = unary_op<nn::fn::atan>("atan", "Atan", "arc tangent");
const OpDef sinh = unary_op<nn::fn::sinh>("sinh", "Sinh", "hyperbolic sine");
const OpDef cosh = unary_op<nn::fn::cosh>("cosh", "Cosh", "hyperbolic cosine");
const OpDef asinh = unary_op<nn::fn::asinh>("asinh", "Asinh", "inverse hyperbolic sine");
const OpDef acosh = unary_op<nn::fn::acosh>("acosh", "Acosh", "inverse hyperbolic cosine");
const OpDef atanh = unary_op<nn::fn::atanh>("atanh", "Atanh", "inverse hyperbolic tangent");
}  // namespace ops

}  // namespace kiln
