// SPDX-License-Identifier: Apache-2.0
#include "passes/fold_constants.h"

#include <algorithm>

#include "passes/rewrite_util.h"

namespace kiln {

Result<bool> fold_constants(Graph& graph, PassContext&) {
  bool changed = false;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    auto constant = [&](ValueId v) { return v == kNoValue || graph.constant(v); };
    if (!node.op->eval || node.inputs.empty() || !std::all_of(node.inputs.begin(), node.inputs.end(), constant)) continue;
    Result<std::vector<Tensor>> tensors = fold(graph.args(id));
    if (!tensors) return std::move(tensors).diagnostic().at_node(node.origin[0]);
    std::vector<ValueId> outputs = node.outputs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      ValueId folded = graph.add_constant(graph.value(outputs[i]).name, std::move((*tensors)[i]));
      take_identity(graph, outputs[i], folded);
      graph.replace_uses(outputs[i], folded);
    }
    graph.erase(id);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
