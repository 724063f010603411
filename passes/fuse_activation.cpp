// SPDX-License-Identifier: Apache-2.0
#include "passes/fuse_activation.h"

#include "passes/rewrite_util.h"

namespace kiln {
namespace {

bool can_fuse(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!node.op->is(kUnary)) return false;
  const Node* producer = graph.producer(node.inputs[0]);
  return producer && producer->op->is(kFusesActivation) && !producer->attrs.has("act") && graph.only_user(node.inputs[0]) == id &&
         graph.type(node.inputs[0]) == graph.type(node.outputs[0]);
}

}  // namespace

Result<bool> fuse_activation(Graph& graph, PassContext&) {
  bool changed = false;
  for (NodeId id : graph.order()) {
    if (!can_fuse(graph, id)) continue;
    const Node& node = graph.node(id);
    ValueId x = node.inputs[0];
    NodeId producer = graph.value(x).producer;
    graph.set_attr(producer, "act", std::string(node.op->functor));
    for (const char* parameter : {"alpha", "beta"})
      if (node.attrs.has(parameter)) graph.set_attr(producer, parameter, node.attrs.f(parameter));
    graph.add_origin(producer, node.origin);
    ValueId y = node.outputs[0];
    take_identity(graph, y, x);
    graph.replace_uses(y, x);
    graph.erase(id);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
