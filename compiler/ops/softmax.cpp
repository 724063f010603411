// SPDX-License-Identifier: Apache-2.0
// Softmax and LogSoftmax along one axis (attribute "axis", not negative in core form).
#include "compiler/ops/quantization.h"
#include "nn/math_f64.h"
#include "nn/ref/qsoftmax.h"
#include "nn/ref/softmax.h"

namespace kiln {
namespace {

InferResult infer_softmax(const OpArgs& args) {
  if (!args.has(0)) return bad_node("the input is missing.");
  if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  int64_t axis = args.attrs.i("axis", -1);
  if (axis < 0 || axis >= args.in(0).rank()) return bad_node(fmt::format("axis {} is outside {}.", axis, to_string(args.in(0))));
  return std::vector<TensorType>{{args.in(0).dtype, args.in(0).shape, {}}};
}

Softmax softmax_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  auto axis = static_cast<size_t>(args.attrs.i("axis"));
  return {static_cast<int32_t>(product(x, 0, axis)), static_cast<int32_t>(x[axis]), static_cast<int32_t>(product(x, axis + 1, x.size()))};
}

EvalResult eval_softmax(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    const T* x = args.constant(0)->as<T>().data();
    if (&args.op == &ops::softmax) nn::ref::softmax(softmax_descriptor(args), x, y.as<T>().data());
    else nn::ref::log_softmax(softmax_descriptor(args), x, y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_softmax(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = std::string(node.op->name);
  call.descriptor = softmax_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

bool permute_softmax(const OpArgs&, std::span<const int64_t> perm, Attrs& attrs) {
  permute_axis(attrs, "axis", perm);
  return true;
}

// ---- qsoftmax: attributes axis, x_scale, and the result's grid (quantization.h); x is of 8 bits

InferResult infer_qsoftmax(const OpArgs& args) {
  if (!args.has(0)) return bad_node("the input is missing.");
  if (element_bytes(args.in(0).dtype) != 1 || !is_integer(args.in(0).dtype))
    return bad_node(fmt::format("the input is {}, it must be of 8-bit integers.", to_string(args.in(0))));
  int64_t axis = args.attrs.i("axis", -1);
  if (axis < 0 || axis >= args.in(0).rank()) return bad_node(fmt::format("axis {} is outside {}.", axis, to_string(args.in(0))));
  Result<TensorType> type = quantized_result(args.attrs, args.in(0).shape);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QSoftmax qsoftmax_descriptor(const OpArgs& args) {
  Softmax s = softmax_descriptor(args);
  QSoftmax d{s.outer, s.axis_dim, s.inner, 0, 0, 0, 0};
  describe_result(d, args);
  d.y_scale = args.outputs[0]->quant->scale[0];
  return d;
}

/// exp(-k * x_scale) for the distance k from the largest element.
Tensor exponentials(const Attrs& attrs) {
  Tensor table(TensorType{DType::f32, {256}, {}});
  auto scale = static_cast<float>(attrs.f("x_scale", 1));
  for (size_t k = 0; k < 256; ++k) table.as<float>()[k] = nn::exp(-static_cast<float>(k) * scale);
  return table;
}

EvalResult eval_qsoftmax(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  const Tensor table = exponentials(args.attrs);
  auto run = [&]<class X>(const X* x) {
    with_grid_type(y.type.dtype, [&]<class Y>() { nn::ref::qsoftmax(qsoftmax_descriptor(args), x, table.as<float>().data(), y.as<Y>().data()); });
  };
  if (is_signed_integer(args.in(0).dtype)) run(args.constant(0)->as<int8_t>().data());
  else run(args.constant(0)->as<uint8_t>().data());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_qsoftmax(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "qsoftmax";
  call.descriptor = qsoftmax_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.constant(exponentials(node.attrs), lowering.program().tensor(lowering.tensor(node.outputs[0])).name + "_exp")};
  call.outputs = {lowering.tensor(node.outputs[0])};
  if (element_bytes(args.outputs[0]->dtype) == 1) call.in_place = {0};
  lowering.call(node, std::move(call), "softmax");
  return Done{};
}

/// Up to opset 12 all dimensions from the axis on (default 1) count as one; from 13 on the axis (default -1) is alone.
ImportResult import_softmax(const OnnxNode& node, GraphBuilder& b) {
  const Shape x = b.shape(node.inputs[0]);
  auto rank = static_cast<int64_t>(x.size());
  bool flatten = node.opset < 13;
  int64_t given = node.attrs.i("axis", flatten ? 1 : -1);
  std::optional<int64_t> axis = normalize_axis(given, rank);
  if (flatten && given == rank) axis = rank;
  if (!axis) return bad_node(fmt::format("axis {} is outside the {} dimensions of {}.", given, rank, to_string(x)));
  const OpDef& op = node.type == "Softmax" ? ops::softmax : ops::log_softmax;
  if (!flatten || *axis == rank - 1) return one(b.add(op, {node.inputs[0]}, {{"axis", *axis}}));
  auto split = static_cast<size_t>(*axis);
  Result<ValueId> matrix = reshape(b, node.inputs[0], {product(x, 0, split), product(x, split, x.size())});
  if (!matrix) return std::move(matrix).diagnostic();
  Result<ValueId> y = b.add(op, {*matrix}, {{"axis", int64_t{1}}});
  if (!y) return std::move(y).diagnostic();
  return one(reshape(b, *y, x));
}

constexpr AttrSpec kSoftmaxAttrs[] = {{"axis", AttrKind::integer}};

constexpr OpDef softmax_op(std::string_view name, std::string_view onnx_type, std::string_view summary) {
  OpDef op;
  op.name = name;
  op.summary = summary;
  op.onnx = {.type = onnx_type, .attrs = kSoftmaxAttrs, .max_inputs = 1};
  op.infer = infer_softmax;
  op.import = import_softmax;
  op.eval = eval_softmax;
  op.lower = lower_softmax;
  op.permute = permute_softmax;
  return op;
}

}  // namespace

namespace ops {
const OpDef softmax = softmax_op("softmax", "Softmax", "exp(x) / sum of exp(x) along an axis");
const OpDef qsoftmax = {
    .name = "qsoftmax",
    .summary = "softmax of integers along an axis",
    .infer = infer_qsoftmax,
    .eval = eval_qsoftmax,
    .lower = lower_qsoftmax,
    .permute = permute_softmax,
};
const OpDef log_softmax = softmax_op("log_softmax", "LogSoftmax", "logarithm of softmax along an axis");
}  // namespace ops

}  // namespace kiln
