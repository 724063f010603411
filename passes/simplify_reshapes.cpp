// SPDX-License-Identifier: Apache-2.0
#include "passes/simplify_reshapes.h"

#include <algorithm>

#include "compiler/ops/op_util.h"
#include "passes/dead_code.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// The builder skips reshapes before and drops those that change nothing.
Result<bool> merge(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const Node* before = graph.producer(node.inputs[0]);
  bool merges = before && before->op == &ops::reshape;
  if (!merges && graph.type(node.inputs[0]).shape != graph.type(node.outputs[0]).shape) return false;
  GraphBuilder builder(graph, merges ? joined_origin(*before, node) : node.origin, id);
  builder.set_name(graph.value(node.outputs[0]).name);
  Result<ValueId> now = reshape(builder, node.inputs[0], graph.type(node.outputs[0]).shape);
  if (!now) return std::move(now).diagnostic();
  replace_node(graph, id, *now);
  return true;
}

/// The operand of `id` that a reshape of a fusable layer's result feeds, nothing else using either; else nothing.
std::optional<size_t> reshaped_operand(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Node* view = graph.producer(node.inputs[i]);
    if (!view || view->op != &ops::reshape || graph.only_user(node.inputs[i]) != id) continue;
    const Node* layer = graph.producer(view->inputs[0]);
    if (layer && layer->op->is(kFusesActivation) && !layer->attrs.has("act") && graph.only_user(view->inputs[0]) == graph.value(node.inputs[i]).producer)
      return i;
  }
  return std::nullopt;
}

/// The shape under which constant `c` broadcasts to `to` as it now does to its reshape `from`; nothing where there is none.
std::optional<Shape> constant_shape(const Tensor& c, const Shape& from, const Shape& to) {
  int64_t count = c.type.elements();
  if (count == 1) return Shape{};
  bool per_channel = !to.empty() && !from.empty() && count == from.back() && c.type.shape.back() == count && to.back() == count;
  if (per_channel) return Shape{count};
  return std::nullopt;
}

Result<bool> move_below(Graph& graph, NodeId id) {
  Node node = graph.node(id);
  if (!node.op->is(kElementwise) || node.outputs.size() != 1) return false;
  std::optional<size_t> at = reshaped_operand(graph, id);
  if (!at) return false;
  ValueId view = node.inputs[*at], y = node.outputs[0], x = graph.producer(view)->inputs[0];
  const Shape from = graph.type(view).shape, to = graph.type(x).shape;
  if (graph.type(y).shape != from || (graph.type(y).quant && graph.type(y).quant->per_axis())) return false;
  GraphBuilder builder(graph, node.origin, id);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i == *at) {
      node.inputs[i] = x;
      continue;
    }
    const Tensor* c = graph.constant(node.inputs[i]);
    std::optional<Shape> shape = c ? constant_shape(*c, from, to) : std::nullopt;
    if (!shape) return false;
    Result<ValueId> reshaped = reshape(builder, node.inputs[i], *shape);
    if (!reshaped) return std::move(reshaped).diagnostic();
    node.inputs[i] = *reshaped;
  }
  builder.set_name(graph.value(y).name);
  Result<ValueId> now = builder.add(*node.op, node.inputs, node.attrs);
  if (!now) return std::move(now).diagnostic();
  graph.set_onnx(*now, graph.value(y).onnx);
  Result<ValueId> below = reshape(builder, *now, from);
  if (!below) return std::move(below).diagnostic();
  replace_node(graph, id, *below);
  return true;
}

}  // namespace

Result<bool> simplify_reshapes(Graph& graph, PassContext& context) {
  bool changed = false;
  for (bool again = true; again; changed = changed || again) {
    again = false;
    for (NodeId id : graph.order()) {
      if (!graph.alive(id)) continue;
      Result<bool> applied = graph.node(id).op == &ops::reshape ? merge(graph, id) : move_below(graph, id);
      if (!applied) return applied;
      again = again || *applied;
    }
    if (Result<bool> swept = dead_code(graph, context); !swept) return swept;
  }
  return changed;
}

}  // namespace kiln
