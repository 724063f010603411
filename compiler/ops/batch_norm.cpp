// SPDX-License-Identifier: Apache-2.0
// BatchNormalization at inference is x * s + t per channel, with s = scale / sqrt(var + epsilon) and t = bias - mean * s
// computed here, in double precision, when they are constant. Passes fold both into the layer before.
#include <algorithm>
#include <cmath>

#include "compiler/ops/elementwise.h"

namespace kiln {
namespace {

constexpr std::string_view kNames[] = {"X", "scale", "B", "input_mean", "input_var"};

Status check_batch_norm(const OnnxNode& node, GraphBuilder& b) {
  if (node.attrs.i("training_mode") != 0)
    return unsupported("'training_mode' is 1: kiln runs models, it does not train them.", "export the model in inference mode.");
  if (node.attrs.i("spatial", 1) == 0) return unsupported("'spatial' is 0: one normalization per pixel is not supported.");
  for (size_t i = 1; i < node.output_used.size(); ++i)
    if (node.output_used[i]) return unsupported(fmt::format("output {} of BatchNormalization, a training result, is not supported.", i));
  const TensorType& x = b.type(node.inputs[0]);
  if (x.rank() < 2) return bad_node(fmt::format("the input is {}, it must be [N,C,...].", to_string(x)));
  for (size_t i = 1; i < 5; ++i) {
    const TensorType& type = b.type(node.inputs[i]);
    if (type.shape != Shape{x.shape[1]})
      return bad_node(fmt::format("input '{}' is {}, the input has {} channels.", kNames[i], to_string(type), x.shape[1]));
  }
  return Done{};
}

Tensor from_doubles(DType dtype, const Shape& shape, const std::vector<double>& values) {
  Tensor t({dtype, shape, {}});
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::f64) t.as<double>()[i] = values[i];
    else t.as<float>()[i] = static_cast<float>(values[i]);
  }
  return t;
}

/// s and t as values of one element per channel.
struct Affine {
  Result<ValueId> scale, shift;
};

Affine constant_affine(const OnnxNode& node, GraphBuilder& b, double epsilon) {
  const TensorType x = b.type(node.inputs[0]);
  std::vector<double> scale = b.constant(node.inputs[1])->to_doubles(), shift = b.constant(node.inputs[2])->to_doubles();
  const std::vector<double> mean = b.constant(node.inputs[3])->to_doubles(), variance = b.constant(node.inputs[4])->to_doubles();
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] /= std::sqrt(variance[c] + epsilon);
    shift[c] -= mean[c] * scale[c];
  }
  const Shape shape = {x.shape[1]};
  return {b.add_constant(from_doubles(x.dtype, shape, scale)), b.add_constant(from_doubles(x.dtype, shape, shift))};
}

Affine computed_affine(const OnnxNode& node, GraphBuilder& b, double epsilon) {
  const ValueId added = b.add_constant(scalar(b.type(node.inputs[4]).dtype, epsilon));
  Result<ValueId> deviation = b.add(ops::add, {node.inputs[4], added});
  if (deviation) deviation = b.add(ops::sqrt, {*deviation});
  if (!deviation) return {deviation, deviation};
  Result<ValueId> scale = b.add(ops::div, {node.inputs[1], *deviation});
  if (!scale) return {scale, scale};
  Result<ValueId> shift = b.add(ops::mul, {node.inputs[3], *scale});
  if (shift) shift = b.add(ops::sub, {node.inputs[2], *shift});
  return {scale, shift};
}

ImportResult import_batch_norm(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_batch_norm(node, b); !s) return std::move(s).diagnostic();
  const TensorType x = b.type(node.inputs[0]);
  if (x.dtype != DType::f32 && x.dtype != DType::f64)
    return error(DiagId::unsupported_type, fmt::format("BatchNormalization of {} is not supported, only of f32 and f64.", dtype_name(x.dtype)));
  bool constant = true;
  for (size_t i = 1; i < 5; ++i) constant = constant && b.constant(node.inputs[i]);
  double epsilon = node.attrs.f("epsilon", 1e-5);
  Affine affine = constant ? constant_affine(node, b, epsilon) : computed_affine(node, b, epsilon);
  Shape shape(x.shape.size() - 1, 1);
  shape[0] = x.shape[1];
  if (affine.scale) affine.scale = reshape(b, *affine.scale, shape);
  if (affine.shift) affine.shift = reshape(b, *affine.shift, shape);
  if (!affine.scale || !affine.shift) return std::move(affine.scale ? affine.shift : affine.scale).diagnostic();
  Result<ValueId> y = b.add(ops::mul, {node.inputs[0], *affine.scale});
  if (y) y = b.add(ops::add, {*y, *affine.shift});
  if (!y) return std::move(y).diagnostic();
  std::vector<ValueId> outputs(std::max<size_t>(node.output_count, 1), kNoValue);
  outputs[0] = *y;
  return outputs;
}

constexpr AttrSpec kBatchNormAttrs[] = {
    {"epsilon", AttrKind::real}, {"momentum", AttrKind::real}, {"spatial", AttrKind::integer}, {"training_mode", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef batch_norm = {
    .summary = "normalization by the statistics of the training",
    .onnx = {.type = "BatchNormalization", .attrs = kBatchNormAttrs, .since = 7, .min_inputs = 5, .max_inputs = 5},
    .import = import_batch_norm,
};
}  // namespace ops

}  // namespace kiln
