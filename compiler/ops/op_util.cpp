// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/op_util.h"

#include <limits>

#include "compiler/ops/ops.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {

ImportResult one(Result<ValueId> value) {
  if (!value) return std::move(value).diagnostic();
  return std::vector<ValueId>{*value};
}

Result<std::vector<int64_t>> constant_ints(const OnnxNode& node, GraphBuilder& b, size_t input, std::string_view what) {
  if (!node.has(input)) return bad_node(fmt::format("input '{}' is missing.", what));
  const Tensor* tensor = b.constant(node.inputs[input]);
  if (!tensor)
    return run_time_value(fmt::format("input '{}'", what), b.graph(), node.inputs[input]);
  std::optional<std::vector<int64_t>> values = tensor->to_int64s();
  if (!values || tensor->type.rank() > 1)
    return bad_node(fmt::format("input '{}' is {}, it must be a list of integers.", what, to_string(tensor->type)));
  return std::move(*values);
}

Result<std::vector<int64_t>> normalized_axes(std::vector<int64_t> axes, int64_t rank) {
  for (size_t i = 0; i < axes.size(); ++i) {
    std::optional<int64_t> axis = normalize_axis(axes[i], rank);
    if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions.", axes[i], rank));
    axes[i] = *axis;
    for (size_t k = 0; k < i; ++k)
      if (axes[k] == *axis) return bad_node(fmt::format("axis {} is given twice.", *axis));
  }
  return axes;
}

Status check_floats(const OpArgs& args) {
  for (const TensorType* type : args.inputs) {
    if (!type) continue;
    if (type->dtype != DType::f32 && type->dtype != DType::f64)
      return error(DiagId::unsupported_type, fmt::format("'{}' of {} is not supported, only of f32 and f64.", args.op.name, dtype_name(type->dtype)));
    if (type->dtype != args.in(0).dtype)
      return bad_node(fmt::format("operands are {} and {}, they must have one type.", dtype_name(args.in(0).dtype), dtype_name(type->dtype)));
  }
  return Done{};
}

TensorId bias_or_zeros(const Node& node, size_t input, int64_t count, Lowering& lowering) {
  if (input < node.inputs.size() && node.inputs[input] != kNoValue) return lowering.tensor(node.inputs[input]);
  DType dtype = lowering.graph().type(node.inputs[0]).dtype;
  return lowering.constant(Tensor({dtype, {count}, {}}), lowering.graph().value(node.outputs[0]).name + "_zeros");
}

void permute_axis(Attrs& attrs, std::string_view name, std::span<const int64_t> perm) {
  std::optional<int64_t> axis = normalize_axis(attrs.i(name), static_cast<int64_t>(perm.size()));
  attrs.set(std::string(name), inverse_permutation(perm)[static_cast<size_t>(*axis)]);  // infer has checked the axis
}

void permute_entries(Attrs& attrs, std::string_view name, std::span<const int64_t> perm) {
  attrs.set(std::string(name), permute(attrs.ints(name), perm));
}

Activation activation_of(const Attrs& attrs) {
  return {attrs.s("act", "none"), static_cast<float>(attrs.f("alpha")), static_cast<float>(attrs.f("beta"))};
}

EvalResult with_activation(const OpArgs& args, Tensor y) {
  const std::string functor = args.attrs.s("act", "none");
  if (functor == "none") return std::vector<Tensor>{std::move(y)};
  for (const OpDef* op : op_table().all())
    if (op->is(kUnary) && op->functor == functor) return op->eval(OpArgs{*op, args.attrs, {&y.type}, {&y}, {&y.type}});
  return bad_node(fmt::format("'{}' is no activation.", functor));
}

Result<ValueId> fused_activation(const OnnxNode& node, GraphBuilder& b, ValueId y, const std::vector<double>& parameters) {
  const std::string name = node.attrs.s("activation");
  if (name.empty()) return y;
  auto parameter = [&](size_t i, double otherwise) { return i < parameters.size() ? parameters[i] : otherwise; };
  if (name == "Relu") return b.add(ops::relu, {y});
  if (name == "Tanh") return b.add(ops::tanh, {y});
  if (name == "Sigmoid") return b.add(ops::sigmoid, {y});
  if (name == "LeakyRelu") return b.add(ops::leaky_relu, {y}, {{"alpha", parameter(0, 0.01f)}});
  if (name == "HardSigmoid") return b.add(ops::hard_sigmoid, {y}, {{"alpha", parameter(0, 0.2f)}, {"beta", parameter(1, 0.5)}});
  constexpr double kMost = std::numeric_limits<float>::max();
  if (name == "Clip") return b.add(ops::clip, {y}, {{"alpha", parameter(0, -kMost)}, {"beta", parameter(1, kMost)}});
  return unsupported(fmt::format("activation '{}' of {} is not supported.", name, node.type));
}

}  // namespace kiln
