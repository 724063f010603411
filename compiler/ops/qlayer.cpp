// SPDX-License-Identifier: Apache-2.0
// Integer layers: core qconv2d (operands and window as conv2d), qdense (as dense) and qmatmul (as matmul); see qlayer.h.
#include "compiler/ops/qlayer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "compiler/ops/conv.h"
#include "compiler/ops/matmul.h"
#include "nn/ref/qconv2d.h"
#include "nn/ref/qdense.h"

namespace kiln {
namespace {

int64_t greatest_magnitude(DType dtype) {
  IntegerRange range = integer_range(dtype);
  return std::max<int64_t>(range.high, -int64_t{range.low});
}

/// Per output channel: the sum of w - w_zero_point, and of its magnitudes.
struct WeightSums {
  std::vector<int64_t> plain, magnitudes;
};

WeightSums weight_sums(const Tensor& w, int64_t w_zero_point) {
  auto channels = static_cast<size_t>(w.type.shape[0]);
  WeightSums sums{std::vector<int64_t>(channels, 0), std::vector<int64_t>(channels, 0)};
  with_storage_type(w.type.dtype, [&]<class T>() {
    std::span<const T> values = w.as<T>();
    size_t row = channels > 0 ? values.size() / channels : 0;
    for (size_t i = 0; i < values.size(); ++i) {
      int64_t centred = static_cast<int64_t>(values[i]) - w_zero_point;
      sums.plain[i / row] += centred;
      sums.magnitudes[i / row] += std::abs(centred);
    }
  });
  return sums;
}

/// Sums themselves are not scaled. `addend`: the float bias, or null.
Tensor multiplier_of(const OpArgs& args, const Tensor* addend) {
  std::vector<double> list = args.attrs.get<std::vector<double>>("multiplier", {1});
  if (!addend) return Tensor::floats({static_cast<int64_t>(list.size())}, std::vector<float>(list.begin(), list.end()));
  std::vector<float> pairs;
  for (size_t o = 0; o < addend->as<float>().size(); ++o) {
    pairs.push_back(static_cast<float>(list[list.size() > 1 ? o : 0]));
    pairs.push_back(addend->as<float>()[o]);
  }
  return Tensor::floats({addend->type.shape[0], nn::detail::kPairs}, pairs);
}

}  // namespace

Result<TensorType> qlayer_type(const OpArgs& args, Shape shape, int64_t channels) {
  if (Status s = check_integers(args.in(0), "the input"); !s) return std::move(s).diagnostic();
  if (Status s = check_integers(args.in(1), "the second operand"); !s) return std::move(s).diagnostic();
  std::vector<double> multiplier = args.attrs.get<std::vector<double>>("multiplier", {});
  if (args.has(2) && args.in(2).dtype != DType::i32 && (args.in(2).dtype != DType::f32 || multiplier.empty()))
    return bad_node(fmt::format("the bias is {}, it must be i32, or f32 of a layer with multipliers.", to_string(args.in(2))));
  if (multiplier.size() > 1 && static_cast<int64_t>(multiplier.size()) != channels)
    return bad_node(fmt::format("{} multipliers for {} channels.", multiplier.size(), channels));
  for (double m : multiplier)
    if (!std::isfinite(m) || m < 0) return bad_node(fmt::format("multiplier {} must be a number of at least 0.", m));
  if (!has_quant(args.attrs)) return TensorType{multiplier.empty() ? DType::i32 : DType::f32, std::move(shape), {}};
  if (multiplier.empty()) return bad_node("a quantized result needs a multiplier.");
  return quantized_result(args.attrs, std::move(shape));
}

std::optional<Tensor> folded_bias(const Tensor& w, const Tensor* bias, int64_t x_zero_point, int64_t w_zero_point) {
  WeightSums sums = weight_sums(w, w_zero_point);
  Tensor folded(TensorType{DType::i32, {w.type.shape[0]}, {}});
  for (size_t o = 0; o < sums.plain.size(); ++o) {
    int64_t b = (bias ? bias->as<int32_t>()[o] : 0) - x_zero_point * sums.plain[o];
    if (b < std::numeric_limits<int32_t>::min() || b > std::numeric_limits<int32_t>::max()) return std::nullopt;
    folded.as<int32_t>()[o] = static_cast<int32_t>(b);
  }
  return folded;
}

bool needs_wide_sums(DType x, const Tensor& w, const Tensor& folded, int64_t w_zero_point) {
  WeightSums sums = weight_sums(w, w_zero_point);
  for (size_t o = 0; o < sums.magnitudes.size(); ++o)
    if (std::abs(int64_t{folded.as<int32_t>()[o]}) + sums.magnitudes[o] * greatest_magnitude(x) > std::numeric_limits<int32_t>::max()) return true;
  return false;
}

Result<QLayerConstants> qlayer_constants(const OpArgs& args) {
  const Tensor* w = args.constant(1);
  if (!w || (args.has(2) && !args.constant(2))) return unsupported("integer layers need constant weights.");
  int64_t w_zero_point = args.attrs.i("w_zero_point");
  const Tensor* own = args.has(2) ? args.constant(2) : nullptr;
  const Tensor* addend = own && own->type.dtype == DType::f32 ? own : nullptr;
  std::optional<Tensor> bias = folded_bias(*w, addend ? nullptr : own, args.attrs.i("x_zero_point"), w_zero_point);
  if (!bias) return unsupported("the bias and the input's zero point leave the range of i32.");
  bool wide = needs_wide_sums(args.in(0).dtype, *w, *bias, w_zero_point);
  return QLayerConstants{*std::move(bias), multiplier_of(args, addend), wide};
}

Tensor as_int32(const Tensor& t) {
  Tensor out(TensorType{DType::i32, t.type.shape, {}});
  with_storage_type(t.type.dtype, [&]<class T>() {
    for (size_t i = 0; i < t.as<T>().size(); ++i) out.as<int32_t>()[i] = static_cast<int32_t>(t.as<T>()[i]);
  });
  return out;
}

namespace {

/// Operands of the call besides the input: weights, folded bias, multipliers.
std::vector<TensorId> constant_operands(const Node& node, TensorId weights, const QLayerConstants& constants, Lowering& lowering) {
  const std::string name = lowering.program().tensor(weights).name;  // a copy: constants are added
  return {lowering.tensor(node.inputs[0]), weights, lowering.constant(constants.bias, name + "_bias"),
          lowering.constant(constants.multiplier, name + "_multiplier")};
}

/// "conv2d" or, with bounds narrower than the type's, "conv2d+clamp".
std::string label_of(const Node& node, std::string kind) {
  bool clamps = node.attrs.has("low") || node.attrs.has("high");
  return clamps ? kind + "+clamp" : kind;
}

// ---- qconv2d

InferResult infer_qconv2d(const OpArgs& args) {
  Result<Shape> shape = conv2d_shape(args);
  if (!shape) return std::move(shape).diagnostic();
  int64_t channels = shape->back();
  Result<TensorType> type = qlayer_type(args, *std::move(shape), channels);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QConv2d qconv2d_descriptor(const OpArgs& args, const QLayerConstants& constants) {
  QConv2d d;
  describe_conv2d(d, args);
  describe_qlayer(d, args, constants);
  return d;
}

EvalResult eval_qconv2d(const OpArgs& args) {
  Result<QLayerConstants> constants = qlayer_constants(args);
  if (!constants) return std::move(constants).diagnostic();
  const Tensor x = as_int32(*args.constant(0)), w = as_int32(*args.constant(1));
  return std::vector<Tensor>{compute_result(*args.outputs[0], [&](auto* y) {
    nn::ref::qconv2d(qconv2d_descriptor(args, *constants), x.as<int32_t>().data(), w.as<int32_t>().data(),
                     std::as_const(constants->bias).as<int32_t>().data(), std::as_const(constants->multiplier).as<float>().data(), y);
  })};
}

Status lower_qconv2d(const OpArgs& args, const Node& node, Lowering& lowering) {
  Result<QLayerConstants> constants = qlayer_constants(args);
  if (!constants) return std::move(constants).diagnostic();
  QConv2d d = qconv2d_descriptor(args, *constants);
  KernelCall call;
  std::string label = "conv2d";
  ConvKind kind = conv2d_kind(args);
  TensorId weights = kind == ConvKind::depthwise ? lowering.constant(channels_innermost(*args.constant(1)), lowering.graph().value(node.inputs[1]).name)
                                                 : lowering.tensor(node.inputs[1]);
  if (kind == ConvKind::pointwise || kind == ConvKind::dense) {
    label = kind == ConvKind::pointwise ? "pointwise" : "dense";
    QDense dense{d.batch * d.out_h * d.out_w, d.kernel_h * d.kernel_w * d.in_c, d.out_c, 0, 0, 0, 0, 0, 0, 0};
    describe_qlayer(dense, args, *constants);
    call.family = "qdense";
    call.descriptor = dense;
  } else if (kind == ConvKind::depthwise) {
    label = "depthwise";
    QDepthwise2d depthwise;
    describe_window(depthwise, conv2d_window(args), args.in(0).shape, args.outputs[0]->shape);
    depthwise.channels = d.in_c;
    describe_qlayer(depthwise, args, *constants);
    call.family = "qdepthwise2d";
    call.descriptor = depthwise;
  } else {
    call.family = "qconv2d";
    call.descriptor = d;
  }
  call.inputs = constant_operands(node, weights, *constants, lowering);
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), label_of(node, label));
  return Done{};
}

// ---- qdense

InferResult infer_qdense(const OpArgs& args) {
  if (!args.has(0) || !args.has(1)) return bad_node("the input or the weights are missing.");
  const TensorType &x = args.in(0), &w = args.in(1);
  if (x.shape.empty() || w.shape.size() != 2 || x.shape.back() != w.shape[1])
    return bad_node(fmt::format("the input is {}, the weights {} need [...,{}].", to_string(x), to_string(w), w.shape.empty() ? 1 : w.shape.back()));
  if (args.has(2) && args.in(2).shape != Shape{w.shape[0]})
    return bad_node(fmt::format("the bias is {}, the weights make {} features.", to_string(args.in(2)), w.shape[0]));
  Shape shape = x.shape;
  shape.back() = w.shape[0];
  Result<TensorType> type = qlayer_type(args, std::move(shape), w.shape[0]);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QDense qdense_descriptor(const OpArgs& args, const QLayerConstants& constants) {
  const Shape &x = args.in(0).shape, &w = args.in(1).shape;
  QDense d;
  d.rows = static_cast<int32_t>(product(x, 0, x.size() - 1));
  d.in = static_cast<int32_t>(w[1]);
  d.out = static_cast<int32_t>(w[0]);
  describe_qlayer(d, args, constants);
  return d;
}

EvalResult eval_qdense(const OpArgs& args) {
  Result<QLayerConstants> constants = qlayer_constants(args);
  if (!constants) return std::move(constants).diagnostic();
  const Tensor x = as_int32(*args.constant(0)), w = as_int32(*args.constant(1));
  return std::vector<Tensor>{compute_result(*args.outputs[0], [&](auto* y) {
    nn::ref::qdense(qdense_descriptor(args, *constants), x.as<int32_t>().data(), w.as<int32_t>().data(),
                    std::as_const(constants->bias).as<int32_t>().data(), std::as_const(constants->multiplier).as<float>().data(), y);
  })};
}

Status lower_qdense(const OpArgs& args, const Node& node, Lowering& lowering) {
  Result<QLayerConstants> constants = qlayer_constants(args);
  if (!constants) return std::move(constants).diagnostic();
  KernelCall call;
  call.family = "qdense";
  call.descriptor = qdense_descriptor(args, *constants);
  call.inputs = constant_operands(node, lowering.tensor(node.inputs[1]), *constants, lowering);
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), label_of(node, "dense"));
  return Done{};
}

int64_t macs_qdense(const OpArgs& args) { return args.outputs[0]->elements() * args.in(1).shape[1]; }

// ---- qmatmul: both operands computed

InferResult infer_qmatmul(const OpArgs& args) {
  Result<Shape> shape = matmul_shape(args);
  if (!shape) return std::move(shape).diagnostic();
  Result<TensorType> type = qlayer_type(args, *std::move(shape), 1);
  if (!type) return std::move(type).diagnostic();
  return std::vector<TensorType>{*std::move(type)};
}

QMatmul qmatmul_descriptor(const OpArgs& args) {
  QMatmul d;
  describe_matmul(d, args);
  describe_result(d, args);
  d.a_zero_point = static_cast<int32_t>(args.attrs.i("x_zero_point"));
  d.b_zero_point = static_cast<int32_t>(args.attrs.i("w_zero_point"));
  d.multiplier = static_cast<float>(args.attrs.get<std::vector<double>>("multiplier", {1})[0]);
  int64_t a = greatest_magnitude(args.in(0).dtype) + std::abs(d.a_zero_point), b = greatest_magnitude(args.in(1).dtype) + std::abs(d.b_zero_point);
  d.wide = a * b > std::numeric_limits<int32_t>::max() / std::max(d.k, 1);
  return d;
}

EvalResult eval_qmatmul(const OpArgs& args) {
  const Tensor a = as_int32(*args.constant(0)), b = as_int32(*args.constant(1));
  return std::vector<Tensor>{compute_result(*args.outputs[0], [&](auto* y) {
    nn::ref::qmatmul(qmatmul_descriptor(args), a.as<int32_t>().data(), b.as<int32_t>().data(), y);
  })};
}

Status lower_qmatmul(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "qmatmul";
  call.descriptor = qmatmul_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), label_of(node, "matmul"));
  return Done{};
}

int64_t macs_qmatmul(const OpArgs& args) { return args.outputs[0]->elements() * args.in(0).shape.back(); }

}  // namespace

namespace ops {
const OpDef qconv2d = {
    .name = "qconv2d",
    .summary = "convolution of integers",
    .infer = infer_qconv2d,
    .eval = eval_qconv2d,
    .lower = lower_qconv2d,
    .macs = macs_conv2d,
};
const OpDef qdense = {
    .name = "qdense",
    .summary = "fully connected layer of integers",
    .infer = infer_qdense,
    .eval = eval_qdense,
    .lower = lower_qdense,
    .macs = macs_qdense,
};
const OpDef qmatmul = {
    .name = "qmatmul",
    .summary = "product of integer matrices, batched and broadcast",
    .infer = infer_qmatmul,
    .eval = eval_qmatmul,
    .lower = lower_qmatmul,
    .macs = macs_qmatmul,
};
}  // namespace ops

}  // namespace kiln
