// SPDX-License-Identifier: Apache-2.0
// Rule 1 of integer-layers: quantize and dequantize move towards each other through operators that move data.
#include <limits>

#include "passes/integer_rules.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// Whether results are elements of the operand, or the greatest or least of some, so that the grid's order is all that counts.
bool moves_elements(const OpDef& op) {
  return op.is(kMovesData | kView) || &op == &ops::max_pool2d || &op == &ops::reduce_max || &op == &ops::reduce_min;
}

/// Operands that carry elements to the result: the floats (indices and tables are not), but for the value that pad fills with.
std::vector<size_t> moved_operands(const Graph& graph, const Node& node) {
  std::vector<size_t> moved;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    bool is_filling = node.op == &ops::pad && i == 1;
    bool is_table = node.op == &ops::resize_nearest2d && i > 0;
    if (node.inputs[i] != kNoValue && graph.type(node.inputs[i]).dtype == DType::f32 && !is_filling && !is_table) moved.push_back(i);
  }
  return moved;
}

/// The value that pad fills with, on the grid; nothing when it is computed or lies beside the grid.
std::optional<Tensor> stored_filling(const Graph& graph, const Node& node, const Quant& quant) {
  float value = 0;
  if (node.inputs.size() > 1 && node.inputs[1] != kNoValue) {
    const Tensor* constant = graph.constant(node.inputs[1]);
    if (!constant || constant->type.dtype != DType::f32) return std::nullopt;
    value = constant->as<float>()[0];
  }
  Tensor floats = Tensor::floats({}, {value});
  floats.type.quant = quant;
  std::optional<Tensor> filling = stored_integers(floats);
  if (filling) filling->type.quant.reset();
  return filling;
}

/// The operands of a moving node with integers in place of floats; nothing when a filling cannot be stored. `integers` are those
/// of moved_operands.
std::optional<std::vector<ValueId>> integer_operands(GraphBuilder& b, const Node& node, const std::vector<size_t>& moved,
                                                     const std::vector<ValueId>& integers, const Quant& quant) {
  std::vector<ValueId> inputs = node.inputs;
  for (size_t k = 0; k < moved.size(); ++k) inputs[moved[k]] = integers[k];
  bool fills = node.op == &ops::pad && node.attrs.s("mode", "constant") == "constant";
  if (!fills) return inputs;
  std::optional<Tensor> filling = stored_filling(b.graph(), node, quant);
  if (!filling) return std::nullopt;
  inputs.resize(2, kNoValue);
  inputs[1] = b.add_constant(*std::move(filling));
  return inputs;
}

bool fills_on_grid(const Graph& graph, const Node& node, const Quant& quant) {
  bool fills = node.op == &ops::pad && node.attrs.s("mode", "constant") == "constant";
  return !fills || stored_filling(graph, node, quant);
}

/// The grid of all moved operands, if they are dequantized and share one.
std::optional<Quant> shared_grid(const Graph& graph, const Node& node, const std::vector<size_t>& moved) {
  std::optional<Quant> shared;
  bool computed = false;
  for (size_t i : moved) {
    std::optional<Quant> grid = tensor_grid_of(graph, node.inputs[i]);
    if (!grid || (shared && *shared != *grid)) return std::nullopt;
    shared = grid;
    computed = computed || graph.producer(node.inputs[i]);
  }
  return computed ? shared : std::nullopt;
}

}  // namespace

Result<bool> sink_dequantize(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (!moves_elements(*node.op) || node.outputs.size() != 1) return false;
  std::vector<size_t> moved = moved_operands(graph, node);
  std::optional<Quant> quant = shared_grid(graph, node, moved);
  if (!quant || !fills_on_grid(graph, node, *quant)) return false;
  GraphBuilder b(graph, node.origin, id);
  b.set_name(graph.value(node.outputs[0]).name + "_stored");
  std::vector<ValueId> integers;
  for (size_t i : moved) integers.push_back(stored(b, node.inputs[i]));
  Result<ValueId> y = b.add(*node.op, *integer_operands(b, node, moved, integers, *quant), node.attrs);
  if (!y) return std::move(y).diagnostic();
  Result<ValueId> floats = b.add(ops::dequantize, {*y}, quant_attrs(*quant));
  if (!floats) return std::move(floats).diagnostic();
  replace_node(graph, id, *floats);
  return true;
}

Result<bool> lift_quantize(Graph& graph, NodeId id) {
  const Node quantize = graph.node(id);
  if (quantize.op != &ops::quantize || quantize.attrs.has("quant_axis")) return false;
  NodeId above = graph.value(quantize.inputs[0]).producer;
  if (above == kNoNode || graph.only_user(quantize.inputs[0]) != id) return false;
  const Node node = graph.node(above);
  const Quant quant = *graph.type(quantize.outputs[0]).quant;
  if (!moves_elements(*node.op) || node.outputs.size() != 1 || !fills_on_grid(graph, node, quant)) return false;
  if (node.op == &ops::pad && has_bounds(quantize.attrs)) return false;  // the filling may lie beyond them
  GraphBuilder b(graph, joined_origin(node, quantize), id);
  std::vector<size_t> moved = moved_operands(graph, node);
  std::vector<ValueId> integers;
  for (size_t i : moved) {
    b.set_name(graph.value(node.inputs[i]).name + "_stored");
    Result<ValueId> q = b.add(ops::quantize, {node.inputs[i]}, quantize.attrs);
    if (!q) return std::move(q).diagnostic();
    integers.push_back(*q);
  }
  b.set_name(graph.value(quantize.outputs[0]).name);
  Result<ValueId> y = b.add(*node.op, *integer_operands(b, node, moved, integers, quant), node.attrs);
  if (!y) return std::move(y).diagnostic();
  replace_node(graph, id, *y);
  graph.erase(above);
  return true;
}

Result<bool> cancel_conversions(Graph& graph, NodeId id) {
  const Node& quantize = graph.node(id);
  if (quantize.op != &ops::quantize) return false;
  const Node* dequantize = graph.producer(quantize.inputs[0]);
  if (!dequantize || dequantize->op != &ops::dequantize) return false;
  if (graph.type(quantize.inputs[0]).quant != graph.type(quantize.outputs[0]).quant || has_bounds(quantize.attrs)) return false;
  ValueId x = dequantize->inputs[0];
  for (float scale : graph.type(quantize.inputs[0]).quant->scale)
    if (scale < std::numeric_limits<float>::min()) return false;  // products with the least numbers are not exact
  replace_node(graph, id, x);
  return true;
}

}  // namespace kiln
