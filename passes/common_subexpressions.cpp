// SPDX-License-Identifier: Apache-2.0
#include "passes/common_subexpressions.h"

#include <fmt/format.h>

#include <map>
#include <string>

#include "compiler/ir/print.h"
#include "compiler/support/hash.h"

namespace kiln {
namespace {

std::string constant_key(const Tensor& tensor) { return print_type(tensor.type) + sha256(tensor.bytes()); }

std::string node_key(const Node& node) {
  std::string key = fmt::format("{}(", node.op->name);
  for (ValueId v : node.inputs) key += fmt::format("{},", index(v));
  for (const auto& [name, attr] : node.attrs.all()) key += fmt::format("{}={};", name, print_attr(attr));
  return key;
}

bool merge_constants(Graph& graph) {
  bool changed = false;
  std::map<std::string, ValueId> first;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    ValueId v{static_cast<uint32_t>(i)};
    if (!graph.constant(v) || (graph.value(v).users.empty() && !graph.is_output(v))) continue;
    auto [it, is_new] = first.emplace(constant_key(*graph.constant(v)), v);
    if (is_new) continue;
    graph.replace_uses(v, it->second);
    changed = true;
  }
  return changed;
}

}  // namespace

Result<bool> common_subexpressions(Graph& graph, PassContext&) {
  bool changed = merge_constants(graph);
  std::map<std::string, NodeId> first;
  for (NodeId id : graph.order()) {
    auto [it, is_new] = first.emplace(node_key(graph.node(id)), id);
    if (is_new) continue;
    graph.add_origin(it->second, graph.node(id).origin);
    for (size_t i = 0; i < graph.node(id).outputs.size(); ++i) graph.replace_uses(graph.node(id).outputs[i], graph.node(it->second).outputs[i]);
    graph.erase(id);
    changed = true;
  }
  return changed;
}

}  // namespace kiln
