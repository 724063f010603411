// SPDX-License-Identifier: Apache-2.0
#include "passes/integer_layers.h"

#include <fmt/format.h>

#include <algorithm>

#include "passes/common_subexpressions.h"
#include "passes/dead_code.h"
#include "passes/integer_rules.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

using Rule = Result<bool> (*)(Graph&, NodeId);

/// Applies the rules to every node, in order, until none applies any more.
Result<bool> apply_all(Graph& graph, PassContext& context, std::initializer_list<Rule> rules) {
  bool changed = false;
  for (bool again = true; again; changed = changed || again) {
    again = false;
    for (NodeId id : graph.order()) {
      for (Rule rule : rules) {
        if (!graph.alive(id)) break;
        Result<bool> applied = rule(graph, id);
        if (!applied) return applied;
        again = again || *applied;
      }
    }
    if (Result<bool> swept = dead_code(graph, context); !swept) return swept;
  }
  return changed;
}

/// Inputs of the model that hold integers take the grid on which the model reads them, for the bundle's interface. Not those that also meet
/// integers of other grids, or of none: such a model takes them for plain integers as well.
Result<bool> name_input_grids(Graph& graph) {
  bool named = false;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op != &ops::dequantize || node.attrs.has("quant_axis")) continue;
    ValueId x = node.inputs[0];
    for (const Node* mover = graph.producer(x); mover && mover->op->is(kMovesData); mover = graph.producer(x)) x = mover->inputs[0];
    if (!graph.is_input(x) || graph.type(x).quant) continue;
    const TensorType plain = graph.type(x);
    TensorType type = plain;
    type.quant = graph.type(node.outputs[0]).quant;
    graph.set_type(x, std::move(type));
    if (infer_types(graph)) {
      named = true;
      continue;
    }
    graph.set_type(x, plain);
    if (Status s = infer_types(graph); !s) return std::move(s).diagnostic();
  }
  return named;
}

bool has_conversions(const Graph& graph) {
  std::vector<NodeId> order = graph.order();
  return std::any_of(order.begin(), order.end(), [&](NodeId id) { return graph.node(id).op == &ops::quantize || graph.node(id).op == &ops::dequantize; });
}

std::string quoted(const Graph& graph, ValueId v) { return fmt::format("'{}'", graph.value(v).onnx ? graph.value(v).onnx->name : graph.value(v).name); }

bool is_float_value(const Graph& graph, ValueId v) { return v != kNoValue && is_float(graph.type(v).dtype); }

/// Operators that have an integer form.
bool has_integer_form(const Graph& graph, const Node& node) {
  const OpDef* const known[] = {&ops::conv2d, &ops::dense, &ops::matmul, &ops::average_pool2d, &ops::reduce_mean, &ops::softmax,
                                &ops::layer_norm, &ops::resize_linear2d};
  if (std::find(std::begin(known), std::end(known), node.op) != std::end(known)) return true;
  return node.op->is(kElementwise | kMovesData) && graph.type(node.outputs[0]).dtype == DType::f32;
}

}  // namespace

Result<bool> integer_layers(Graph& graph, PassContext& context) {
  if (!has_conversions(graph)) return false;
  Result<bool> named = name_input_grids(graph);
  if (!named) return named;
  Result<bool> merged = common_subexpressions(graph, context);
  if (!merged) return merged;
  bool changed = *named || *merged;
  for (bool again = true; again; changed = changed || again) {
    Result<bool> moved = apply_all(graph, context, {clamp_integers, sink_dequantize, cancel_conversions, lift_quantize, tabulate});
    if (!moved) return moved;
    Result<bool> turned = apply_all(graph, context, {integer_layer, integer_binary, integer_unary, integer_function});
    if (!turned) return turned;
    again = *moved || *turned;
  }
  Result<bool> fused = apply_all(graph, context, {fuse_clamp, clamp_floats});
  if (!fused) return fused;
  return changed || *fused;
}

Result<bool> integer_boundary(Graph& graph, const std::vector<StatePair>& states, PassContext& context) {
  bool changed = false;
  auto is_state = [&](const std::string& name, std::string StatePair::* end) { return std::ranges::any_of(states, [&](const StatePair& s) { return s.*end == name; }); };
  for (ValueId input : graph.inputs) {
    if (is_state(input_name(graph, input), &StatePair::input)) continue;
    std::vector<NodeId> users = graph.value(input).users;
    bool quantized = !users.empty() && !graph.is_output(input) && graph.type(input).dtype == DType::f32;
    for (NodeId user : users) {
      const Node& node = graph.node(user);
      quantized = quantized && node.op == &ops::quantize && !has_bounds(node.attrs) && node.attrs == graph.node(users[0]).attrs;
    }
    if (!quantized) continue;
    TensorType type = graph.type(graph.node(users[0]).outputs[0]);
    if (type.quant->per_axis()) continue;
    graph.set_type(input, std::move(type));
    for (NodeId user : users) {
      graph.replace_uses(graph.node(user).outputs[0], input);
      graph.erase(user);
    }
    changed = true;
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    if (is_state(graph.output_name(i), &StatePair::output)) continue;
    const Node* producer = graph.producer(graph.outputs()[i]);
    if (!producer || producer->op != &ops::dequantize || producer->attrs.has("quant_axis")) continue;
    graph.set_output(i, producer->inputs[0]);
    changed = true;
  }
  if (Result<bool> swept = dead_code(graph, context); !swept) return swept;
  return changed;
}

bool is_quantized(const Graph& graph) {
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(ValueId{static_cast<uint32_t>(i)});
    if (value.type.quant && (value.producer == kNoNode || graph.alive(value.producer))) return true;
  }
  return false;
}

std::string float_reason(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  bool touches_floats = is_float_value(graph, node.outputs[0]);
  for (ValueId v : node.inputs) touches_floats = touches_floats || (is_float_value(graph, v) && !graph.constant(v));
  if (!touches_floats) return {};
  if (node.op == &ops::quantize)
    return graph.is_input(node.inputs[0]) ? "" : fmt::format("{} is computed in float.", quoted(graph, node.inputs[0]));
  if (node.op == &ops::dequantize)
    return graph.is_output(node.outputs[0]) ? "" : fmt::format("{} is read as floats.", quoted(graph, node.inputs[0]));
  if (!has_integer_form(graph, node)) return fmt::format("'{}' has no integer form.", node.op->name);
  for (ValueId v : node.inputs) {
    if (!is_float_value(graph, v)) continue;
    if (graph.constant(v) && !grid_of(graph, v) && !uniform_constant(graph, v)) return fmt::format("constant {} is not quantized.", quoted(graph, v));
    if (!graph.constant(v) && !grid_of(graph, v)) return fmt::format("operand {} is not quantized.", quoted(graph, v));
  }
  bool wide_softmax = node.op == &ops::softmax && element_bytes(grid_of(graph, node.inputs[0])->dtype) > 1;
  if (wide_softmax) return "'softmax' of 16-bit integers has no integer form.";
  return fmt::format("its result {} is not quantized.", quoted(graph, node.outputs[0]));
}

}  // namespace kiln
