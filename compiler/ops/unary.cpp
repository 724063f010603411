// SPDX-License-Identifier: Apache-2.0
// Elementwise functions of one operand, other than activations.
#include "compiler/ops/elementwise.h"

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
}  // namespace ops

}  // namespace kiln
