// SPDX-License-Identifier: Apache-2.0
// Running sums and products along one axis: attributes "axis" (not negative in core form), "exclusive", "reverse".
#include "compiler/ops/elementwise.h"
#include "nn/ref/cumulative.h"

namespace kiln {
namespace {

InferResult infer_cumulative(const OpArgs& args) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  if (Status s = check_dtype(args, x.dtype, kNumbers); !s) return std::move(s).diagnostic();
  int64_t axis = args.attrs.i("axis", -1);
  if (axis < 0 || axis >= x.rank()) return bad_node(fmt::format("axis {} is outside {}.", axis, to_string(x)));
  return std::vector<TensorType>{{x.dtype, x.shape, {}}};
}

Cumulative cumulative_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  auto axis = static_cast<size_t>(args.attrs.i("axis"));
  return {static_cast<int32_t>(product(x, 0, axis)), static_cast<int32_t>(x[axis]), static_cast<int32_t>(product(x, axis + 1, x.size())),
          args.attrs.i("exclusive") != 0 ? 1 : 0, args.attrs.i("reverse") != 0 ? 1 : 0};
}

template <class F>
EvalResult eval_cumulative(const OpArgs& args) {
  return with_type_of<kNumbers>(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::cumulative<F>(cumulative_descriptor(args), args.constant(0)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_cumulative(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "cumulative";
  call.functors = {node.op == &ops::cumulative_sum ? "reduce_sum" : "reduce_prod"};
  call.descriptor = cumulative_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

bool permute_cumulative(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  permute_axis(attrs, "axis", perm);
  return true;
}

ImportResult import_cumulative(const OnnxNode& node, GraphBuilder& b) {
  Result<std::vector<int64_t>> given = constant_ints(node, b, 1, "axis");
  if (!given) return std::move(given).diagnostic();
  const TensorType& x = b.type(node.inputs[0]);
  std::optional<int64_t> axis = given->size() == 1 ? normalize_axis(given->front(), x.rank()) : std::nullopt;
  if (!axis) return bad_node(fmt::format("axis {} is not one of the {} dimensions of {}.", to_string(*given), x.rank(), to_string(x)));
  const OpDef& op = node.type == "CumSum" ? ops::cumulative_sum : ops::cumulative_prod;
  return one(b.add(op, {node.inputs[0]}, {{"axis", *axis}, {"exclusive", node.attrs.i("exclusive")}, {"reverse", node.attrs.i("reverse")}}));
}

constexpr AttrSpec kCumulativeAttrs[] = {{"exclusive", AttrKind::integer}, {"reverse", AttrKind::integer}};

template <class F>
constexpr OpDef cumulative_op(std::string_view name, std::string_view onnx_type, int64_t since, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx = {.type = onnx_type, .attrs = kCumulativeAttrs, .since = since, .min_inputs = 2, .max_inputs = 2};
  op.infer = infer_cumulative;
  op.import = import_cumulative;
  op.eval = eval_cumulative<F>;
  op.lower = lower_cumulative;
  op.permute = permute_cumulative;
  return op;
}

}  // namespace

namespace ops {
const OpDef cumulative_sum = cumulative_op<nn::fn::reduce_sum>("cumulative_sum", "CumSum", 11, "running sums along an axis, which must be constant");
const OpDef cumulative_prod = cumulative_op<nn::fn::reduce_prod>("cumulative_prod", "CumProd", 26, "running products along an axis, which must be constant");
}  // namespace ops

}  // namespace kiln
