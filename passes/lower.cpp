// SPDX-License-Identifier: Apache-2.0
#include "passes/lower.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/movement.h"
#include "compiler/program/lowering.h"
#include "compiler/support/unique_names.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

std::string where(const Node& node) { return fmt::format("'{}' ({})", fmt::join(node.origin, "', '"), node.op->name); }

/// A plain copy of a whole tensor.
Step copy_step(const Program& program, TensorId from, TensorId to, std::string origin) {
  const TensorType& type = program.tensor(from).type;
  Step step;
  step.label = "copy";
  step.origin = {std::move(origin)};
  step.input_shape = step.output_shape = type.shape;
  step.call.family = "copy";
  step.call.descriptor = copy_descriptor({{type.elements()}, {1}, {1}});
  step.call.inputs = {from};
  step.call.outputs = {to};
  return step;
}

bool is_state(const Program& program, TensorId id) {
  return std::any_of(program.states.begin(), program.states.end(), [&](const StateTensor& state) { return state.tensor == id; });
}

StateTensor* find_state(Program& program, const std::string& output) {
  auto found = std::find_if(program.states.begin(), program.states.end(), [&](const StateTensor& state) { return state.output == output; });
  return found == program.states.end() ? nullptr : &*found;
}

/// `of` in bytes of its own.
TensorId copied(Lowering& lowering, ValueId value, TensorId of, const std::string& name) {
  TensorId copy = lowering.temporary(lowering.graph().type(value), name);
  lowering.program().tensor(copy).onnx = lowering.graph().value(value).onnx;
  lowering.program().steps.push_back(copy_step(lowering.program(), of, copy, fmt::format("output {}", name)));
  return copy;
}

/// The copies that end a run, when nothing reads the old states any more.
Status update_states(Program& program) {
  for (const StateTensor& state : program.states) {
    const TensorType &from = program.tensor(state.result).type, &to = program.tensor(state.tensor).type;
    if (from.dtype != to.dtype || (is_integer(to.dtype) && from.quant != to.quant))
      return error(DiagId::bad_state_option, fmt::format("--state {}={}: the output is {}, the input {}, or their scales differ.", state.output, state.input,
                                                         to_string(from), to_string(to)),
                   "feed it back in the application.");
    if (state.result == state.tensor) continue;
    program.steps.push_back(copy_step(program, state.result, state.tensor, fmt::format("state {}", state.input)));
  }
  return Done{};
}

}  // namespace

Result<Program> lower(const Graph& graph, const std::string& name, PassContext&, const std::vector<StatePair>& states) {
  Program program;
  program.name = name;
  Lowering lowering(graph, program);
  UniqueNames input_names, output_names;
  for (ValueId v : graph.inputs) {
    TensorId id = lowering.tensor(v);
    auto pair = std::find_if(states.begin(), states.end(), [&](const StatePair& p) { return p.input == input_name(graph, v); });
    if (pair == states.end()) {
      program.inputs.push_back({input_name(graph, v), input_names.take(c_identifier(input_name(graph, v))), id});
      continue;
    }
    program.states.push_back({pair->output, pair->input, program.inputs.size() + program.states.size(), id, id});
    if (pair->initial) program.states.back().initial = lowering.constant(*pair->initial, pair->input + "_initial");
  }
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!node.op->lower)
      return error(DiagId::unsupported_node, "this operator cannot be compiled when its inputs are not constant.").at_node(where(node));
    if (Status s = node.op->lower(graph.args(id), node, lowering); !s) return std::move(s).diagnostic().at_node(where(node));
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    ValueId v = graph.outputs()[i];
    std::string onnx_name = graph.output_name(i);
    TensorId id = lowering.tensor(v);
    TensorId root = program.root(id).base;
    if (StateTensor* state = find_state(program, onnx_name)) {
      // The old value of another state will be gone by then.
      state->result = id != state->tensor && is_state(program, root) ? copied(lowering, v, id, onnx_name) : id;
      continue;
    }
    if (program.tensor(root).constant || lowering.is_input(root)) id = copied(lowering, v, id, onnx_name);
    program.outputs.push_back({onnx_name, output_names.take(c_identifier(onnx_name)), id});
  }
  if (Status s = update_states(program); !s) return std::move(s).diagnostic();
  return program;
}

}  // namespace kiln
