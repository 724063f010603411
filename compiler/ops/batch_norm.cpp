// SPDX-License-Identifier: Apache-2.0
// BatchNormalization at inference is x * s + t per channel, with s = scale / sqrt(var + epsilon) and t = bias - mean * s
// computed here, in double precision, when they are constant. Passes fold both into the layer before. With training_mode mean and var are
// those of the input, over all but the channels; input_mean and input_var only move into the running ones, outputs 1 and 2.
#include <algorithm>
#include <cmath>

#include "compiler/ops/elementwise.h"

namespace kiln {
namespace {

constexpr std::string_view kNames[] = {"X", "scale", "B", "input_mean", "input_var"};

bool by_batch_statistics(const OnnxNode& node) { return node.attrs.i("training_mode") != 0; }

Status check_batch_norm(const OnnxNode& node, GraphBuilder& b) {
  if (node.attrs.i("spatial", 1) == 0) return unsupported("'spatial' is 0: one normalization per pixel is not supported.");
  for (size_t i = 1; i < node.output_used.size() && !by_batch_statistics(node); ++i)
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

/// Mean and variance per channel.
struct Statistics {
  ValueId mean, variance;
};

/// Those of x [N,C,...] itself.
Result<Statistics> statistics_of(GraphBuilder& b, ValueId x) {
  const Shape shape = b.shape(x);
  std::vector<int64_t> axes{0};
  for (size_t i = 2; i < shape.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  Result<ValueId> mean = b.add(ops::reduce_mean, {x}, {{"axes", axes}});
  Result<ValueId> variance = mean ? b.add(ops::sub, {x, *mean}) : mean;
  if (variance) variance = b.add(ops::mul, {*variance, *variance});
  if (variance) variance = b.add(ops::reduce_mean, {*variance}, {{"axes", axes}});
  if (variance) variance = reshape(b, *variance, {shape[1]});
  if (variance) mean = reshape(b, *mean, {shape[1]});
  if (!variance || !mean) return std::move(variance ? mean : variance).diagnostic();
  return Statistics{*mean, *variance};
}

/// old * momentum + now * (1 - momentum)
Result<ValueId> running(GraphBuilder& b, ValueId old, ValueId now, double momentum) {
  auto times = [&](ValueId v, double factor) { return b.add(ops::mul, {v, b.add_constant(scalar(b.type(v).dtype, factor))}); };
  Result<ValueId> kept = times(old, momentum), added = kept ? times(now, 1 - momentum) : kept;
  return added ? b.add(ops::add, {*kept, *added}) : added;
}

/// s and t as values of one element per channel.
struct Affine {
  Result<ValueId> scale, shift;
};

Affine constant_affine(const OnnxNode& node, GraphBuilder& b, const Statistics& statistics, double epsilon) {
  const TensorType x = b.type(node.inputs[0]);
  std::vector<double> scale = b.constant(node.inputs[1])->to_doubles(), shift = b.constant(node.inputs[2])->to_doubles();
  const std::vector<double> mean = b.constant(statistics.mean)->to_doubles(), variance = b.constant(statistics.variance)->to_doubles();
  for (size_t c = 0; c < scale.size(); ++c) {
    scale[c] /= std::sqrt(variance[c] + epsilon);
    shift[c] -= mean[c] * scale[c];
  }
  const Shape shape = {x.shape[1]};
  return {b.add_constant(from_doubles(x.dtype, shape, scale)), b.add_constant(from_doubles(x.dtype, shape, shift))};
}

Affine computed_affine(const OnnxNode& node, GraphBuilder& b, const Statistics& statistics, double epsilon) {
  const ValueId added = b.add_constant(scalar(b.type(statistics.variance).dtype, epsilon));
  Result<ValueId> deviation = b.add(ops::add, {statistics.variance, added});
  if (deviation) deviation = b.add(ops::sqrt, {*deviation});
  if (!deviation) return {deviation, deviation};
  Result<ValueId> scale = b.add(ops::div, {node.inputs[1], *deviation});
  if (!scale) return {scale, scale};
  Result<ValueId> shift = b.add(ops::mul, {statistics.mean, *scale});
  if (shift) shift = b.add(ops::sub, {node.inputs[2], *shift});
  return {scale, shift};
}

ImportResult import_batch_norm(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_batch_norm(node, b); !s) return std::move(s).diagnostic();
  const TensorType x = b.type(node.inputs[0]);
  if (x.dtype != DType::f32 && x.dtype != DType::f64)
    return error(DiagId::unsupported_type, fmt::format("BatchNormalization of {} is not supported, only of f32 and f64.", dtype_name(x.dtype)));
  Result<Statistics> statistics = by_batch_statistics(node) ? statistics_of(b, node.inputs[0]) : Statistics{node.inputs[3], node.inputs[4]};
  if (!statistics) return std::move(statistics).diagnostic();
  bool constant = true;
  for (ValueId v : {node.inputs[1], node.inputs[2], statistics->mean, statistics->variance}) constant = constant && b.constant(v);
  double epsilon = node.attrs.f("epsilon", 1e-5);
  Affine affine = constant ? constant_affine(node, b, *statistics, epsilon) : computed_affine(node, b, *statistics, epsilon);
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
  for (size_t i = 1; i < 3 && i < outputs.size() && by_batch_statistics(node); ++i) {
    Result<ValueId> moved = running(b, node.inputs[i + 2], i == 1 ? statistics->mean : statistics->variance, node.attrs.f("momentum", 0.9f));
    if (!moved) return std::move(moved).diagnostic();
    outputs[i] = *moved;
  }
  return outputs;
}

constexpr AttrSpec kBatchNormAttrs[] = {
    {"epsilon", AttrKind::real}, {"momentum", AttrKind::real}, {"spatial", AttrKind::integer}, {"training_mode", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef batch_norm = {
    .summary = "normalization by the statistics of the training, or of the input",
    .onnx = {.type = "BatchNormalization", .attrs = kBatchNormAttrs, .since = 7, .min_inputs = 5, .max_inputs = 5},
    .import = import_batch_norm,
};
}  // namespace ops

}  // namespace kiln
