// SPDX-License-Identifier: Apache-2.0
#include "passes/rewrite_util.h"

#include <algorithm>
#include <string>

#include "compiler/ir/limits.h"

namespace kiln {

std::string input_name(const Graph& graph, ValueId input) { return graph.value(input).onnx ? graph.value(input).onnx->name : graph.value(input).name; }

void take_identity(Graph& graph, ValueId from, ValueId to) {
  std::string name = graph.value(from).name;
  graph.set_name(from, name + "_was");
  graph.set_name(to, name);
  graph.set_onnx(to, graph.value(from).onnx);
}

void replace_node(Graph& graph, NodeId old, ValueId now) {
  ValueId from = graph.node(old).outputs[0];
  if (graph.producer(now) && !graph.value(now).onnx && !graph.is_output(now)) take_identity(graph, from, now);
  graph.replace_uses(from, now);
  graph.erase(old);
}

Status infer_types(Graph& graph) {
  for (NodeId id : graph.order()) {
    Result<std::vector<TensorType>> types = infer_types(graph.args(id));
    if (!types) return std::move(types).diagnostic();
    for (size_t i = 0; i < types->size(); ++i) graph.set_type(graph.node(id).outputs[i], std::move((*types)[i]));
  }
  return Done{};
}

std::vector<std::string> joined_origin(const Node& first, const Node& second) {
  std::vector<std::string> origin = first.origin;
  for (const std::string& name : second.origin) {
    if (origin.size() >= limits::kOrigins) break;
    if (std::find(origin.begin(), origin.end(), name) == origin.end()) origin.push_back(name);
  }
  return origin;
}

std::optional<double> uniform_constant(const Graph& graph, ValueId value) {
  const Tensor* constant = graph.constant(value);
  if (!constant || constant->type.elements() == 0 || constant->type.dtype == DType::f16 || constant->type.dtype == DType::bf16) return std::nullopt;
  return with_storage_type(constant->type.dtype, [&]<class T>() -> std::optional<double> {
    std::span<const T> elements = constant->as<T>();
    if (!std::all_of(elements.begin(), elements.end(), [&](T e) { return e == elements[0]; })) return std::nullopt;
    return static_cast<double>(elements[0]);
  });
}

}  // namespace kiln
