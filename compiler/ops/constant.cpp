// SPDX-License-Identifier: Apache-2.0
// ONNX Constant: the tensor of its one attribute. Sparse and string constants are not supported, as
// no such tensors are.
#include "compiler/ops/op_util.h"

namespace kiln {
namespace {

constexpr AttrSpec kConstantAttrs[] = {
    {"value", AttrKind::tensor},        {"value_float", AttrKind::real},
    {"value_floats", AttrKind::reals},  {"value_int", AttrKind::integer},
    {"value_ints", AttrKind::integers},
};

Result<Tensor> tensor_of(const Attr& value) {
  if (const auto* tensor = std::get_if<Tensor>(&value)) return *tensor;
  if (const auto* number = std::get_if<double>(&value))
    return Tensor::floats({}, {static_cast<float>(*number)});
  if (const auto* number = std::get_if<int64_t>(&value))
    return Tensor::int64s({*number}).reshaped({});
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value))
    return Tensor::int64s(*numbers);
  if (const auto* numbers = std::get_if<std::vector<double>>(&value))
    return Tensor::floats({static_cast<int64_t>(numbers->size())},
                          std::vector<float>(numbers->begin(), numbers->end()));
  return unsupported("the constant is no tensor of numbers.");
}

ImportResult import_constant(const OnnxNode& node, GraphBuilder& b) {
  if (node.attrs.all().size() != 1)
    return bad_node(
        fmt::format("Constant has {} attributes, it needs exactly one.", node.attrs.all().size()));
  Result<Tensor> tensor = tensor_of(node.attrs.all().begin()->second);
  if (!tensor) return std::move(tensor).diagnostic();
  return std::vector<ValueId>{b.add_constant(std::move(*tensor))};
}

}  // namespace

namespace ops {
const OpDef constant = {
    .summary = "a tensor in the model",
    .onnx = {.type = "Constant", .attrs = kConstantAttrs, .min_inputs = 0, .max_inputs = 0},
    .import = import_constant,
};
}  // namespace ops

}  // namespace kiln
