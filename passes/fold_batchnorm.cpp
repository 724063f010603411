// SPDX-License-Identifier: Apache-2.0
#include "passes/fold_batchnorm.h"

#include <algorithm>

#include "passes/rewrite_util.h"

namespace kiln {
namespace {

/// y = x * scale + shift, each with one entry per index of the last dimension.
struct Affine {
  std::vector<double> scale, shift;
  [[nodiscard]] bool scales() const { return std::any_of(scale.begin(), scale.end(), [](double s) { return s != 1; }); }
  [[nodiscard]] bool shifts() const { return std::any_of(shift.begin(), shift.end(), [](double s) { return s != 0; }); }
};

/// A constant that varies along the last of `rank` dimensions at most, as `channels` numbers.
std::optional<std::vector<double>> per_channel(const Tensor* constant, int64_t rank, int64_t channels) {
  if (!constant || constant->type.rank() > rank || !is_float(constant->type.dtype)) return std::nullopt;
  int64_t count = constant->type.elements();
  if (count != 1 && (count != channels || constant->type.shape.back() != channels)) return std::nullopt;
  std::vector<double> values = constant->to_doubles();
  if (count == 1) values.assign(static_cast<size_t>(channels), values[0]);
  return values;
}

/// The node as a function of its operand `x`, if it is one.
std::optional<Affine> affine_of(const Graph& graph, const Node& node, ValueId x) {
  bool known = node.op == &ops::mul || node.op == &ops::div || node.op == &ops::add || node.op == &ops::sub;
  if (!known || node.attrs.has("act") || graph.type(x) != graph.type(node.outputs[0]) || graph.type(x).shape.empty()) return std::nullopt;
  bool x_first = node.inputs[0] == x;
  int64_t channels = graph.type(x).shape.back();
  std::optional<std::vector<double>> c = per_channel(graph.constant(node.inputs[x_first ? 1 : 0]), graph.type(x).rank(), channels);
  if (!c || (node.op == &ops::div && !x_first)) return std::nullopt;
  Affine f{std::vector<double>(c->size(), 1), std::vector<double>(c->size(), 0)};
  if (node.op == &ops::mul) f.scale = *c;
  if (node.op == &ops::add) f.shift = *c;
  if (node.op == &ops::div) {
    if (std::count(c->begin(), c->end(), 0.0) > 0) return std::nullopt;
    std::transform(c->begin(), c->end(), f.scale.begin(), [](double v) { return 1 / v; });
  }
  if (node.op == &ops::sub) {
    f.shift = *c;
    if (x_first) std::transform(c->begin(), c->end(), f.shift.begin(), [](double v) { return -v; });
    else f.scale.assign(c->size(), -1);
  }
  return f;
}

bool is_layer(const Node& node) { return node.op == &ops::conv2d || node.op == &ops::dense; }

/// Whether the bias can be recomputed: constant or not there.
bool has_known_bias(const Graph& graph, const Node& layer) {
  return layer.inputs.size() < 3 || layer.inputs[2] == kNoValue || graph.constant(layer.inputs[2]);
}

bool has_own_weights(const Graph& graph, const Node& layer) {
  const Tensor* weights = graph.constant(layer.inputs[1]);
  return weights && !weights->type.quant && graph.value(layer.inputs[1]).users.size() == 1;
}

std::vector<double> bias_of(const Graph& graph, const Node& layer) {
  const Tensor* bias = layer.inputs.size() > 2 ? graph.constant(layer.inputs[2]) : nullptr;
  return bias ? bias->to_doubles() : std::vector<double>(static_cast<size_t>(graph.type(layer.inputs[1]).shape[0]), 0);
}

Tensor rounded(DType dtype, Shape shape, const std::vector<double>& values) {
  Tensor t({dtype, std::move(shape), {}});
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::f32) t.as<float>()[i] = static_cast<float>(values[i]);
    else t.as<double>()[i] = values[i];
  }
  return t;
}

/// Gives operand `i` of a layer the value `tensor`. A constant that nothing else reads hands on its name.
void set_constant(Graph& graph, NodeId layer, size_t i, Tensor tensor) {
  const std::vector<ValueId>& inputs = graph.node(layer).inputs;
  ValueId old = i < inputs.size() ? inputs[i] : kNoValue;
  std::string name = old != kNoValue ? graph.value(old).name : graph.node(layer).origin.front() + "_bias";
  if (old != kNoValue && graph.value(old).users.size() == 1) graph.set_name(old, name + "_was");
  graph.extend_inputs(layer, i, graph.add_constant(name, std::move(tensor)));
}

void set_weights(Graph& graph, NodeId layer, const std::vector<double>& values) {
  TensorType type = graph.type(graph.node(layer).inputs[1]);
  set_constant(graph, layer, 1, rounded(type.dtype, type.shape, values));
}

void set_bias(Graph& graph, NodeId layer, const std::vector<double>& values) {
  DType dtype = graph.type(graph.node(layer).inputs[1]).dtype;
  set_constant(graph, layer, 2, rounded(dtype, {static_cast<int64_t>(values.size())}, values));
}

/// layer, then node `id`: the outputs of the layer are scaled and shifted.
bool fold_after(Graph& graph, NodeId id) {
  for (ValueId x : graph.node(id).inputs) {
    const Node* layer = x == kNoValue ? nullptr : graph.producer(x);
    if (!layer || !is_layer(*layer) || layer->attrs.has("act") || graph.only_user(x) != id || !has_known_bias(graph, *layer)) continue;
    std::optional<Affine> f = affine_of(graph, graph.node(id), x);
    if (!f || (f->scales() && !has_own_weights(graph, *layer))) continue;
    NodeId layer_id = graph.value(x).producer;
    std::vector<double> bias = bias_of(graph, *layer);
    for (size_t o = 0; o < bias.size(); ++o) bias[o] = bias[o] * f->scale[o] + f->shift[o];
    if (f->scales()) {
      std::vector<double> weights = graph.constant(layer->inputs[1])->to_doubles();
      size_t row = weights.size() / bias.size();
      for (size_t i = 0; i < weights.size(); ++i) weights[i] *= f->scale[i / row];
      set_weights(graph, layer_id, weights);
    }
    set_bias(graph, layer_id, bias);
    graph.add_origin(layer_id, graph.node(id).origin);
    ValueId y = graph.node(id).outputs[0];
    take_identity(graph, y, x);
    graph.replace_uses(y, x);
    graph.erase(id);
    return true;
  }
  return false;
}

/// The one layer that reads the node's result as its input, if what it pads with does not matter to `f`.
NodeId layer_after(const Graph& graph, const Node& node, const Affine& f) {
  NodeId id = graph.only_user(node.outputs[0]);
  if (id == kNoNode) return kNoNode;
  const Node& layer = graph.node(id);
  if (!is_layer(layer) || layer.inputs[0] != node.outputs[0] || !has_own_weights(graph, layer) || !has_known_bias(graph, layer)) return kNoNode;
  std::vector<int64_t> pads = layer.attrs.ints("pads");
  bool padded = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; });
  return f.shifts() && padded ? kNoNode : id;
}

/// node `id`, then a layer: the inputs of the layer are scaled and shifted.
bool fold_before(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  for (ValueId x : node.inputs) {
    if (x == kNoValue || graph.constant(x)) continue;
    std::optional<Affine> f = affine_of(graph, node, x);
    NodeId layer_id = f ? layer_after(graph, node, *f) : kNoNode;
    if (layer_id == kNoNode) continue;
    const Node& layer = graph.node(layer_id);
    std::vector<double> bias = bias_of(graph, layer), weights = graph.constant(layer.inputs[1])->to_doubles();
    size_t row = weights.size() / bias.size(), taken = static_cast<size_t>(graph.type(layer.inputs[1]).shape.back());
    size_t outputs_per_group = bias.size() / static_cast<size_t>(layer.attrs.i("groups", 1));
    for (size_t i = 0; i < weights.size(); ++i) {
      size_t o = i / row, channel = o / outputs_per_group * taken + i % taken;
      bias[o] += weights[i] * f->shift[channel];
      weights[i] *= f->scale[channel];
    }
    if (f->scales()) set_weights(graph, layer_id, weights);
    if (f->shifts()) set_bias(graph, layer_id, bias);
    graph.add_origin(layer_id, node.origin);
    graph.set_input(layer_id, 0, x);
    graph.erase(id);
    return true;
  }
  return false;
}

}  // namespace

Result<bool> fold_batchnorm(Graph& graph, PassContext&) {
  bool changed = false;
  for (NodeId id : graph.order()) changed = fold_after(graph, id) || changed;
  std::vector<NodeId> order = graph.order();
  for (auto id = order.rbegin(); id != order.rend(); ++id) changed = fold_before(graph, *id) || changed;
  return changed;
}

}  // namespace kiln
