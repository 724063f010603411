// SPDX-License-Identifier: Apache-2.0
// Normalization over pixels and over the channels of each group: core group_norm over x [N,...,C] with scale and bias [C], attributes
// "groups" and "epsilon". ONNX InstanceNormalization has as many groups as channels, MeanVarianceNormalization takes the dimensions
// that stay for channels of one image.
#include <algorithm>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/spatial.h"
#include "nn/ref/group_norm.h"

namespace kiln {
namespace {

InferResult infer_group_norm(const OpArgs& args) {
  if (Status s = check_operands(args, 3); !s) return std::move(s).diagnostic();
  const TensorType& x = args.in(0);
  for (size_t i = 0; i < 3; ++i)
    if (args.in(i).dtype != DType::f32)
      return error(DiagId::unsupported_type, fmt::format("normalization of {} is not supported, only of f32.", dtype_name(args.in(i).dtype)));
  if (x.rank() < 2) return bad_node(fmt::format("the input is {}, it must be [N,...,C].", to_string(x)));
  const int64_t channels = x.shape.back(), groups = args.attrs.i("groups", 1);
  if (groups < 1 || channels % groups != 0) return bad_node(fmt::format("{} groups do not divide {} channels.", groups, channels));
  for (size_t i = 1; i < 3; ++i)
    if (args.in(i).shape != Shape{channels})
      return bad_node(fmt::format("the {} is {}, the input has {} channels.", i == 1 ? "scale" : "bias", to_string(args.in(i)), channels));
  return std::vector<TensorType>{{DType::f32, x.shape, {}}};
}

GroupNorm group_norm_descriptor(const OpArgs& args) {
  const Shape& x = args.in(0).shape;
  return {static_cast<int32_t>(x[0]), static_cast<int32_t>(product(x, 1, x.size() - 1)), static_cast<int32_t>(x.back()),
          static_cast<int32_t>(args.attrs.i("groups", 1)), static_cast<float>(args.attrs.f("epsilon", 1e-5f))};
}

EvalResult eval_group_norm(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  nn::ref::group_norm(group_norm_descriptor(args), args.constant(0)->as<float>().data(), args.constant(1)->as<float>().data(),
                      args.constant(2)->as<float>().data(), y.as<float>().data());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_group_norm(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "group_norm";
  call.descriptor = group_norm_descriptor(args);
  for (ValueId v : node.inputs) call.inputs.push_back(lowering.tensor(v));
  call.outputs = {lowering.tensor(node.outputs[0])};
  call.in_place = {0};
  lowering.call(node, std::move(call));
  return Done{};
}

/// One number for each of `groups` as one for each of `channels`.
Result<ValueId> per_channel(GraphBuilder& b, ValueId v, int64_t groups, int64_t channels) {
  Result<ValueId> y = reshape(b, v, {groups, 1});
  if (y) y = b.add(ops::expand, {*y}, {{"shape", Shape{groups, channels / groups}}});
  return y ? reshape(b, *y, {channels}) : y;
}

/// x [N,C,...] normalized in `groups`; scale and bias [C], or [groups] as GroupNormalization has them up to opset 20.
ImportResult normalize(const OnnxNode& node, GraphBuilder& b, int64_t groups, bool by_group) {
  const TensorType x = b.type(node.inputs[0]);
  if (x.rank() < 3) return bad_node(fmt::format("the input is {}, it must be [N,C,...] with at least 3 dimensions.", to_string(x)));
  if (groups < 1 || x.shape[1] % groups != 0) return bad_node(fmt::format("{} groups do not divide {} channels.", groups, x.shape[1]));
  std::vector<ValueId> operands;
  for (size_t i = 1; i < 3; ++i) {
    const int64_t expected = by_group ? groups : x.shape[1];
    if (b.shape(node.inputs[i]) != Shape{expected})
      return bad_node(fmt::format("the {} is {}, it must have {} elements.", i == 1 ? "scale" : "bias", to_string(b.type(node.inputs[i])), expected));
    Result<ValueId> v = by_group ? per_channel(b, node.inputs[i], groups, x.shape[1]) : node.inputs[i];
    if (!v) return std::move(v).diagnostic();
    operands.push_back(*v);
  }
  const std::vector<int64_t> order = channels_last_order(x.rank());
  Result<ValueId> y = transpose(b, node.inputs[0], order);
  if (y) y = b.add(ops::group_norm, {*y, operands[0], operands[1]}, {{"groups", groups}, {"epsilon", node.attrs.f("epsilon", 1e-5f)}});
  return one(y ? transpose(b, *y, inverse_permutation(order)) : std::move(y));
}

ImportResult import_instance_norm(const OnnxNode& node, GraphBuilder& b) {
  const Shape& x = b.shape(node.inputs[0]);
  return normalize(node, b, x.size() > 1 ? x[1] : 1, false);
}

ImportResult import_group_norm(const OnnxNode& node, GraphBuilder& b) {
  if (!node.attrs.has("num_groups")) return bad_node("attribute 'num_groups' is missing.");
  return normalize(node, b, node.attrs.i("num_groups"), node.opset < 21);
}

/// (x - mean) / (deviation + 1e-9) over "axes": their dimensions become the pixels, the others the channels.
ImportResult import_mean_variance(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  Result<std::vector<int64_t>> axes = normalized_axes(node.attrs.ints("axes", {0, 2, 3}), x.rank());
  if (!axes) return std::move(axes).diagnostic();
  std::sort(axes->begin(), axes->end());
  std::vector<int64_t> order = *axes;
  int64_t channels = 1;
  for (int64_t i = 0; i < x.rank(); ++i) {
    if (std::binary_search(axes->begin(), axes->end(), i)) continue;
    order.push_back(i);
    channels *= x.shape[static_cast<size_t>(i)];
  }
  Tensor ones({DType::f32, {channels}, {}});
  std::ranges::fill(ones.as<float>(), 1.0f);
  const ValueId scale = b.add_constant(std::move(ones)), bias = b.add_constant(Tensor({DType::f32, {channels}, {}}));
  Result<ValueId> y = transpose(b, node.inputs[0], order);
  if (!y) return std::move(y).diagnostic();
  const Shape moved = b.shape(*y);
  y = reshape(b, *y, {1, x.elements() / std::max<int64_t>(channels, 1), channels});
  if (y) y = b.add(ops::group_norm, {*y, scale, bias}, {{"groups", channels}, {"epsilon", 1e-18}});  // 1e-9 beside the deviation
  if (y) y = reshape(b, *y, moved);
  return one(y ? transpose(b, *y, inverse_permutation(order)) : std::move(y));
}

/// x divided by its norm along an axis; zeros stay zeros.
ImportResult import_lp_normalization(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  std::optional<int64_t> axis = normalize_axis(node.attrs.i("axis", -1), x.rank());
  if (!axis) return bad_node(fmt::format("axis {} is outside {}.", node.attrs.i("axis", -1), to_string(x)));
  const int64_t p = node.attrs.i("p", 2);
  if (p != 1 && p != 2) return bad_node(fmt::format("'p' is {}, it must be 1 or 2.", p));
  Result<ValueId> norm = b.add(p == 1 ? ops::reduce_l1 : ops::reduce_l2, {node.inputs[0]}, {{"axes", std::vector<int64_t>{*axis}}});
  constexpr double kLeast = 1.17549435e-38;  // the smallest normal float
  if (norm) norm = b.add(ops::max, {*norm, b.add_constant(scalar(x.dtype, kLeast))});
  return one(norm ? b.add(ops::div, {node.inputs[0], *norm}) : std::move(norm));
}

/// x / (bias + alpha * mean of x^2 over `size` channels around it)^beta, channels outside being 0: an average pool along the channels.
ImportResult import_lrn(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  const int64_t size = node.attrs.i("size");
  if (x.rank() < 3) return bad_node(fmt::format("the input is {}, it must be [N,C,...] with at least 3 dimensions.", to_string(x)));
  if (size < 1 || size > 1 << 16) return bad_node(fmt::format("'size' is {}, it must be from 1 to {}.", size, 1 << 16));
  const std::vector<int64_t> order = channels_last_order(x.rank());
  Result<ValueId> image = transpose(b, node.inputs[0], order);
  if (!image) return std::move(image).diagnostic();
  const Shape shape = b.shape(*image);
  Result<ValueId> y = b.add(ops::mul, {*image, *image});
  if (y) y = reshape(b, *y, {x.elements() / std::max<int64_t>(x.shape[1], 1), 1, x.shape[1], 1});
  const int64_t before = (size - 1) / 2;
  if (y) y = b.add(ops::average_pool2d, {*y}, {{"kernel", Shape{1, size}}, {"pads", Shape{0, before, 0, size - 1 - before}}, {"count_include_pad", int64_t{1}}});
  auto with = [&](const OpDef& op, double value) {
    if (y) y = b.add(op, {*y, b.add_constant(scalar(x.dtype, value))});
  };
  with(ops::mul, node.attrs.f("alpha", 1e-4f));
  with(ops::add, node.attrs.f("bias", 1));
  with(ops::pow, -node.attrs.f("beta", 0.75));
  if (y) y = reshape(b, *y, shape);
  if (y) y = b.add(ops::mul, {*image, *y});
  return one(y ? transpose(b, *y, inverse_permutation(order)) : std::move(y));
}

constexpr AttrSpec kEpsilonAttrs[] = {{"consumed_inputs", AttrKind::integers}, {"epsilon", AttrKind::real}};
constexpr AttrSpec kGroupNormAttrs[] = {{"epsilon", AttrKind::real}, {"num_groups", AttrKind::integer}, {"stash_type", AttrKind::integer}};
constexpr AttrSpec kMeanVarianceAttrs[] = {{"axes", AttrKind::integers}};
constexpr AttrSpec kLpNormalizationAttrs[] = {{"axis", AttrKind::integer}, {"p", AttrKind::integer}};
constexpr AttrSpec kLrnAttrs[] = {{"alpha", AttrKind::real}, {"beta", AttrKind::real}, {"bias", AttrKind::real}, {"size", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef group_norm = {
    .name = "group_norm",
    .summary = "groups of channels with mean 0 and variance 1, scaled and shifted",
    .onnx = {.type = "GroupNormalization", .attrs = kGroupNormAttrs, .since = 18, .min_inputs = 3, .max_inputs = 3},
    .infer = infer_group_norm,
    .import = import_group_norm,
    .eval = eval_group_norm,
    .lower = lower_group_norm,
};
const OpDef instance_norm = {
    .summary = "channels with mean 0 and variance 1, scaled and shifted",
    .onnx = {.type = "InstanceNormalization", .attrs = kEpsilonAttrs, .min_inputs = 3, .max_inputs = 3},
    .import = import_instance_norm,
};
const OpDef mean_variance_norm = {
    .summary = "mean 0 and variance 1 over axes",
    .onnx = {.type = "MeanVarianceNormalization", .attrs = kMeanVarianceAttrs, .since = 9, .max_inputs = 1},
    .import = import_mean_variance,
};
const OpDef lp_normalization = {
    .summary = "division by the norm along an axis",
    .onnx = {.type = "LpNormalization", .attrs = kLpNormalizationAttrs, .max_inputs = 1},
    .import = import_lp_normalization,
};
const OpDef lrn = {
    .summary = "division by a power of the mean square of neighbouring channels",
    .onnx = {.type = "LRN", .attrs = kLrnAttrs, .max_inputs = 1},
    .import = import_lrn,
};
}  // namespace ops

}  // namespace kiln
