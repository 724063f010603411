// SPDX-License-Identifier: Apache-2.0
// Rules of integer-layers: what only clamps becomes bounds ("low", "high") of the operator that makes the integers.
#include <algorithm>
#include <limits>

#include "passes/integer_rules.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// Clamps the results of a node, which are integers of `dtype` within its own bounds, to `bounds`.
void narrow_bounds(Graph& graph, NodeId id, DType dtype, const IntegerRange& bounds) {
  IntegerRange own = bounds_of(graph.node(id).attrs, dtype), range = integer_range(dtype);
  IntegerRange now{std::clamp(own.low, bounds.low, bounds.high), std::clamp(own.high, bounds.low, bounds.high)};
  if (now.low != range.low) graph.set_attr(id, "low", int64_t{now.low});
  if (now.high != range.high) graph.set_attr(id, "high", int64_t{now.high});
}

/// The bounds to which the node clamps, if that is all it does. Its operand and its result have one grid.
std::optional<IntegerRange> clamp_of(const Graph& graph, const Node& node) {
  const TensorType& y = graph.type(node.outputs[0]);
  IntegerRange range = integer_range(y.dtype);
  if (node.op == &ops::qunary) {
    std::string functor = node.attrs.s("functor", "none");
    IntegerRange own = bounds_of(node.attrs, y.dtype);
    if (functor == "none") return own;
    if (functor != "relu" && functor != "clip") return std::nullopt;
    IntegerRange bounds{quantized(functor == "relu" ? 0.0f : static_cast<float>(node.attrs.f("alpha")), *y.quant),
                        functor == "relu" ? range.high : quantized(static_cast<float>(node.attrs.f("beta")), *y.quant)};
    return IntegerRange{std::clamp(bounds.low, own.low, own.high), std::clamp(bounds.high, own.low, own.high)};
  }
  if (node.op != &ops::lookup) return std::nullopt;
  const Tensor& table = *graph.constant(node.inputs[1]);
  auto entry = [&](int32_t value) {
    auto byte = std::to_integer<uint8_t>(table.bytes()[static_cast<uint8_t>(value)]);
    return range.low < 0 ? int32_t{static_cast<int8_t>(byte)} : int32_t{byte};
  };
  IntegerRange bounds{range.high, range.low};
  for (int32_t v = range.low; v <= range.high; ++v) {
    bounds.low = std::min(bounds.low, entry(v));
    bounds.high = std::max(bounds.high, entry(v));
  }
  for (int32_t v = range.low; v <= range.high; ++v)
    if (entry(v) != std::clamp(v, bounds.low, bounds.high)) return std::nullopt;
  return bounds;
}

}  // namespace

Result<bool> fuse_clamp(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if ((node.op != &ops::lookup && node.op != &ops::qunary) || graph.only_user(node.inputs[0]) != id) return false;
  NodeId before = graph.value(node.inputs[0]).producer;
  if (before == kNoNode || !has_quant(graph.node(before).attrs) || graph.type(node.inputs[0]) != graph.type(node.outputs[0])) return false;
  std::optional<IntegerRange> bounds = clamp_of(graph, node);
  if (!bounds) return false;
  narrow_bounds(graph, before, graph.type(node.outputs[0]).dtype, *bounds);
  graph.add_origin(before, node.origin);
  ValueId result = node.inputs[0];
  take_identity(graph, node.outputs[0], result);
  graph.replace_uses(node.outputs[0], result);
  graph.erase(id);
  return true;
}

Result<bool> clamp_integers(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  bool is_max = node.op == &ops::max || node.op == &ops::relu;
  if ((!is_max && node.op != &ops::min) || node.attrs.has("act")) return false;
  ValueId x = node.inputs[0];
  std::optional<double> bound = node.op == &ops::relu ? std::optional(0.0) : uniform_constant(graph, node.inputs[1]);
  if (!bound && uniform_constant(graph, node.inputs[0])) {
    bound = uniform_constant(graph, node.inputs[0]);
    x = node.inputs[1];
  }
  const Node* quantize = graph.producer(x);
  const TensorType& type = graph.type(x);
  if (!bound || !quantize || quantize->op != &ops::quantize || graph.only_user(x) != id || type.shape != graph.type(node.outputs[0]).shape) return false;
  IntegerRange bounds = integer_range(type.dtype);
  (is_max ? bounds.low : bounds.high) = static_cast<int32_t>(*bound);
  NodeId before = graph.value(x).producer;
  narrow_bounds(graph, before, type.dtype, bounds);
  graph.add_origin(before, node.origin);
  take_identity(graph, node.outputs[0], x);
  graph.replace_uses(node.outputs[0], x);
  graph.erase(id);
  return true;
}

Result<bool> clamp_floats(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  bool is_relu = node.op == &ops::relu;
  if (!is_relu && node.op != &ops::clip) return false;
  NodeId next = graph.only_user(node.outputs[0]);
  if (next == kNoNode || graph.node(next).op != &ops::quantize) return false;
  const Quant& quant = *graph.type(graph.node(next).outputs[0]).quant;
  auto low = is_relu ? 0.0f : static_cast<float>(node.attrs.f("alpha"));
  auto high = is_relu ? std::numeric_limits<float>::infinity() : static_cast<float>(node.attrs.f("beta"));
  if (quant.per_axis() || !(low <= high)) return false;
  narrow_bounds(graph, next, quant.dtype, {quantized(low, quant), quantized(high, quant)});
  graph.add_origin(next, node.origin);
  graph.set_input(next, 0, node.inputs[0]);
  graph.erase(id);
  return true;
}

}  // namespace kiln
