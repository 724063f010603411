// SPDX-License-Identifier: Apache-2.0
// Activation functions.
#include <limits>

#include "compiler/ops/elementwise.h"
#include "nn/functors_math.h"
#include "nn/math_f64.h"

namespace kiln {
namespace {

constexpr Parameters kLeakyRelu = parameters("alpha", 0.01f);
constexpr Parameters kHardSigmoid = parameters("alpha", 0.2f, "beta", 0.5);
constexpr Parameters kThresholdedRelu = parameters("alpha", 1);
constexpr Parameters kShrink = parameters("lambd", 0.5, "bias", 0);
constexpr Parameters kElu = parameters("alpha", 1);
constexpr Parameters kSelu = parameters("alpha", 1.67326319217681884765625, "gamma", 1.05070102214813232421875);
constexpr Parameters kSwish = parameters("alpha", 1);
constexpr Parameters kQuickGelu = parameters("alpha", 1.702f);

// ---- Clip: bounds are attributes up to opset 10, inputs 1 and 2 from 11 on; each may be missing.

constexpr AttrSpec kClipAttrs[] = {{"min", AttrKind::real}, {"max", AttrKind::real}};

struct Bound {
  ValueId value = kNoValue;        ///< a scalar; kNoValue: no bound
  std::optional<double> constant;  ///< its number, if it is there and constant
  [[nodiscard]] bool is_known() const { return value == kNoValue || constant; }
};

Result<Bound> clip_bound(const OnnxNode& node, GraphBuilder& b, const char* name, size_t input) {
  const TensorType x = b.type(node.inputs[0]);
  if (node.opset < 11) {
    if (!node.attrs.has(name)) return Bound{};
    const double value = node.attrs.f(name);
    return Bound{b.add_constant(scalar(x.dtype, value)), value};
  }
  if (!node.has(input)) return Bound{};
  const TensorType type = b.type(node.inputs[input]);
  if (type.elements() != 1 || type.dtype != x.dtype)
    return bad_node(fmt::format("'{}' is {}, it must be one {}.", name, to_string(type), dtype_name(x.dtype)));
  Result<ValueId> value = reshape(b, node.inputs[input], {});
  if (!value) return std::move(value).diagnostic();
  const Tensor* constant = b.constant(*value);
  return Bound{*value, constant ? std::optional(constant->to_doubles()[0]) : std::nullopt};
}

ImportResult import_clip(const OnnxNode& node, GraphBuilder& b) {
  ValueId x = node.inputs[0];
  Result<Bound> low = clip_bound(node, b, "min", 1), high = clip_bound(node, b, "max", 2);
  if (!low) return std::move(low).diagnostic();
  if (!high) return std::move(high).diagnostic();
  if (low->value == kNoValue && high->value == kNoValue) return std::vector<ValueId>{x};
  if (low->constant == 0.0 && high->value == kNoValue) return one(b.add(ops::relu, {x}));
  if (b.type(x).dtype == DType::f32 && low->is_known() && high->is_known()) {
    constexpr double kMax = std::numeric_limits<float>::max();  // also ONNX's default, so infinities become finite
    return one(b.add(ops::clip, {x}, {{"alpha", low->constant.value_or(-kMax)}, {"beta", high->constant.value_or(kMax)}}));
  }
  for (const auto& [op, bound] : {std::pair{&ops::max, *low}, std::pair{&ops::min, *high}}) {
    if (bound.value == kNoValue) continue;
    Result<ValueId> y = b.add(*op, {x, bound.value});
    if (!y) return std::move(y).diagnostic();
    x = *y;
  }
  return std::vector<ValueId>{x};
}

constexpr OpDef clip_op() {
  OpDef op = unary_op<nn::fn::clip>("clip", "Clip", "x within two bounds");
  op.onnx.attrs = kClipAttrs;
  op.onnx.max_inputs = 3;
  op.import = import_clip;
  return op;
}

// ---- Gelu, in ONNX and with fused biases in com.microsoft

constexpr AttrSpec kGeluAttrs[] = {{"approximate", AttrKind::string}};

ImportResult import_gelu(const OnnxNode& node, GraphBuilder& b) {
  const std::string approximate = node.attrs.s("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return bad_node(fmt::format("attribute 'approximate' is '{}', it must be 'none' or 'tanh'.", approximate));
  return one(b.add(approximate == "none" ? ops::gelu : ops::gelu_tanh, node.inputs));
}

/// f(x + bias); the bias may be missing.
template <const OpDef& kActivation>
ImportResult import_biased(const OnnxNode& node, GraphBuilder& b) {
  Result<ValueId> x = node.has(1) ? b.add(ops::add, node.inputs) : node.inputs[0];
  if (!x) return std::move(x).diagnostic();
  return one(b.add(kActivation, {*x}));
}

ImportResult import_quick_gelu(const OnnxNode& node, GraphBuilder& b) {
  return one(b.add(ops::swish, node.inputs, {{"alpha", node.attrs.f("alpha", kQuickGelu.defaults[0])}}));
}

constexpr OpDef gelu_op() {
  OpDef op = unary_op<nn::fn::gelu>("gelu", "Gelu", "x times the normal distribution's integral up to x");
  op.onnx.attrs = kGeluAttrs;
  op.import = import_gelu;
  return op;
}

constexpr OpDef microsoft(std::string_view type, size_t inputs, std::string_view summary,
                          ImportResult (*import)(const OnnxNode&, GraphBuilder&)) {
  OpDef op;
  op.summary = summary;
  op.onnx.type = type;
  op.onnx.domain = "com.microsoft";
  op.onnx.max_inputs = inputs;
  op.import = import;
  return op;
}

constexpr OpDef quick_gelu_import() {
  OpDef op = microsoft("QuickGelu", 1, "x * sigmoid(alpha * x)", import_quick_gelu);
  op.onnx.attrs = {kQuickGelu.specs, kQuickGelu.count};
  return op;
}

}  // namespace

namespace ops {
const OpDef relu = unary_op<nn::fn::relu, kNumbers>("relu", "Relu", "max(x, 0)");
const OpDef clip = clip_op();
const OpDef leaky_relu = parametric_op<nn::fn::leaky_relu, kLeakyRelu>("leaky_relu", "LeakyRelu", "x, below zero alpha * x");
const OpDef hard_sigmoid =
    parametric_op<nn::fn::hard_sigmoid, kHardSigmoid>("hard_sigmoid", "HardSigmoid", "alpha * x + beta within 0 and 1");
const OpDef hard_swish = unary_op<nn::fn::hard_swish>("hard_swish", "HardSwish", "x * (x / 6 + 1/2 within 0 and 1)");
const OpDef thresholded_relu =
    parametric_op<nn::fn::thresholded_relu, kThresholdedRelu>("thresholded_relu", "ThresholdedRelu", "x above alpha, else 0");
const OpDef shrink = parametric_op<nn::fn::shrink, kShrink>("shrink", "Shrink", "0 within +-alpha, outside moved towards 0 by beta");

const OpDef sigmoid = unary_op<nn::fn::sigmoid>("sigmoid", "Sigmoid", "1 / (1 + e^-x)");
const OpDef tanh = unary_op<nn::fn::tanh>("tanh", "Tanh", "hyperbolic tangent");
const OpDef softplus = unary_op<nn::fn::softplus>("softplus", "Softplus", "ln(1 + e^x)");
const OpDef softsign = unary_op<nn::fn::softsign>("softsign", "Softsign", "x / (1 + |x|)");
const OpDef elu = parametric_op<nn::fn::elu, kElu>("elu", "Elu", "x, below zero alpha * (e^x - 1)");
const OpDef selu = parametric_op<nn::fn::selu, kSelu>("selu", "Selu", "beta times an elu");
const OpDef celu = parametric_op<nn::fn::celu, kElu>("celu", "Celu", "x, below zero alpha * (e^(x/alpha) - 1)");
const OpDef swish = parametric_op<nn::fn::swish, kSwish>("swish", "Swish", "x * sigmoid(alpha * x)");
const OpDef mish = unary_op<nn::fn::mish>("mish", "Mish", "x * tanh(softplus(x))");
const OpDef gelu = gelu_op();
const OpDef gelu_tanh = unary_op<nn::fn::gelu_tanh>("gelu_tanh", "", "gelu approximated by tanh");
const OpDef microsoft_gelu = microsoft("Gelu", 1, "gelu", import_biased<gelu>);
const OpDef microsoft_bias_gelu = microsoft("BiasGelu", 2, "gelu of a sum", import_biased<gelu>);
const OpDef microsoft_fast_gelu = microsoft("FastGelu", 2, "gelu of a sum, approximated by tanh", import_biased<gelu_tanh>);
const OpDef microsoft_quick_gelu = quick_gelu_import();
}  // namespace ops

}  // namespace kiln
