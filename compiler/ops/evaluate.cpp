// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/evaluate.h"

#include <fmt/format.h>

#include <utility>

namespace kiln {
Result<std::vector<Tensor>> evaluate_node(const Graph& graph, NodeId id, const std::vector<const Tensor*>& operands) {
  const Node& node = graph.node(id);
  OpArgs args = graph.args(id);
  args.constants = operands;
  if (!node.op->eval)
    return error(DiagId::unsupported_node, fmt::format("operator '{}' cannot be evaluated in the compiler.", node.op->name))
        .at_node(node.origin[0]);
  Result<std::vector<Tensor>> out = node.op->eval(args);
  if (!out) return std::move(out).diagnostic().at_node(node.origin[0]);
  return out;
}

Result<std::vector<std::optional<Tensor>>> evaluate_values(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::vector<std::optional<Tensor>> values(graph.value_count());
  if (inputs.size() != graph.inputs.size())
    return error(DiagId::bad_input_data,
                 fmt::format("{} input tensors are given, the graph takes {}.", inputs.size(), graph.inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& v = graph.value(graph.inputs[i]);
    if (inputs[i].type.dtype != v.type.dtype || inputs[i].type.shape != v.type.shape)
      return error(DiagId::bad_input_data,
                   fmt::format("input {} is {}, the graph takes {}.", v.name, to_string(inputs[i].type), to_string(v.type)));
    values[index(graph.inputs[i])] = inputs[i];
  }
  for (size_t i = 0; i < values.size(); ++i)
    if (const Tensor* constant = graph.constant(ValueId{static_cast<uint32_t>(i)})) values[i] = *constant;
  for (NodeId id : graph.order()) {
    std::vector<const Tensor*> operands;
    for (ValueId v : graph.node(id).inputs) operands.push_back(v == kNoValue ? nullptr : &*values[index(v)]);
    Result<std::vector<Tensor>> out = evaluate_node(graph, id, operands);
    if (!out) return std::move(out).diagnostic();
    const std::vector<ValueId>& outputs = graph.node(id).outputs;
    KILN_CHECK(out->size() == outputs.size(), fmt::format("eval of '{}' returns {} tensors", graph.node(id).op->name, out->size()));
    for (size_t i = 0; i < outputs.size(); ++i) values[index(outputs[i])] = std::move((*out)[i]);
  }
  return values;
}

Result<std::vector<Tensor>> evaluate(const Graph& graph, const std::vector<Tensor>& inputs) {
  Result<std::vector<std::optional<Tensor>>> values = evaluate_values(graph, inputs);
  if (!values) return std::move(values).diagnostic();
  std::vector<Tensor> outputs;
  for (ValueId v : graph.outputs()) outputs.push_back(*(*values)[index(v)]);
  return outputs;
}

}  // namespace kiln
