// SPDX-License-Identifier: Apache-2.0
// Rules 3 and 4 of integer-layers: float operators whose operands are dequantized as integer operators.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/ops/qlayer.h"
#include "passes/integer_rules.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// Weights as an integer layer takes them: i8, u8 or i16, one zero point for all, a scale for all or one per output channel.
struct Weights {
  Tensor integers;
  std::vector<float> scale;
  int64_t zero_point = 0;
};

/// w - zero point of each output channel, as the narrowest of i8 and i16.
Tensor centred(const Tensor& w, const Quant& quant) {
  Tensor wide = as_int32(w);
  std::span<int32_t> values = wide.as<int32_t>();
  size_t row = values.size() / static_cast<size_t>(w.type.shape[0]);
  bool fits = true;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] -= quant.zero_point[quant.per_axis() ? i / row : 0];
    fits = fits && values[i] >= -128 && values[i] <= 127;
  }
  Tensor out(TensorType{fits ? DType::i8 : DType::i16, w.type.shape, {}});
  for (size_t i = 0; i < values.size(); ++i) {
    if (fits) out.as<int8_t>()[i] = static_cast<int8_t>(values[i]);
    else out.as<int16_t>()[i] = static_cast<int16_t>(values[i]);
  }
  return out;
}

/// The weights of a layer, w [O, ...]; nothing when they have no grid, one along another axis, or more than 16 bits when centred.
std::optional<Weights> weights_of(const Graph& graph, ValueId w) {
  const Tensor* constant = graph.constant(w);
  std::optional<Quant> quant = constant ? grid_of(graph, w) : std::nullopt;
  if (!quant || (quant->per_axis() && quant->axis != 0) || constant->type.elements() == 0 || element_bytes(quant->dtype) > 1) return std::nullopt;
  Tensor integers = *stored_integers(*constant);
  Weights weights{centred(integers, *quant), quant->scale, 0};
  bool one_zero_point = std::adjacent_find(quant->zero_point.begin(), quant->zero_point.end(), std::not_equal_to<>()) == quant->zero_point.end();
  if (weights.integers.type.dtype == DType::i8 || !one_zero_point) return weights;
  weights.integers = std::move(integers);  // bytes with a zero point rather than twice the flash
  weights.integers.type.quant.reset();
  weights.zero_point = quant->zero_point[0];
  return weights;
}

/// Bias and multipliers in the layer's own units.
struct Requantization {
  std::optional<Tensor> bias;  ///< i32, or f32 when some entry is no whole number of units
  std::vector<double> multiplier;
};

/// Channels whose weights are all zero can have scales that their bias does not fit; their sum is the bias alone, so any unit serves.
constexpr double kLoneBias = 1 << 20;

/// Whether `bias` is `whole` units, as exactly as a float can say it: of a bias that was dequantized each float, scale and product is rounded.
bool is_whole(double units, double whole) { return std::abs(units - whole) <= 0x1p-22 * std::abs(whole); }

/// bias: float, or null. `y_scale` 1 gives float results. Nothing when a bias is beyond floats.
std::optional<Requantization> requantization(const Weights& w, float x_scale, float y_scale, const Tensor* bias) {
  Requantization r;
  auto channels = static_cast<size_t>(w.integers.type.shape[0]);
  std::vector<double> units;  // of the bias
  bool whole = true, in_i32 = true, in_f32 = true;
  const Tensor wide = as_int32(w.integers);
  size_t row = wide.as<int32_t>().size() / channels;
  size_t entries = w.scale.size();
  for (size_t o = 0; o < std::max(entries, bias ? channels : 0); ++o) {
    float unit = x_scale * w.scale[entries > 1 ? o : 0];
    double b = bias ? static_cast<double>(bias->as<float>()[o]) : 0;
    std::span<const int32_t> filter = wide.as<int32_t>().subspan(o * row, row);
    bool is_empty = std::all_of(filter.begin(), filter.end(), [&](int32_t v) { return v == w.zero_point; });
    if (entries > 1 && is_empty && b != 0) unit = static_cast<float>(std::abs(b) / kLoneBias);
    units.push_back(b == 0 ? 0 : b / static_cast<double>(unit));
    const double magnitude = std::abs(units.back());
    whole = whole && is_whole(units.back(), std::nearbyint(units.back()));
    in_i32 = in_i32 && magnitude <= 2147483647.0;
    in_f32 = in_f32 && magnitude <= static_cast<double>(std::numeric_limits<float>::max());
    if (o < entries) r.multiplier.push_back(static_cast<double>(unit / y_scale));
  }
  if (!bias) return r;
  whole = whole && in_i32;
  if (!whole && !in_f32) return std::nullopt;
  r.bias = Tensor(TensorType{whole ? DType::i32 : DType::f32, {w.integers.type.shape[0]}, {}});
  for (size_t o = 0; o < channels; ++o) {
    if (whole) r.bias->as<int32_t>()[o] = static_cast<int32_t>(std::nearbyint(units[o]));
    else r.bias->as<float>()[o] = static_cast<float>(units[o]);
  }
  return r;
}

bool is_layer(const OpDef* op) { return op == &ops::conv2d || op == &ops::dense; }

/// Builds the operator and puts it where the chain to the quantize node ended, or where the float layer stood.
Result<bool> replace_layer(Graph& graph, NodeId id, const OpDef& op, std::vector<ValueId> inputs, Attrs attrs,
                           const std::optional<QuantizedResult>& result) {
  std::vector<std::string> origin = graph.node(id).origin;
  NodeId at = id;
  if (result) {
    origin.insert(origin.end(), result->origin.begin(), result->origin.end());
    at = result->quantize;
    const Attrs grid = result_attrs(*result);
    for (const auto& [name, value] : grid.all()) attrs.set(name, value);
  }
  GraphBuilder b(graph, std::move(origin), at);
  b.set_name(graph.value(graph.node(at).outputs[0]).name);
  Result<ValueId> y = b.add(op, std::move(inputs), std::move(attrs));
  if (!y) return std::move(y).diagnostic();
  replace_node(graph, at, *y);
  return true;
}

}  // namespace

Result<bool> integer_layer(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  bool weighted = is_layer(node.op);
  if ((!weighted && node.op != &ops::matmul) || node.attrs.has("act")) return false;
  std::optional<Quant> x = tensor_grid_of(graph, node.inputs[0]);
  if (!x || graph.constant(node.inputs[0])) return false;
  std::optional<QuantizedResult> result = quantized_result_of(graph, node.outputs[0]);
  float y_scale = result ? result->quant.scale[0] : 1.0f;
  GraphBuilder b(graph, node.origin, id);
  Attrs attrs = node.attrs;
  attrs.set("x_zero_point", int64_t{x->zero_point[0]});
  if (!weighted) {
    std::optional<Quant> w = tensor_grid_of(graph, node.inputs[1]);
    if (!w) return false;
    attrs.set("w_zero_point", int64_t{w->zero_point[0]});
    attrs.set("multiplier", std::vector<double>{static_cast<double>(x->scale[0] * w->scale[0] / y_scale)});
    return replace_layer(graph, id, ops::qmatmul, {stored(b, node.inputs[0]), stored(b, node.inputs[1])}, std::move(attrs), result);
  }
  std::optional<Weights> w = weights_of(graph, node.inputs[1]);
  bool has_bias = node.inputs.size() > 2 && node.inputs[2] != kNoValue;
  const Tensor* bias = has_bias ? graph.constant(node.inputs[2]) : nullptr;
  if (!w || (has_bias && !bias)) return false;
  std::optional<Requantization> r = requantization(*w, x->scale[0], y_scale, bias);
  if (!r) return false;
  const bool between = r->bias && r->bias->type.dtype == DType::f32;
  if (between && !result) r->bias.reset();  // added as floats below
  if (!folded_bias(w->integers, r->bias && !between ? &*r->bias : nullptr, x->zero_point[0], w->zero_point)) return false;
  attrs.set("multiplier", r->multiplier);
  if (w->zero_point != 0) attrs.set("w_zero_point", w->zero_point);
  std::vector<ValueId> inputs = {stored(b, node.inputs[0]), b.add_constant(std::move(w->integers), graph.value(node.inputs[1]).name)};
  if (r->bias) inputs.push_back(b.add_constant(*std::move(r->bias), graph.value(node.inputs[2]).name));
  if (has_bias && !r->bias) {
    Result<ValueId> sums = b.add(node.op == &ops::conv2d ? ops::qconv2d : ops::qdense, std::move(inputs), std::move(attrs));
    Result<ValueId> y = sums ? b.add(ops::add, {*sums, node.inputs[2]}) : std::move(sums);
    if (!y) return std::move(y).diagnostic();
    replace_node(graph, id, *y);
    return true;
  }
  return replace_layer(graph, id, node.op == &ops::conv2d ? ops::qconv2d : ops::qdense, std::move(inputs), std::move(attrs), result);
}

Result<bool> integer_binary(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const OpDef* const known[] = {&ops::add, &ops::sub, &ops::mul, &ops::div, &ops::max, &ops::min, &ops::prelu};
  if (std::find(std::begin(known), std::end(known), node.op) == std::end(known) || node.attrs.has("act")) return false;
  std::optional<Quant> a = tensor_grid_of(graph, node.inputs[0]), c = tensor_grid_of(graph, node.inputs[1]);
  std::optional<QuantizedResult> result = a && c ? quantized_result_of(graph, node.outputs[0]) : std::nullopt;
  if (!result) return false;
  GraphBuilder b(graph, node.origin, id);
  Attrs attrs{{"functor", std::string(node.op->functor)}, {"a_scale", double{a->scale[0]}}, {"a_zero_point", int64_t{a->zero_point[0]}},
              {"b_scale", double{c->scale[0]}}, {"b_zero_point", int64_t{c->zero_point[0]}}};
  return replace_layer(graph, id, ops::qbinary, {stored(b, node.inputs[0]), stored(b, node.inputs[1])}, std::move(attrs), result);
}

Result<bool> integer_function(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  bool changes_grid = node.op == &ops::quantize && !node.attrs.has("quant_axis");
  if (!changes_grid && !(node.op->is(kUnary) && graph.type(node.outputs[0]).dtype == DType::f32)) return false;
  std::optional<Quant> x = tensor_grid_of(graph, node.inputs[0]);
  if (!x || element_bytes(x->dtype) == 1 || graph.constant(node.inputs[0])) return false;  // bytes have tables
  std::optional<QuantizedResult> result;
  if (changes_grid) {
    const Quant& y = *graph.type(node.outputs[0]).quant;
    result = QuantizedResult{id, y, integer_range(y.dtype), {}};
  } else {
    result = quantized_result_of(graph, node.outputs[0]);
  }
  if (!result) return false;
  GraphBuilder b(graph, node.origin, id);
  Attrs attrs{{"functor", std::string(changes_grid ? "none" : node.op->functor)}, {"x_scale", double{x->scale[0]}}, {"x_zero_point", int64_t{x->zero_point[0]}}};
  for (const char* parameter : {"alpha", "beta"})
    if (node.attrs.has(parameter)) attrs.set(parameter, node.attrs.f(parameter));
  return replace_layer(graph, id, ops::qunary, {stored(b, node.inputs[0])}, std::move(attrs), result);
}

Result<bool> integer_unary(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const OpDef* op = node.op == &ops::average_pool2d ? &ops::qaverage_pool2d
                    : node.op == &ops::reduce_mean  ? &ops::qreduce_mean
                    : node.op == &ops::softmax      ? &ops::qsoftmax
                    : node.op == &ops::layer_norm   ? &ops::qlayer_norm
                    : node.op == &ops::resize_linear2d ? &ops::qresize_linear2d
                                                       : nullptr;
  if (!op) return false;
  std::optional<Quant> x = tensor_grid_of(graph, node.inputs[0]);
  std::optional<QuantizedResult> result = x ? quantized_result_of(graph, node.outputs[0]) : std::nullopt;
  if (!result || (op == &ops::qsoftmax && element_bytes(x->dtype) != 1)) return false;
  GraphBuilder b(graph, node.origin, id);
  Attrs attrs = node.attrs;
  attrs.set("x_scale", double{x->scale[0]});
  if (op != &ops::qsoftmax) attrs.set("x_zero_point", int64_t{x->zero_point[0]});
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = stored(b, node.inputs[0]);
  return replace_layer(graph, id, *op, std::move(inputs), std::move(attrs), result);
}

}  // namespace kiln
