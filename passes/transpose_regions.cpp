// SPDX-License-Identifier: Apache-2.0
#include "passes/transpose_regions.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "compiler/ops/movement.h"
#include "compiler/ops/op_util.h"
#include "passes/dead_code.h"

namespace kiln {
namespace {

using Perm = std::vector<int64_t>;

/// Whether the node computes in any order of dimensions.
bool is_flexible(const Graph& graph, const Node& node) {
  if (node.outputs.size() != 1 || graph.type(node.outputs[0]).rank() < 2) return false;
  const TensorType& type = graph.type(node.outputs[0]);
  if (type.quant && type.quant->scale.size() > 1) return false;  // the axis is not followed through hooks
  if (node.op->is(kElementwise)) return true;
  return node.op->permute && graph.type(node.inputs[0]).rank() == type.rank();
}

/// Whether operand `v` of a node is permuted with it: elementwise operators broadcast (a single element needs no order), others permute
/// the operands that have all dimensions.
bool is_permuted_operand(const Graph& graph, const Node& node, ValueId v) {
  if (v == kNoValue) return false;
  const TensorType& type = graph.type(v);
  if (node.op->is(kElementwise)) return type.rank() > 0;
  return type.rank() == graph.type(node.outputs[0]).rank();
}

struct Region {
  std::vector<NodeId> nodes;  ///< in the graph's order
  std::set<NodeId> members;
  size_t rank = 0;
};

/// The region around `start`, whose nodes are taken from `left`.
Region collect_region(const Graph& graph, NodeId start, std::set<NodeId>& left) {
  Region region;
  region.rank = graph.type(graph.node(start).outputs[0]).shape.size();
  std::vector<NodeId> queue = {start};
  auto visit = [&](NodeId id) {
    if (id != kNoNode && left.count(id) && graph.type(graph.node(id).outputs[0]).shape.size() == region.rank) queue.push_back(id);
  };
  while (!queue.empty()) {
    NodeId id = queue.back();
    queue.pop_back();
    if (!left.erase(id)) continue;
    region.members.insert(id);
    const Node& node = graph.node(id);
    for (ValueId v : node.inputs)
      if (is_permuted_operand(graph, node, v)) visit(graph.value(v).producer);
    for (NodeId user : graph.value(node.outputs[0]).users)
      if (left.count(user) && is_permuted_operand(graph, graph.node(user), node.outputs[0])) visit(user);
  }
  region.nodes.assign(region.members.begin(), region.members.end());
  std::sort(region.nodes.begin(), region.nodes.end(), [&](NodeId a, NodeId b) { return graph.is_before(a, b); });
  return region;
}

/// The values that enter the region and would be permuted, each once, constants excepted.
std::vector<ValueId> entering(const Graph& graph, const Region& region) {
  std::vector<ValueId> values;
  std::set<ValueId> seen;
  for (NodeId id : region.nodes) {
    const Node& node = graph.node(id);
    for (ValueId v : node.inputs) {
      if (!is_permuted_operand(graph, node, v) || graph.constant(v) || region.members.count(graph.value(v).producer)) continue;
      if (seen.insert(v).second) values.push_back(v);
    }
  }
  return values;
}

bool is_outside(const Graph& graph, const Region& region, NodeId user, ValueId v) {
  return !region.members.count(user) || !is_permuted_operand(graph, graph.node(user), v);
}

bool has_outside_user(const Graph& graph, const Region& region, ValueId v) {
  const std::vector<NodeId>& users = graph.value(v).users;
  return std::any_of(users.begin(), users.end(), [&](NodeId user) { return is_outside(graph, region, user, v); });
}

/// Each once.
std::set<NodeId> outside_users(const Graph& graph, const Region& region, ValueId v) {
  std::set<NodeId> users;
  for (NodeId user : graph.value(v).users)
    if (is_outside(graph, region, user, v)) users.insert(user);
  return users;
}

struct Cost {
  int64_t elements = 0;  ///< moved by transposes at the border
  int64_t entries = 0;   ///< transposes before the region
  bool operator<(const Cost& o) const { return elements != o.elements ? elements < o.elements : entries < o.entries; }
};

Shape full_rank(const Shape& shape, size_t rank) {
  Shape full(rank - shape.size(), 1);
  full.insert(full.end(), shape.begin(), shape.end());
  return full;
}

void add_entry_cost(const Graph& graph, const Region& region, ValueId v, const Perm& p, Cost& cost) {
  const Node* producer = graph.producer(v);
  bool is_transpose = producer && producer->op == &ops::transpose && graph.type(v).shape.size() == region.rank;
  if (!is_transpose) {
    int64_t moved = transposed_elements(full_rank(graph.type(v).shape, region.rank), p);
    cost.elements += moved;
    cost.entries += moved > 0;
    return;
  }
  bool stays = graph.is_output(v) || has_outside_user(graph, region, v);
  bool unchanged = is_identity_permutation(p);
  int64_t now = transposed_elements(graph.type(producer->inputs[0]).shape, permute(perm_of(*producer), p));
  if (stays && !unchanged) cost.elements += graph.type(v).elements();
  cost.elements += now;
  cost.entries += now > 0;
}

void add_exit_cost(const Graph& graph, const Region& region, ValueId u, const Perm& p, Cost& cost) {
  Perm back = inverse_permutation(p);
  Shape permuted = permute(graph.type(u).shape, p);
  std::set<Perm> wanted;  // orders in which the outside reads u, as permutations of the permuted value
  if (graph.is_output(u)) wanted.insert(back);
  for (NodeId user : outside_users(graph, region, u)) {
    const Node& node = graph.node(user);
    wanted.insert(node.op == &ops::transpose ? permute(back, perm_of(node)) : back);
  }
  for (const Perm& perm : wanted) cost.elements += transposed_elements(permuted, perm);
}

/// Nothing where an operator of the region cannot be permuted so.
std::optional<Cost> region_cost(const Graph& graph, const Region& region, const Perm& p) {
  Cost cost;
  for (NodeId id : region.nodes) {
    const Node& node = graph.node(id);
    Attrs attrs = node.attrs;
    if (node.op->permute && !node.op->permute(graph.args(id), p, attrs)) return std::nullopt;
    add_exit_cost(graph, region, node.outputs[0], p, cost);
  }
  for (ValueId v : entering(graph, region)) add_entry_cost(graph, region, v, p, cost);
  return cost;
}

/// More permutations are not tried of one region, which may be as large as the model.
constexpr size_t kMostCandidates = 24;

/// The permutations that cancel a transpose at the border.
std::set<Perm> candidates(const Graph& graph, const Region& region) {
  std::set<Perm> perms;
  for (ValueId v : entering(graph, region)) {
    const Node* producer = graph.producer(v);
    if (producer && producer->op == &ops::transpose && perm_of(*producer).size() == region.rank) perms.insert(inverse_permutation(perm_of(*producer)));
  }
  for (NodeId id : region.nodes)
    for (NodeId user : outside_users(graph, region, graph.node(id).outputs[0]))
      if (graph.node(user).op == &ops::transpose) perms.insert(perm_of(graph.node(user)));
  return perms;
}

/// The best permutation of the region; the identity when nothing is better than the present order.
Perm cheapest(const Graph& graph, const Region& region) {
  Perm best(region.rank);
  std::iota(best.begin(), best.end(), 0);
  std::optional<Cost> least = region_cost(graph, region, best);
  size_t tried = 0;
  for (const Perm& p : candidates(graph, region)) {
    if (tried++ == kMostCandidates) break;
    std::optional<Cost> cost = region_cost(graph, region, p);
    if (!cost || (least && !(*cost < *least))) continue;
    least = cost;
    best = p;
  }
  return best;
}

/// Rebuilds a region with all its values permuted.
class RegionRewriter {
 public:
  RegionRewriter(Graph& graph, const Region& region, Perm p) : graph_(graph), region_(region), p_(std::move(p)) {}

  Status run() {
    for (NodeId id : region_.nodes)
      if (Status s = rebuild(id); !s) return s;
    for (NodeId id : region_.nodes)
      if (Status s = hand_out(id); !s) return s;
    for (auto id = region_.nodes.rbegin(); id != region_.nodes.rend(); ++id) graph_.erase(*id);
    return Done{};
  }

 private:
  /// `v` as the permuted region reads it.
  Result<ValueId> operand(GraphBuilder& builder, ValueId v) {
    if (auto it = permuted_.find(v); it != permuted_.end()) return it->second;
    builder.set_name(graph_.value(v).name);
    Result<ValueId> full = reshape(builder, v, full_rank(graph_.type(v).shape, region_.rank));
    if (!full) return full;
    Result<ValueId> moved = transpose(builder, *full, p_);
    if (moved) permuted_.emplace(v, *moved);
    return moved;
  }

  Status rebuild(NodeId id) {
    Node node = graph_.node(id);
    GraphBuilder builder(graph_, node.origin, id);
    std::vector<ValueId> inputs = node.inputs;
    for (ValueId& v : inputs) {
      if (!is_permuted_operand(graph_, node, v)) continue;
      Result<ValueId> moved = operand(builder, v);
      if (!moved) return std::move(moved).diagnostic();
      v = *moved;
    }
    Attrs attrs = node.attrs;
    if (node.op->permute) KILN_CHECK(node.op->permute(graph_.args(id), p_, attrs), "an operator changed its mind about a permutation");
    ValueId old = node.outputs[0];
    builder.set_name(graph_.value(old).name);
    Result<ValueId> now = builder.add(*node.op, std::move(inputs), std::move(attrs));
    if (!now) return std::move(now).diagnostic();
    KILN_CHECK(graph_.type(*now).shape == permute(graph_.type(old).shape, p_), "a permuted operator has another result");
    graph_.set_onnx(*now, permuted_onnx(graph_.value(old).onnx, graph_.type(old).shape, p_));
    permuted_.emplace(old, *now);
    return Done{};
  }

  /// Lets the outside read the permuted result of `id`, transposed back.
  Status hand_out(NodeId id) {
    ValueId old = graph_.node(id).outputs[0], now = permuted_.at(old);
    ValueId in_place = now;
    if (graph_.is_output(old) || has_outside_user(graph_, region_, old)) {
      GraphBuilder builder(graph_, graph_.node(id).origin, id);
      builder.set_name(graph_.value(old).name);
      Result<ValueId> back = transpose(builder, now, inverse_permutation(p_));
      if (!back) return std::move(back).diagnostic();
      in_place = *back;
      graph_.set_onnx(in_place, graph_.value(old).onnx);
    }
    std::string name = graph_.value(old).name;
    graph_.set_name(old, name + "_was");
    graph_.set_name(in_place, name);
    graph_.set_onnx(old, std::nullopt);
    graph_.replace_uses(old, in_place);
    return Done{};
  }

  Graph& graph_;
  const Region& region_;
  Perm p_;
  std::map<ValueId, ValueId> permuted_;
};

}  // namespace

int64_t transposed_elements(const Shape& shape, const std::vector<int64_t>& perm) {
  int64_t last = -1;
  for (int64_t dim : perm) {
    if (shape[static_cast<size_t>(dim)] == 1) continue;
    if (dim < last) return element_count(shape);
    last = dim;
  }
  return 0;
}

Result<bool> permute_regions(Graph& graph, Status (*tidy)(Graph&, ValueId)) {
  bool changed = false;
  std::set<NodeId> left;
  for (NodeId id : graph.order())
    if (is_flexible(graph, graph.node(id))) left.insert(id);
  for (NodeId start : graph.order()) {
    if (!left.count(start) || !graph.alive(start)) continue;
    Region region = collect_region(graph, start, left);
    Perm p = cheapest(graph, region);
    if (is_identity_permutation(p)) continue;
    const ValueId first_new{static_cast<uint32_t>(graph.value_count())};
    std::vector<NodeId> before;
    for (ValueId v : entering(graph, region)) before.push_back(graph.value(v).producer);
    if (Status s = RegionRewriter(graph, region, p).run(); !s) return std::move(s).diagnostic();
    if (Status s = tidy(graph, first_new); !s) return std::move(s).diagnostic();
    erase_dead(graph, std::move(before));
    changed = true;
  }
  return changed;
}

}  // namespace kiln
