// SPDX-License-Identifier: Apache-2.0
#include "passes/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "compiler/ops/movement.h"
#include "compiler/program/lowering.h"

namespace kiln {
namespace {

std::string where(const Node& node) { return fmt::format("'{}' ({})", fmt::join(node.origin, "', '"), node.op->name); }

/// "scores", unique among `taken`.
std::string io_c_name(const std::string& onnx_name, std::set<std::string>& taken) {
  std::string base = c_identifier(onnx_name), name = base;
  for (int i = 1; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
  return name;
}

/// A plain copy of a whole tensor.
Step copy_step(const Program& program, TensorId from, TensorId to, const std::string& output) {
  const TensorType& type = program.tensor(from).type;
  Step step;
  step.label = "copy";
  step.origin = {fmt::format("output {}", output)};
  step.input_shape = step.output_shape = type.shape;
  step.call.family = "copy";
  step.call.descriptor = copy_descriptor({{type.elements()}, {1}, {1}});
  step.call.inputs = {from};
  step.call.outputs = {to};
  return step;
}

}  // namespace

Result<Program> lower(const Graph& graph, const std::string& name, PassContext&) {
  Program program;
  program.name = name;
  Lowering lowering(graph, program);
  std::set<std::string> input_names, output_names;
  auto io_name = [&](ValueId v) { return graph.value(v).onnx ? graph.value(v).onnx->name : graph.value(v).name; };
  for (ValueId v : graph.inputs) {
    TensorId id = lowering.tensor(v);
    program.inputs.push_back({io_name(v), io_c_name(io_name(v), input_names), id});
  }
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!node.op->lower)
      return error(DiagId::unsupported_node, "this operator cannot be compiled when its inputs are not constant.").at_node(where(node));
    if (Status s = node.op->lower(graph, node, lowering); !s) return std::move(s).diagnostic().at_node(where(node));
  }
  std::set<TensorId> taken;
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    ValueId v = graph.outputs()[i];
    std::string onnx_name = graph.output_name(i);
    TensorId id = lowering.tensor(v);
    TensorId root = program.root(id).base;
    bool is_input = std::any_of(program.inputs.begin(), program.inputs.end(), [&](const IoTensor& io) { return io.tensor == root; });
    if (program.tensor(root).constant || is_input) {
      TensorId copy = lowering.temporary(graph.type(v), onnx_name);
      program.tensor(copy).onnx = graph.value(v).onnx;
      program.steps.push_back(copy_step(program, id, copy, onnx_name));
      id = copy;
    }
    program.outputs.push_back({onnx_name, io_c_name(onnx_name, output_names), id});
  }
  return program;
}

}  // namespace kiln
