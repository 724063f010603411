// SPDX-License-Identifier: Apache-2.0
// Rule 2 of integer-layers: functions of one 8-bit tensor as tables.
#include <algorithm>
#include <map>
#include <set>

#include "passes/integer_rules.h"
#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// The elementwise nodes between a dequantized tensor and a value that depends on nothing else but single numbers.
struct Cone {
  ValueId source = kNoValue;     ///< the result of the dequantize node(s)
  ValueId integers = kNoValue;   ///< what they dequantize
  std::vector<NodeId> nodes;     ///< in the graph's order
};

/// Larger cones stay as they are.
constexpr size_t kMostConeNodes = 200;

/// Collects the cone below `v`; false when `v` depends on more than one tensor or on operators that look at other elements.
bool collect(const Graph& graph, ValueId v, const Shape& shape, Cone& cone, std::set<NodeId>& seen) {
  if (uniform_constant(graph, v)) return true;
  const Node* node = graph.producer(v);
  if (!node || graph.type(v).shape != shape || graph.type(v).dtype != DType::f32) return false;
  if (node->op == &ops::dequantize) {
    bool is_table_sized = element_bytes(graph.type(node->inputs[0]).dtype) == 1 && !graph.type(v).quant->per_axis();
    if (!is_table_sized || (cone.source != kNoValue && (cone.integers != node->inputs[0] || graph.type(cone.source) != graph.type(v)))) return false;
    cone.source = v;
    cone.integers = node->inputs[0];
    return true;
  }
  if (!node->op->is(kElementwise) || !node->op->eval || node->outputs.size() != 1) return false;
  if (!seen.insert(graph.value(v).producer).second) return true;
  if (seen.size() > kMostConeNodes) return false;
  return std::all_of(node->inputs.begin(), node->inputs.end(), [&](ValueId x) { return x != kNoValue && collect(graph, x, shape, cone, seen); });
}

std::optional<Cone> cone_of(const Graph& graph, ValueId v) {
  Cone cone;
  std::set<NodeId> seen;
  if (!collect(graph, v, graph.type(v).shape, cone, seen) || cone.source == kNoValue) return std::nullopt;
  cone.nodes.assign(seen.begin(), seen.end());
  std::sort(cone.nodes.begin(), cone.nodes.end(), [&](NodeId a, NodeId b) { return graph.is_before(a, b); });
  return cone;
}

/// Evaluates one operator on constants.
Result<Tensor> computed(const OpDef& op, const Attrs& attrs, const std::vector<const Tensor*>& operands) {
  OpArgs args{op, attrs, {}, operands, {}};
  for (const Tensor* t : operands) args.inputs.push_back(&t->type);
  Result<std::vector<TensorType>> types = infer_types(args);
  if (!types) return std::move(types).diagnostic();
  args.outputs = {&types->front()};
  Result<std::vector<Tensor>> y = op.eval(args);
  if (!y) return std::move(y).diagnostic();
  return std::move(y->front());
}

/// The cone's result for each of the 256 bytes, quantized.
Result<Tensor> table_of(const Graph& graph, const Cone& cone, const Node& quantize) {
  Tensor bytes(TensorType{graph.type(cone.integers).dtype, {256}, {}});
  for (size_t i = 0; i < 256; ++i) bytes.bytes()[i] = static_cast<std::byte>(i);
  std::map<ValueId, Tensor> values;
  auto operand = [&](ValueId v) -> const Tensor* {
    if (auto it = values.find(v); it != values.end()) return &it->second;
    if (const Tensor* constant = graph.constant(v)) {
      Tensor number(TensorType{constant->type.dtype, {}, {}});
      std::copy_n(constant->bytes().begin(), number.bytes().size(), number.bytes().begin());
      return &values.emplace(v, std::move(number)).first->second;
    }
    return &values.at(cone.source);  // another dequantize node of the same tensor
  };
  Result<Tensor> source = computed(ops::dequantize, graph.producer(cone.source)->attrs, {&bytes});
  if (!source) return source;
  values.emplace(cone.source, *std::move(source));
  for (NodeId id : cone.nodes) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> operands;
    for (ValueId v : node.inputs) operands.push_back(operand(v));
    Result<Tensor> y = computed(*node.op, node.attrs, operands);
    if (!y) return y;
    values.emplace(node.outputs[0], *std::move(y));
  }
  return computed(ops::quantize, quantize.attrs, {operand(quantize.inputs[0])});
}

}  // namespace

Result<bool> tabulate(Graph& graph, NodeId id) {
  const Node quantize = graph.node(id);
  if (quantize.op != &ops::quantize || quantize.attrs.has("quant_axis")) return false;
  std::optional<Cone> cone = cone_of(graph, quantize.inputs[0]);
  if (!cone) return false;
  Result<Tensor> table = table_of(graph, *cone, quantize);
  if (!table) return std::move(table).diagnostic();
  std::vector<std::string> origin;
  for (NodeId node : cone->nodes) origin.insert(origin.end(), graph.node(node).origin.begin(), graph.node(node).origin.end());
  origin.insert(origin.end(), quantize.origin.begin(), quantize.origin.end());
  GraphBuilder b(graph, std::move(origin), id);
  b.set_name(graph.value(quantize.outputs[0]).name);
  ValueId entries = b.add_constant(*std::move(table), graph.value(quantize.outputs[0]).name + "_table");
  Result<ValueId> y = b.add(ops::lookup, {cone->integers, entries});
  if (!y) return std::move(y).diagnostic();
  replace_node(graph, id, *y);
  return true;
}

}  // namespace kiln
