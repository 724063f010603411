// SPDX-License-Identifier: Apache-2.0
// Positions of extremes along one axis (attribute "axis", not negative in core form; the axis keeps size 1), and Hardmax.
#include <numeric>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"
#include "nn/ref/arg_reduce.h"

namespace kiln {
namespace {

InferResult infer_arg(const OpArgs& args) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  if (Status s = check_dtype(args, x.dtype, kNumbers); !s) return std::move(s).diagnostic();
  int64_t axis = args.attrs.i("axis", -1);
  if (axis < 0 || axis >= x.rank()) return bad_node(fmt::format("axis {} is outside {}.", axis, to_string(x)));
  Shape shape = x.shape;
  if (shape[static_cast<size_t>(axis)] == 0) return bad_node(fmt::format("axis {} of {} is empty and has no extreme.", axis, to_string(x)));
  shape[static_cast<size_t>(axis)] = 1;
  return std::vector<TensorType>{{DType::i64, std::move(shape), {}}};
}

ArgReduce arg_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  auto axis = static_cast<size_t>(args.attrs.i("axis"));
  return {static_cast<int32_t>(product(x, 0, axis)), static_cast<int32_t>(x[axis]), static_cast<int32_t>(product(x, axis + 1, x.size()))};
}

/// Which of two elements wins, by the operator and the attribute "last": of equal ones the last.
std::string_view comparison(const OpDef& op, const Attrs& attrs) {
  const bool last = attrs.i("last") != 0;
  if (&op == &ops::arg_max) return last ? "greater_equal" : "greater";
  return last ? "less_equal" : "less";
}

EvalResult eval_arg(const OpArgs& args) {
  return with_type_of<kNumbers>(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    auto run = [&]<class F>(F) { nn::ref::arg_reduce<F>(arg_descriptor(args), args.constant(0)->as<T>().data(), y.as<int64_t>().data()); };
    const std::string_view name = comparison(args.op, args.attrs);
    if (name == "greater") run(nn::fn::greater{});
    else if (name == "greater_equal") run(nn::fn::greater_equal{});
    else if (name == "less") run(nn::fn::less{});
    else run(nn::fn::less_equal{});
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_arg(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "arg_reduce";
  call.functors = {std::string(comparison(*node.op, node.attrs))};
  call.descriptor = arg_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), std::string(node.op->name));
  return Done{};
}

bool permute_arg(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  permute_axis(attrs, "axis", perm);
  return true;
}

ImportResult import_arg(const OnnxNode& node, GraphBuilder& b) {
  Shape shape = b.shape(node.inputs[0]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis"), static_cast<int64_t>(shape.size()));
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis"), shape.size(), to_string(shape)));
  Result<ValueId> y = b.add(*op_table().find_onnx(node.domain, node.type), {node.inputs[0]}, {{"axis", *axis}, {"last", node.attrs.i("select_last_index")}});
  if (!y || node.attrs.i("keepdims", 1) != 0) return one(std::move(y));
  shape.erase(shape.begin() + *axis);
  return one(reshape(b, *y, shape));
}

/// 1 at the first maximum, 0 elsewhere. Up to opset 12 all dimensions from the axis on (default 1) count as one.
ImportResult import_hardmax(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  const bool flatten = node.opset < 13;
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", flatten ? 1 : -1), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", node.attrs.i("axis", flatten ? 1 : -1), x.rank(), to_string(x)));
  const auto split = static_cast<size_t>(*axis);
  const Shape shape = flatten ? Shape{product(x.shape, 0, split), product(x.shape, split, x.shape.size())} : x.shape;
  const size_t along = flatten ? 1 : split;
  Result<ValueId> rows = reshape(b, node.inputs[0], shape);
  Result<ValueId> top = rows ? b.add(ops::arg_max, {*rows}, {{"axis", static_cast<int64_t>(along)}}) : rows;
  if (!top) return std::move(top).diagnostic();
  std::vector<int64_t> numbers(static_cast<size_t>(shape[along]));
  std::iota(numbers.begin(), numbers.end(), 0);
  Shape across(shape.size(), 1);
  across[along] = shape[along];
  Result<ValueId> hit = b.add(ops::equal, {*top, b.add_constant(Tensor::of<int64_t>(across, numbers))});
  if (!hit) return std::move(hit).diagnostic();
  Result<ValueId> y = b.add(ops::where, {*hit, b.add_constant(scalar(x.dtype, 1)), b.add_constant(scalar(x.dtype, 0))});
  return one(y ? reshape(b, *y, x.shape) : std::move(y));
}

constexpr AttrSpec kArgAttrs[] = {{"axis", AttrKind::integer}, {"keepdims", AttrKind::integer}, {"select_last_index", AttrKind::integer}};
constexpr AttrSpec kHardmaxAttrs[] = {{"axis", AttrKind::integer}};

constexpr OpDef arg_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx = {.type = onnx_type, .attrs = kArgAttrs, .max_inputs = 1};
  op.infer = infer_arg;
  op.import = import_arg;
  op.eval = eval_arg;
  op.lower = lower_arg;
  op.permute = permute_arg;
  return op;
}

}  // namespace

namespace ops {
const OpDef arg_max = arg_op("arg_max", "ArgMax", "where the largest element along an axis is");
const OpDef arg_min = arg_op("arg_min", "ArgMin", "where the smallest element along an axis is");
const OpDef hardmax = {
    .summary = "1 at the largest element along an axis, 0 elsewhere",
    .onnx = {.type = "Hardmax", .attrs = kHardmaxAttrs, .max_inputs = 1},
    .import = import_hardmax,
};
}  // namespace ops

}  // namespace kiln
