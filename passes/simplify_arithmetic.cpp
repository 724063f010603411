// SPDX-License-Identifier: Apache-2.0
#include "passes/simplify_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "passes/dead_code.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

constexpr double kMax = std::numeric_limits<float>::max();

/// A node of two operands one of which is the same number everywhere: f(x, number), or f(number, x) when not `x_first`.
struct WithNumber {
  ValueId x;
  double number;
  bool x_first;
};
std::optional<WithNumber> with_number(const Graph& graph, const Node& node) {
  if (node.inputs.size() != 2 || node.attrs.has("act")) return std::nullopt;
  for (size_t i : {size_t{1}, size_t{0}}) {
    std::optional<double> number = uniform_constant(graph, node.inputs[i]);
    ValueId x = node.inputs[1 - i];
    if (number && graph.type(x) == graph.type(node.outputs[0])) return WithNumber{x, *number, i == 1};
  }
  return std::nullopt;
}

/// y = max(low, min(x, high)) as one of relu, clip, max or min with a number; low <= high.
struct Clamp {
  ValueId x;
  double low = -kMax, high = kMax;
};
std::optional<Clamp> clamp_of(const Graph& graph, ValueId y) {
  const Node* node = graph.producer(y);
  if (!node || graph.type(y).dtype != DType::f32 || graph.type(y).quant || node->attrs.has("act")) return std::nullopt;
  if (node->op == &ops::relu) return Clamp{node->inputs[0], 0, kMax};
  if (node->op == &ops::clip) {
    Clamp c{node->inputs[0], node->attrs.f("alpha"), node->attrs.f("beta")};
    return c.low <= c.high ? std::optional(c) : std::nullopt;
  }
  bool is_max = node->op == &ops::max;
  if (!is_max && node->op != &ops::min) return std::nullopt;
  std::optional<WithNumber> f = with_number(graph, *node);
  if (!f || !std::isfinite(f->number)) return std::nullopt;
  return is_max ? Clamp{f->x, f->number, kMax} : Clamp{f->x, -kMax, f->number};
}

/// Two clamps in a row as one. `outer` wins where the ranges do not meet.
Result<bool> merge_clamps(Graph& graph, NodeId id) {
  ValueId y = graph.node(id).outputs[0];
  std::optional<Clamp> outer = clamp_of(graph, y);
  std::optional<Clamp> inner = outer ? clamp_of(graph, outer->x) : std::nullopt;
  if (!inner || graph.only_user(outer->x) != id) return false;
  double low = std::clamp(inner->low, outer->low, outer->high), high = std::clamp(inner->high, outer->low, outer->high);
  const Node& before = *graph.producer(outer->x);
  GraphBuilder builder(graph, joined_origin(before, graph.node(id)), id);
  builder.set_name(graph.value(y).name);
  bool is_relu = low == 0 && high == kMax;
  Result<ValueId> now = is_relu ? builder.add(ops::relu, {inner->x}) : builder.add(ops::clip, {inner->x}, {{"alpha", low}, {"beta", high}});
  if (!now) return std::move(now).diagnostic();
  replace_node(graph, id, *now);
  return true;
}

/// The slope a of a * x or leaky_relu(x, a), if `y` is that.
std::optional<double> slope_of(const Graph& graph, ValueId y, ValueId x) {
  const Node* node = graph.producer(y);
  if (!node || node->attrs.has("act")) return std::nullopt;
  if (node->op == &ops::leaky_relu && node->inputs[0] == x) return node->attrs.f("alpha");
  std::optional<WithNumber> f = node->op == &ops::mul ? with_number(graph, *node) : std::nullopt;
  return f && f->x == x ? std::optional(f->number) : std::nullopt;
}

Result<bool> make_leaky_relu(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != &ops::max || node.attrs.has("act") || graph.type(node.outputs[0]).dtype != DType::f32) return false;
  for (size_t i : {size_t{0}, size_t{1}}) {
    ValueId x = node.inputs[i], y = node.inputs[1 - i];
    std::optional<double> slope = slope_of(graph, y, x);
    if (!slope || *slope < 0 || *slope > 1) continue;
    GraphBuilder builder(graph, joined_origin(*graph.producer(y), node), id);
    builder.set_name(graph.value(node.outputs[0]).name);
    Result<ValueId> now = builder.add(ops::leaky_relu, {x}, {{"alpha", *slope}});
    if (!now) return std::move(now).diagnostic();
    replace_node(graph, id, *now);
    return true;
  }
  return false;
}

Result<bool> make_swish(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != &ops::mul || node.attrs.has("act")) return false;
  for (size_t i : {size_t{0}, size_t{1}}) {
    ValueId x = node.inputs[i], gate = node.inputs[1 - i];
    const Node* sigmoid = graph.producer(gate);
    if (!sigmoid || sigmoid->op != &ops::sigmoid || sigmoid->inputs[0] != x || graph.only_user(gate) != id) continue;
    GraphBuilder builder(graph, joined_origin(*sigmoid, node), id);
    builder.set_name(graph.value(node.outputs[0]).name);
    Result<ValueId> now = builder.add(ops::swish, {x}, {{"alpha", 1.0}});
    if (!now) return std::move(now).diagnostic();
    replace_node(graph, id, *now);
    return true;
  }
  return false;
}

/// The operand that `node` returns unchanged, or kNoValue.
ValueId unchanged_operand(const Graph& graph, const Node& node) {
  if (node.op == &ops::cast) return graph.type(node.inputs[0]) == graph.type(node.outputs[0]) ? node.inputs[0] : kNoValue;
  bool neutral_zero = node.op == &ops::add || node.op == &ops::sub, neutral_one = node.op == &ops::mul || node.op == &ops::div;
  std::optional<WithNumber> f = neutral_zero || neutral_one ? with_number(graph, node) : std::nullopt;
  if (!f || f->number != (neutral_zero ? 0 : 1)) return kNoValue;
  bool commutes = node.op == &ops::add || node.op == &ops::mul;
  return commutes || f->x_first ? f->x : kNoValue;
}

/// One operator for another of the same operands: max(x, 0), x / 2^n.
Result<bool> replace_operator(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  std::optional<WithNumber> f = node.op == &ops::max || node.op == &ops::div ? with_number(graph, node) : std::nullopt;
  if (!f) return false;
  int exponent = 0;
  bool is_relu = node.op == &ops::max && f->number == 0;
  bool is_power = node.op == &ops::div && f->x_first && graph.type(f->x).dtype == DType::f32 && std::fabs(std::frexp(f->number, &exponent)) == 0.5 &&
                  std::abs(exponent) < 100;
  if (!is_relu && !is_power) return false;
  GraphBuilder builder(graph, node.origin, id);
  builder.set_name(graph.value(node.outputs[0]).name);
  Result<ValueId> now = is_relu ? builder.add(ops::relu, {f->x})
                                : builder.add(ops::mul, {f->x, builder.add_constant(Tensor::floats({}, {static_cast<float>(1 / f->number)}))});
  if (!now) return std::move(now).diagnostic();
  replace_node(graph, id, *now);
  return true;
}

Result<bool> simplify(Graph& graph, NodeId id) {
  if (ValueId x = unchanged_operand(graph, graph.node(id)); x != kNoValue) {
    replace_node(graph, id, x);
    return true;
  }
  for (auto rule : {make_leaky_relu, make_swish, replace_operator, merge_clamps}) {
    Result<bool> applied = rule(graph, id);
    if (!applied || *applied) return applied;
  }
  return false;
}

}  // namespace

Result<bool> simplify_arithmetic(Graph& graph, PassContext& context) {
  bool changed = false;
  for (bool again = true; again; changed = changed || again) {
    again = false;
    for (NodeId id : graph.order()) {
      Result<bool> applied = simplify(graph, id);
      if (!applied) return applied;
      again = again || *applied;
    }
    if (Result<bool> swept = dead_code(graph, context); !swept) return swept;
  }
  return changed;
}

}  // namespace kiln
