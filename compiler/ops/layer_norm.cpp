// SPDX-License-Identifier: Apache-2.0
// Layer normalization over the last dimension of x [...,K]: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, scale and bias
// [K], the variance that of the population. Core layer_norm computes on floats; qlayer_norm on integers, with attributes x_scale,
// x_zero_point and the result's grid (quantization.h); rms_norm without mean and bias.
#include "nn/ref/layer_norm.h"

#include <algorithm>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/quantization.h"

namespace kiln {
namespace {

Status check_layer_norm(const OpArgs& args) {
  for (size_t i = 0; i < 3; ++i)
    if (!args.has(i)) return bad_node(fmt::format("input {} is missing.", i));
  const TensorType& x = args.in(0);
  for (size_t i = 1; i < 3; ++i) {
    if (args.in(i).dtype != DType::f32)
      return error(DiagId::unsupported_type, fmt::format("layer normalization by {} is not supported, only by f32.", dtype_name(args.in(i).dtype)));
    if (x.shape.empty() || args.in(i).shape != Shape{x.shape.back()})
      return bad_node(fmt::format("the input is {}, scale {} and bias {} do not fit its last dimension.", to_string(x), to_string(args.in(1)),
                                  to_string(args.in(2))));
  }
  return Done{};
}

InferResult infer_layer_norm(const OpArgs& args) {
  if (args.has(0) && args.in(0).dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("layer normalization of {} is not supported, only of f32.", dtype_name(args.in(0).dtype)));
  if (Status s = check_layer_norm(args); !s) return std::move(s).diagnostic();
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

Status lower_layer_norm(const OpArgs& args, const Node& node, Lowering& lowering) {
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

// ---- rms_norm: the same without mean and bias

InferResult infer_rms_norm(const OpArgs& args) {
  if (!args.has(0) || !args.has(1)) return bad_node("the input or the scale is missing.");
  const TensorType &x = args.in(0), &scale = args.in(1);
  if (x.dtype != DType::f32 || scale.dtype != DType::f32)
    return error(DiagId::unsupported_type, fmt::format("normalization of {} by {} is not supported, only of f32.", dtype_name(x.dtype), dtype_name(scale.dtype)));
  if (x.shape.empty() || scale.shape != Shape{x.shape.back()})
    return bad_node(fmt::format("the input is {}, the scale {} does not fit its last dimension.", to_string(x), to_string(scale)));
  return std::vector<TensorType>{{DType::f32, x.shape, {}}};
}

EvalResult eval_rms_norm(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  nn::ref::rms_norm(layer_norm_descriptor<LayerNorm>(args), args.constant(0)->as<float>().data(), args.constant(1)->as<float>().data(), y.as<float>().data());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_rms_norm(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "rms_norm";
  call.descriptor = layer_norm_descriptor<LayerNorm>(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

// ---- import

/// What ONNX normalizations over the dimensions from "axis" on have in common.
struct Normalized {
  TensorType x;
  Shape kept, normalized;  ///< the dimensions before the axis, and from it on
  ValueId rows = kNoValue;  ///< x [kept, normalized]
  double epsilon = 1e-5f;

  [[nodiscard]] int64_t count() const { return element_count(normalized); }
};

Result<Normalized> normalized_rows(const OnnxNode& node, GraphBuilder& b) {
  Normalized n;
  n.x = b.type(node.inputs[0]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", -1), n.x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside {}.", node.attrs.i("axis", -1), to_string(n.x)));
  n.kept = Shape(n.x.shape.begin(), n.x.shape.begin() + *axis);
  n.normalized = Shape(n.x.shape.begin() + *axis, n.x.shape.end());
  n.epsilon = node.attrs.f("epsilon", 1e-5f);
  Result<ValueId> rows = reshape(b, node.inputs[0], {element_count(n.kept), n.count()});
  if (!rows) return std::move(rows).diagnostic();
  n.rows = *rows;
  return n;
}

bool is_one_row(const GraphBuilder& b, ValueId v, const Normalized& n) {
  Shape shape = b.shape(v);
  while (shape.size() > n.normalized.size() && shape.front() == 1) shape.erase(shape.begin());
  return shape == n.normalized;
}

ValueId row_of(GraphBuilder& b, const Normalized& n, float value) {
  Tensor row({DType::f32, {n.count()}, {}});
  std::ranges::fill(row.as<float>(), value);
  return b.add_constant(std::move(row));
}

/// y with scale and bias of shapes that only broadcast to that of x applied by operators of their own.
Result<ValueId> scaled_and_shifted(GraphBuilder& b, ValueId y, const Normalized& n, ValueId scale, ValueId bias) {
  for (auto [op, v] : {std::pair{&ops::mul, scale}, std::pair{&ops::add, bias}}) {
    if (v == kNoValue) continue;
    if (broadcast(n.x.shape, b.shape(v)) != n.x.shape)
      return bad_node(fmt::format("a scale or bias {} does not broadcast to {}.", to_string(b.type(v)), to_string(n.x)));
    Result<ValueId> next = b.add(*op, {y, v});
    if (!next) return next;
    y = *next;
  }
  return y;
}

/// The mean of rows [R,K] and 1 / sqrt(mean square of the rest + epsilon), each of x's shape with the normalized dimensions of size 1.
Result<std::vector<ValueId>> statistics(GraphBuilder& b, const Normalized& n) {
  const Attrs axes{{"axes", std::vector<int64_t>{1}}};
  Result<ValueId> mean = b.add(ops::reduce_mean, {n.rows}, axes);
  Result<ValueId> rest = mean ? b.add(ops::sub, {n.rows, *mean}) : mean;
  if (rest) rest = b.add(ops::mul, {*rest, *rest});
  if (rest) rest = b.add(ops::reduce_mean, {*rest}, axes);
  if (rest) rest = b.add(ops::add, {*rest, b.add_constant(scalar(DType::f32, n.epsilon))});
  if (rest) rest = b.add(ops::sqrt, {*rest});
  if (rest) rest = b.add(ops::reciprocal, {*rest});
  Shape shape = n.kept;
  shape.resize(n.x.shape.size(), 1);
  if (mean) mean = reshape(b, *mean, shape);
  if (rest) rest = reshape(b, *rest, shape);
  if (!mean || !rest) return std::move(mean ? rest : mean).diagnostic();
  return std::vector<ValueId>{*mean, *rest};
}

/// Outputs Mean and InvStdDev, where they are used, take passes of their own. ONNX Runtime takes the operator in older opsets as well.
ImportResult import_layer_norm(const OnnxNode& node, GraphBuilder& b) {
  Result<Normalized> n = normalized_rows(node, b);
  if (!n) return std::move(n).diagnostic();
  const ValueId scale = node.inputs[1], bias = node.has(2) ? node.inputs[2] : kNoValue;
  const bool fits = is_one_row(b, scale, *n) && (bias == kNoValue || is_one_row(b, bias, *n));
  Result<ValueId> scale_row = fits ? reshape(b, scale, {n->count()}) : row_of(b, *n, 1);
  Result<ValueId> bias_row = fits && bias != kNoValue ? reshape(b, bias, {n->count()}) : row_of(b, *n, 0);
  if (!scale_row || !bias_row) return std::move(scale_row ? bias_row : scale_row).diagnostic();
  Result<ValueId> y = b.add(ops::layer_norm, {n->rows, *scale_row, *bias_row}, {{"epsilon", n->epsilon}});
  if (y) y = reshape(b, *y, n->x.shape);
  if (y && !fits) y = scaled_and_shifted(b, *y, *n, scale, bias);
  ImportResult results = one(std::move(y));
  if (!results || node.output_count < 2) return results;
  results->resize(node.output_count, kNoValue);
  if (std::none_of(node.output_used.begin() + 1, node.output_used.end(), [](bool used) { return used; })) return results;
  Result<std::vector<ValueId>> extra = statistics(b, *n);
  if (!extra) return std::move(extra).diagnostic();
  for (size_t i = 1; i < std::min<size_t>(node.output_count, 3); ++i) (*results)[i] = (*extra)[i - 1];
  return results;
}

/// RMSNormalization, and SimplifiedLayerNormalization as ONNX Runtime's transformers have it, whose second output is not supported.
ImportResult import_rms_norm(const OnnxNode& node, GraphBuilder& b) {
  Result<Normalized> n = normalized_rows(node, b);
  if (!n) return std::move(n).diagnostic();
  for (size_t i = 1; i < node.output_used.size(); ++i)
    if (node.output_used[i]) return unsupported(fmt::format("output {} of {} is not supported.", i, node.type));
  const bool fits = is_one_row(b, node.inputs[1], *n);
  Result<ValueId> scale = fits ? reshape(b, node.inputs[1], {n->count()}) : row_of(b, *n, 1);
  if (!scale) return std::move(scale).diagnostic();
  Result<ValueId> y = b.add(ops::rms_norm, {n->rows, *scale}, {{"epsilon", n->epsilon}});
  if (y) y = reshape(b, *y, n->x.shape);
  if (y && !fits) y = scaled_and_shifted(b, *y, *n, node.inputs[1], kNoValue);
  ImportResult results = one(std::move(y));
  if (results) results->resize(node.output_count, kNoValue);
  return results;
}

/// com.microsoft: a normalization of input + skip + bias; inputs input, skip, gamma, beta (not where simplified), bias. Output 3 is the sum.
ImportResult import_skip_norm(const OnnxNode& node, GraphBuilder& b) {
  const bool simplified = node.type == "SkipSimplifiedLayerNormalization";
  const size_t bias = simplified ? 3 : 4;
  Result<ValueId> sum = b.add(ops::add, {node.inputs[0], node.inputs[1]});
  if (sum && node.has(bias)) sum = b.add(ops::add, {*sum, node.inputs[bias]});
  if (!sum) return std::move(sum).diagnostic();
  for (size_t i = 1; i < std::min<size_t>(node.output_used.size(), 3); ++i)
    if (node.output_used[i]) return unsupported(fmt::format("output {} of {} is not supported.", i, node.type));
  OnnxNode norm = node;
  norm.inputs = {*sum, node.inputs[2]};
  if (!simplified && node.has(3)) norm.inputs.push_back(node.inputs[3]);
  norm.attrs = {{"epsilon", node.attrs.f("epsilon", 1e-12f)}};
  norm.output_count = 1;
  norm.output_used = {true};
  ImportResult outputs = simplified ? import_rms_norm(norm, b) : import_layer_norm(norm, b);
  if (!outputs) return outputs;
  outputs->resize(node.output_count, kNoValue);
  if (node.output_count > 3) (*outputs)[3] = *sum;
  return outputs;
}

constexpr AttrSpec kSkipNormAttrs[] = {{"epsilon", AttrKind::real}};
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
const OpDef rms_norm = {
    .name = "rms_norm",
    .summary = "rows with mean square 1, scaled",
    .onnx = {.type = "RMSNormalization", .attrs = kLayerNormAttrs, .since = 23, .min_inputs = 2, .max_inputs = 2},
    .infer = infer_rms_norm,
    .import = import_rms_norm,
    .eval = eval_rms_norm,
    .lower = lower_rms_norm,
};
const OpDef simplified_layer_norm = {
    .summary = "RMSNormalization as ONNX Runtime writes it",
    .onnx = {.type = "SimplifiedLayerNormalization", .attrs = kLayerNormAttrs, .min_inputs = 2, .max_inputs = 2},
    .import = import_rms_norm,
};
const OpDef microsoft_skip_layer_norm = {
    .summary = "layer normalization of a sum",
    .onnx = {.type = "SkipLayerNormalization", .domain = "com.microsoft", .attrs = kSkipNormAttrs, .min_inputs = 3, .max_inputs = 5},
    .import = import_skip_norm,
};
const OpDef microsoft_skip_rms_norm = {
    .summary = "RMSNormalization of a sum",
    .onnx = {.type = "SkipSimplifiedLayerNormalization", .domain = "com.microsoft", .attrs = kSkipNormAttrs, .min_inputs = 3, .max_inputs = 4},
    .import = import_skip_norm,
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
