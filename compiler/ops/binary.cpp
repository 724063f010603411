// SPDX-License-Identifier: Apache-2.0
// Elementwise functions of two operands with NumPy broadcasting: comparisons, logic and bits. Arithmetic: arithmetic.cpp.
#include "compiler/ops/elementwise.h"

namespace kiln {
namespace {

constexpr TypeSet kAll = kNumbers | kBooleans;

template <class F, TypeSet kTypes>
constexpr OpDef comparison(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  return binary_op<F, kTypes, ResultType::boolean>(name, onnx_type, summary);
}

/// The functor of a logical operator is that of the bits: booleans are stored as 0 and 1.
template <class F>
constexpr OpDef logical_op(std::string_view name, std::string_view functor, std::string_view onnx_type, std::string_view summary) {
  OpDef op = binary_op<F, kBooleans>(name, onnx_type, summary);
  op.functor = functor;
  return op;
}

constexpr AttrSpec kBitShiftAttrs[] = {{"direction", AttrKind::string}};

ImportResult import_bit_shift(const OnnxNode& node, GraphBuilder& b) {
  const std::string direction = node.attrs.s("direction");
  if (direction != "LEFT" && direction != "RIGHT")
    return bad_node(fmt::format("attribute 'direction' is '{}', it must be 'LEFT' or 'RIGHT'.", direction));
  return one(b.add(direction == "LEFT" ? ops::shift_left : ops::shift_right, node.inputs));
}

constexpr OpDef bit_shift_import() {
  OpDef op;
  op.summary = "shift of unsigned integers by an operand";
  op.onnx = {.type = "BitShift", .attrs = kBitShiftAttrs, .since = 11, .min_inputs = 2, .max_inputs = 2};
  op.import = import_bit_shift;
  return op;
}

}  // namespace

namespace ops {
const OpDef equal = comparison<nn::fn::equal, kAll>("equal", "Equal", "a == b");
const OpDef less = comparison<nn::fn::less, kNumbers>("less", "Less", "a < b");
const OpDef less_equal = comparison<nn::fn::less_equal, kNumbers>("less_equal", "LessOrEqual", "a <= b");
const OpDef greater = comparison<nn::fn::greater, kNumbers>("greater", "Greater", "a > b");
const OpDef greater_equal = comparison<nn::fn::greater_equal, kNumbers>("greater_equal", "GreaterOrEqual", "a >= b");

const OpDef logical_and = logical_op<nn::fn::bitwise_and>("and", "bitwise_and", "And", "a and b");
const OpDef logical_or = logical_op<nn::fn::bitwise_or>("or", "bitwise_or", "Or", "a or b");
const OpDef logical_xor = logical_op<nn::fn::bitwise_xor>("xor", "bitwise_xor", "Xor", "a or b but not both");

const OpDef bitwise_and = binary_op<nn::fn::bitwise_and, kIntegers>("bitwise_and", "BitwiseAnd", "the bits of both");
const OpDef bitwise_or = binary_op<nn::fn::bitwise_or, kIntegers>("bitwise_or", "BitwiseOr", "the bits of either");
const OpDef bitwise_xor = binary_op<nn::fn::bitwise_xor, kIntegers>("bitwise_xor", "BitwiseXor", "the bits that differ");
const OpDef shift_left = binary_op<nn::fn::shift_left, kUnsignedIntegers>("shift_left", "", "a << b");
const OpDef shift_right = binary_op<nn::fn::shift_right, kUnsignedIntegers>("shift_right", "", "a >> b");
const OpDef bit_shift = bit_shift_import();
}  // namespace ops

}  // namespace kiln
