// SPDX-License-Identifier: Apache-2.0
#include "passes/cancel_transposes.h"

#include <algorithm>
#include <set>

#include "compiler/ops/movement.h"
#include "compiler/ops/op_util.h"
#include "passes/dead_code.h"
#include "passes/rewrite_util.h"
#include "passes/transpose_regions.h"

namespace kiln {
namespace {

using Perm = std::vector<int64_t>;

/// Rule 1. The builder composes with a transpose before and knows reshapes; what it returns is no transpose of a transpose.
Result<bool> simplify_transpose(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const Node* before = graph.producer(node.inputs[0]);
  bool composes = before && before->op == &ops::transpose;
  bool moves = transposed_elements(graph.type(node.inputs[0]).shape, perm_of(node)) > 0;
  bool per_axis = graph.type(node.inputs[0]).quant && graph.type(node.inputs[0]).quant->scale.size() > 1;
  if (!composes && (moves || per_axis) && !is_identity_permutation(perm_of(node))) return false;
  GraphBuilder builder(graph, composes ? joined_origin(*before, node) : node.origin, id);
  builder.set_name(graph.value(node.outputs[0]).name);
  Result<ValueId> now = transpose(builder, node.inputs[0], perm_of(node));
  if (!now) return std::move(now).diagnostic();
  replace_node(graph, id, *now);
  return true;
}

/// A reshape as groups of neighbouring dimensions: `from` dimensions [from_begin, from_end) become `to` dimensions [to_begin, to_end) of as
/// many elements, more than none. As fine as possible.
struct Group {
  size_t from_begin, from_end, to_begin, to_end;
};
std::vector<Group> reshape_groups(const Shape& from, const Shape& to) {
  std::vector<Group> groups;
  size_t i = 0, k = 0;
  while (i < from.size() || k < to.size()) {
    Group g{i, i, k, k};
    int64_t a = i < from.size() ? from[i++] : 1, b = k < to.size() ? to[k++] : 1;
    while (a != b) (a < b ? a *= from[i++] : b *= to[k++]);
    while (i < from.size() && from[i] == 1) ++i;
    while (k < to.size() && to[k] == 1) ++k;
    g.from_end = i;
    g.to_end = k;
    groups.push_back(g);
  }
  return groups;
}

/// Rule 3 for the transpose w -> v with `perm` and the reshape v -> `to`: the shape w takes and the permutation that then gives `to`.
struct Sunk {
  Shape shape;
  Perm perm;
};
std::optional<Sunk> sink_below_reshape(const Shape& w, const Perm& perm, const Shape& to) {
  struct Piece {
    int64_t first;  ///< in w
    Group group;
  };
  std::vector<Piece> pieces;
  for (const Group& g : reshape_groups(permute(w, perm), to)) {
    int64_t first = -1, last = -1;
    for (size_t i = g.from_begin; i < g.from_end; ++i) {
      if (w[static_cast<size_t>(perm[i])] == 1) continue;
      for (int64_t between = last + 1; last >= 0 && between < perm[i]; ++between)
        if (w[static_cast<size_t>(between)] != 1) return std::nullopt;
      if (perm[i] < last) return std::nullopt;
      if (first < 0) first = perm[i];
      last = perm[i];
    }
    if (first < 0) first = pieces.empty() ? -1 : pieces.back().first;  // one element: stays behind its neighbour
    pieces.push_back({first, g});
  }
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
    return a.first != b.first ? a.first < b.first : a.group.to_begin < b.group.to_begin;
  });
  Sunk sunk;
  sunk.perm.resize(to.size());
  for (const Piece& piece : pieces)
    for (size_t k = piece.group.to_begin; k < piece.group.to_end; ++k) {
      sunk.perm[k] = static_cast<int64_t>(sunk.shape.size());
      sunk.shape.push_back(to[k]);
    }
  return sunk;
}

/// The transpose that alone feeds node `id`, which must be a reshape; or kNoNode.
NodeId transpose_before(const Graph& graph, NodeId id) {
  ValueId v = graph.node(id).inputs[0];
  const Node* producer = graph.producer(v);
  bool fits = producer && producer->op == &ops::transpose && graph.only_user(v) == id && graph.type(v).elements() > 0 && !(graph.type(v).quant && graph.type(v).quant->per_axis());
  return fits ? graph.value(v).producer : kNoNode;
}

/// Whether a transpose of the reshape's result has a chance to meet its inverse.
bool may_cancel_below(const Graph& graph, ValueId y) {
  const std::vector<NodeId>& users = graph.value(y).users;
  return std::any_of(users.begin(), users.end(), [&](NodeId user) {
    const OpDef* op = graph.node(user).op;
    return op == &ops::transpose || op->is(kElementwise) || op->permute;
  });
}

Result<bool> sink_reshape(Graph& graph, NodeId id) {
  NodeId above = transpose_before(graph, id);
  if (above == kNoNode) return false;
  ValueId w = graph.node(above).inputs[0], y = graph.node(id).outputs[0];
  std::optional<Sunk> sunk = sink_below_reshape(graph.type(w).shape, perm_of(graph.node(above)), graph.type(y).shape);
  if (!sunk || (transposed_elements(sunk->shape, sunk->perm) > 0 && !may_cancel_below(graph, y))) return false;
  GraphBuilder builder(graph, joined_origin(graph.node(above), graph.node(id)), id);
  builder.set_name(graph.value(y).name);
  Result<ValueId> flat = reshape(builder, w, sunk->shape);
  if (!flat) return std::move(flat).diagnostic();
  Result<ValueId> now = transpose(builder, *flat, sunk->perm);
  if (!now) return std::move(now).diagnostic();
  replace_node(graph, id, *now);
  return true;
}

/// Rule 4.
Result<bool> permute_dense_columns(Graph& graph, NodeId id) {
  Node dense = graph.node(id);
  const Tensor* weights = graph.constant(dense.inputs[1]);
  NodeId flatten = graph.value(dense.inputs[0]).producer;
  if (!weights || flatten == kNoNode || graph.node(flatten).op != &ops::reshape || graph.only_user(dense.inputs[0]) != id) return false;
  NodeId above = transpose_before(graph, flatten);
  if (above == kNoNode) return false;
  Perm perm = perm_of(graph.node(above));
  ValueId w = graph.node(above).inputs[0], flat = dense.inputs[0];
  const Shape v = graph.type(graph.node(above).outputs[0]).shape;
  size_t split = 0;  // dimensions of v from here on become the columns
  while (split < v.size() && product(v, split, v.size()) != graph.type(flat).shape.back()) ++split;
  for (size_t i = 0; i < split; ++i)
    if (perm[i] != static_cast<int64_t>(i)) return false;
  if (split == v.size()) return false;

  GraphBuilder builder(graph, joined_origin(graph.node(above), dense), id);
  builder.set_name(graph.value(dense.inputs[1]).name);
  Shape columns = {weights->type.shape[0]};
  columns.insert(columns.end(), v.begin() + static_cast<std::ptrdiff_t>(split), v.end());
  Perm order = {0}, back = inverse_permutation(perm);
  for (size_t i = split; i < v.size(); ++i) order.push_back(1 + back[i] - static_cast<int64_t>(split));
  Shape matrix = weights->type.shape;
  Result<ValueId> moved = reshape(builder, dense.inputs[1], columns);
  if (moved) moved = transpose(builder, *moved, order);
  if (moved) moved = reshape(builder, *moved, matrix);
  if (!moved) return std::move(moved).diagnostic();
  builder.set_name(graph.value(flat).name);
  Result<ValueId> now = reshape(builder, w, graph.type(flat).shape);
  if (!now) return std::move(now).diagnostic();
  graph.set_input(id, 0, *now);
  graph.set_input(id, 1, *moved);
  return true;
}

/// Applies `rule` to the nodes of operator `op`.
Result<bool> sweep(Graph& graph, PassContext& context, const OpDef& op, Result<bool> (*rule)(Graph&, NodeId)) {
  bool changed = false;
  for (NodeId id : graph.order()) {
    if (!graph.alive(id) || graph.node(id).op != &op) continue;
    Result<bool> applied = rule(graph, id);
    if (!applied) return applied;
    changed = changed || *applied;
  }
  if (Result<bool> swept = dead_code(graph, context); !swept) return swept;
  return changed;
}

Result<bool> simplify_transposes(Graph& graph, PassContext& context) { return sweep(graph, context, ops::transpose, simplify_transpose); }

/// What `simplify_transposes` does, after a change whose new values begin with `first_new`: only transposes near those can be simpler now.
Status simplify_new_transposes(Graph& graph, ValueId first_new) {
  auto is_before = [&](NodeId a, NodeId b) { return graph.is_before(a, b); };
  std::set<NodeId, decltype(is_before)> todo(is_before);
  std::vector<NodeId> suspects;  // of being dead
  auto look_at_users = [&](ValueId v) {
    for (NodeId user : graph.value(v).users)
      if (graph.node(user).op == &ops::transpose) todo.insert(user);
  };
  for (size_t i = index(first_new); i < graph.value_count(); ++i) {
    const ValueId v{static_cast<uint32_t>(i)};
    const NodeId producer = graph.value(v).producer;
    if (producer == kNoNode || !graph.alive(producer)) continue;
    if (graph.node(producer).op == &ops::transpose) todo.insert(producer);
    look_at_users(v);
    suspects.push_back(producer);
  }
  while (!todo.empty()) {
    const NodeId id = *todo.begin();
    todo.erase(todo.begin());
    const std::vector<NodeId> users = graph.value(graph.node(id).outputs[0]).users;
    suspects.push_back(graph.value(graph.node(id).inputs[0]).producer);
    const size_t values = graph.value_count();
    Result<bool> applied = simplify_transpose(graph, id);
    if (!applied) return std::move(applied).diagnostic();
    if (!*applied) continue;
    for (NodeId user : users)
      if (graph.node(user).op == &ops::transpose) todo.insert(user);
    for (size_t i = values; i < graph.value_count(); ++i) suspects.push_back(graph.value(ValueId{static_cast<uint32_t>(i)}).producer);
  }
  erase_dead(graph, std::move(suspects));
  return Done{};
}

/// One step: the first rule that applies anywhere. Reshapes come after regions, which look for transposes right at their border.
Result<bool> step(Graph& graph, PassContext& context, const std::vector<NodeId>& order) {
  for (auto id = order.rbegin(); id != order.rend(); ++id) hand_onnx_up(graph, graph.node(*id).outputs[0]);
  Result<bool> changed = simplify_transposes(graph, context);
  if (changed && !*changed) changed = permute_regions(graph, simplify_new_transposes);
  if (changed && !*changed) changed = sweep(graph, context, ops::reshape, sink_reshape);
  if (changed && !*changed) changed = sweep(graph, context, ops::dense, permute_dense_columns);
  return changed;
}

/// Steps end when they have looked at so many nodes, and at each node of the graph so often.
constexpr size_t kMostVisits = 3'000'000;
constexpr size_t kMostVisitsOfNode = 30;

}  // namespace

Result<bool> cancel_transposes(Graph& graph, PassContext& context) {
  Result<bool> swept = dead_code(graph, context);  // dead readers would keep transposes alive
  if (!swept) return swept;
  bool changed = *swept;
  const size_t most = kMostVisits + kMostVisitsOfNode * graph.order().size();
  for (size_t looked_at = 0; looked_at < most;) {
    const std::vector<NodeId> order = graph.order();
    looked_at += order.size() + 1;
    Result<bool> again = step(graph, context, order);
    if (!again) return again;
    if (!*again) return changed;
    changed = true;
  }
  return changed;
}

}  // namespace kiln
