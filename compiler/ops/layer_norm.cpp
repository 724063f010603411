// SPDX-License-Identifier: Apache-2.0
// Layer normalization over the last dimension of x [...,K]: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, scale and bias
// [K], the variance that of the population. Core layer_norm computes on floats; qlayer_norm on integers, with attributes x_scale,
// x_zero_point and the result's grid (quantization.h).
#include "nn/ref/layer_norm.h"

#include "compiler/ops/quantization.h"

namespace kiln {
namespace {

Status check_layer_norm(const OpArgs& args) {
  for (size_t i = 0; i < 3; ++i)
    if (!args.has(i)) return bad_node(fmt::format("input {} is missing.", i));
  const TensorType& x = args.in(0);
  for (size_t i = 1; i < 3; ++i)
    if (x.shape.empty() || args.in(i).shape != Shape{x.shape.back()} || args.in(i).dtype != DType::f32)
      return bad_node(fmt::format("the input is {}, scale {} and bias {} do not fit its last dimension.", to_string(x), to_string(args.in(1)),
                                  to_string(args.in(2))));
  return Done{};
}

InferResult infer_layer_norm(const OpArgs& args) {
  if (Status s = check_layer_norm(args); !s) return std::move(s).diagnostic();
  if (args.in(0).dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("layer normalization of {} is not supported, only of f32.", dtype_name(args.in(0).dtype)));
  return std::vector<TensorType>{{DType::f32, args.in(0).shape, {}}};
}

InferResult infer_qlayer_norm(const OpArgs& args) {
  if (Status s = check_layer_norm(args); !s) return std::move(s).diagnostic();
  if (Status s = check_integers(args.in(0), "the input"); !s) return std::move(s).diagnostic();
  Result<TensorType> type = quantized_result(args.attrs, args.in(0).shape);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

template <class D>
D layer_norm_descriptor(const OpArgs& args) {
  D d;
  d.count = static_cast<int32_t>(args.in(0).shape.back());
  d.rows = static_cast<int32_t>(args.in(0).elements() / std::max<int64_t>(d.count, 1));
  d.epsilon = static_cast<float>(args.attrs.f("epsilon", 1e-5f));
  return d;
}

QLayerNorm qlayer_norm_descriptor(const OpArgs& args) {
  auto d = layer_norm_descriptor<QLayerNorm>(args);
  describe_result(d, args);
  d.x_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  d.x_scale = static_cast<float>(args.attrs.f("x_scale", 1));
  d.y_scale = args.outputs[0]->quant->scale[0];
  return d;
}

EvalResult eval_layer_norm(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  nn::ref::layer_norm(layer_norm_descriptor<LayerNorm>(args), args.constant(0)->as<float>().data(), args.constant(1)->as<float>().data(),
                      args.constant(2)->as<float>().data(), y.as<float>().data());
  return std::vector<Tensor>{std::move(y)};
}

EvalResult eval_qlayer_norm(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  with_grid_type(args.in(0).dtype, [&]<class X>() {
    with_grid_type(y.type.dtype, [&]<class Y>() {
      nn::ref::qlayer_norm(qlayer_norm_descriptor(args), args.constant(0)->as<X>().data(), args.constant(1)->as<float>().data(),
                           args.constant(2)->as<float>().data(), y.as<Y>().data());
    });
  });
  return std::vector<Tensor>{std::move(y)};
}

Status lower_layer_norm(const Graph& graph, const Node& node, Lowering& lowering) {
  OpArgs args = graph.args(graph.value(node.outputs[0]).producer);
  KernelCall call;
  call.family = std::string(node.op->name);
  if (node.op == &ops::layer_norm) call.descriptor = layer_norm_descriptor<LayerNorm>(args);
  else call.descriptor = qlayer_norm_descriptor(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  if (element_bytes(args.in(0).dtype) == element_bytes(args.outputs[0]->dtype)) call.in_place = {0};
  lowering.call(node, std::move(call), "layer_norm");
  return Done{};
}

/// A scale or bias of the normalized dimensions as one row.
Result<ValueId> as_row(GraphBuilder& b, ValueId v, const Shape& normalized, std::string_view what) {
  if (b.shape(v) != normalized)
    return unsupported(fmt::format("{} is {}, only the shape of the normalized dimensions, {}, is supported.", what, to_string(b.type(v)),
                                   to_string(std::span<const int64_t>(normalized))));
  return reshape(b, v, {element_count(normalized)});
}

/// The dimensions from "axis" on are normalized together; outputs Mean and InvStdDev are not supported. ONNX Runtime takes the
/// operator in older opsets as well.
ImportResult import_layer_norm(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", -1), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside {}.", node.attrs.i("axis", -1), to_string(x)));
  for (size_t i = 1; i < node.output_used.size(); ++i)
    if (node.output_used[i]) return unsupported(fmt::format("output {} of LayerNormalization is not supported.", i));
  Shape normalized(x.shape.begin() + *axis, x.shape.end());
  int64_t count = element_count(normalized);
  Result<ValueId> rows = reshape(b, node.inputs[0], {x.elements() / std::max<int64_t>(count, 1), count});
  Result<ValueId> scale = as_row(b, node.inputs[1], normalized, "the scale");
  Result<ValueId> bias = node.has(2) ? as_row(b, node.inputs[2], normalized, "the bias") : b.add_constant(Tensor({DType::f32, {count}, {}}));
  for (const Result<ValueId>* operand : {&rows, &scale, &bias})
    if (!*operand) return operand->diagnostic();
  Result<ValueId> y = b.add(ops::layer_norm, {*rows, *scale, *bias}, {{"epsilon", node.attrs.f("epsilon", 1e-5f)}});
  if (y) y = reshape(b, *y, x.shape);
  ImportResult results = one(std::move(y));
  if (results) results->resize(node.output_count, kNoValue);
  return results;
}

constexpr AttrSpec kLayerNormAttrs[] = {{"axis", AttrKind::integer}, {"epsilon", AttrKind::real}, {"stash_type", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef layer_norm = {
    .name = "layer_norm",
    .summary = "rows with mean 0 and variance 1, scaled and shifted",
    .onnx = {.type = "LayerNormalization", .attrs = kLayerNormAttrs, .min_inputs = 2, .max_inputs = 3},
    .infer = infer_layer_norm,
    .import = import_layer_norm,
    .eval = eval_layer_norm,
    .lower = lower_layer_norm,
};
const OpDef qlayer_norm = {
    .name = "qlayer_norm",
    .summary = "layer normalization of integers",
    .infer = infer_qlayer_norm,
    .eval = eval_qlayer_norm,
    .lower = lower_layer_norm,
};
}  // namespace ops

}  // namespace kiln
