// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kiln {
namespace {

Diagnostic violation(std::string message) { return error(DiagId::bad_ir_text, std::move(message)); }

/// The use lists are what the inputs of the nodes say.
Status verify_uses(const Graph& graph, const std::vector<NodeId>& order) {
  std::vector<std::vector<NodeId>> users(graph.value_count());
  for (NodeId id : order)
    for (ValueId v : graph.node(id).inputs)
      if (v != kNoValue) users[index(v)].push_back(id);
  for (size_t i = 0; i < users.size(); ++i) {
    const Value& value = graph.value(ValueId{static_cast<uint32_t>(i)});
    std::vector<NodeId> listed = value.users;
    std::sort(listed.begin(), listed.end());
    std::sort(users[i].begin(), users[i].end());
    if (listed != users[i]) return violation(fmt::format("the use list of {} is wrong.", value.name));
  }
  return Done{};
}

Status verify_node(const Graph& graph, NodeId id, const std::vector<bool>& defined, Stage stage) {
  const Node& node = graph.node(id);
  std::string where = fmt::format("node '{}' of {}", node.op->name, node.outputs.empty() ? "nothing" : graph.value(node.outputs[0]).name);
  if (!node.op->is_core() || !node.op->infer) return violation(fmt::format("{}: not a core operator.", where));
  if (node.origin.empty()) return violation(fmt::format("{}: no origin.", where));
  bool all_constant = !node.inputs.empty();
  for (ValueId v : node.inputs) {
    if (v == kNoValue) continue;
    if (!defined[index(v)]) return violation(fmt::format("{}: input {} is used before it is defined.", where, graph.value(v).name));
    all_constant = all_constant && graph.constant(v);
  }
  Result<std::vector<TensorType>> types = infer_types(graph.args(id));
  if (!types) return violation(fmt::format("{}: {}", where, types.diagnostic().message));
  if (types->size() != node.outputs.size())
    return violation(fmt::format("{}: {} outputs, inference says {}.", where, node.outputs.size(), types->size()));
  for (size_t i = 0; i < types->size(); ++i) {
    const Value& out = graph.value(node.outputs[i]);
    if (out.type != (*types)[i])
      return violation(fmt::format("{}: output {} is {}, inference says {}.", where, i, to_string(out.type), to_string((*types)[i])));
    if (out.producer != id || out.producer_output != i) return violation(fmt::format("{}: wrong producer of output {}.", where, i));
  }
  if (stage >= Stage::canonical && all_constant && node.op->eval)
    return violation(fmt::format("{}: all inputs are constant, yet it is not folded.", where));
  return Done{};
}

}  // namespace

Status verify(const Graph& graph, Stage stage) {
  std::vector<bool> defined(graph.value_count(), false);
  for (ValueId v : graph.inputs) defined[index(v)] = true;
  for (size_t i = 0; i < graph.value_count(); ++i)
    if (graph.value(ValueId{static_cast<uint32_t>(i)}).constant) defined[i] = true;
  const std::vector<NodeId> order = graph.order();
  if (Status s = verify_uses(graph, order); !s) return s;
  for (NodeId id : order) {
    if (Status s = verify_node(graph, id, defined, stage); !s) return s;
    for (ValueId v : graph.node(id).outputs) {
      if (defined[index(v)]) return violation(fmt::format("value {} is defined twice.", graph.value(v).name));
      defined[index(v)] = true;
    }
  }
  if (graph.outputs().empty()) return violation("the graph has no outputs.");
  for (ValueId v : graph.outputs())
    if (!defined[index(v)]) return violation(fmt::format("output {} is never defined.", graph.value(v).name));
  return Done{};
}

}  // namespace kiln
