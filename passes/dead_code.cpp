// SPDX-License-Identifier: Apache-2.0
#include "passes/dead_code.h"

#include <algorithm>

namespace kiln {

namespace {

bool is_dead(const Graph& graph, NodeId id) {
  const std::vector<ValueId>& results = graph.node(id).outputs;
  return std::none_of(results.begin(), results.end(), [&](ValueId v) { return !graph.value(v).users.empty() || graph.is_output(v); });
}

}  // namespace

void erase_dead(Graph& graph, std::vector<NodeId> suspects) {
  while (!suspects.empty()) {
    const NodeId id = suspects.back();
    suspects.pop_back();
    if (id == kNoNode || !graph.alive(id) || !is_dead(graph, id)) continue;
    const std::vector<ValueId> inputs = graph.node(id).inputs;
    graph.erase(id);
    for (ValueId v : inputs)
      if (v != kNoValue) suspects.push_back(graph.value(v).producer);
  }
}

Result<bool> dead_code(Graph& graph, PassContext&) {
  bool changed = false;
  std::vector<NodeId> order = graph.order();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    if (!is_dead(graph, *id)) continue;
    graph.erase(*id);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
