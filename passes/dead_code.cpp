// SPDX-License-Identifier: Apache-2.0
#include "passes/dead_code.h"

#include <algorithm>

namespace kiln {

Result<bool> dead_code(Graph& graph, PassContext&) {
  bool changed = false;
  std::vector<NodeId> order = graph.order();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const std::vector<ValueId>& results = graph.node(*id).outputs;
    if (std::any_of(results.begin(), results.end(), [&](ValueId v) { return !graph.value(v).users.empty() || graph.is_output(v); })) continue;
    graph.erase(*id);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
