// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/simulation.h"

#include <algorithm>

#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"

namespace kiln {
namespace {

bool comes_from(const Node& node, const std::string& onnx_node) {
  return std::find(node.origin.begin(), node.origin.end(), onnx_node) != node.origin.end();
}

LayerPlace find_layer(const Graph& graph, const OnnxGraph& model, const Unit& unit) {
  LayerPlace place;
  const std::string& name = model.nodes[unit.nodes[0]].name;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if ((node.op == &ops::conv2d || node.op == &ops::dense) && comes_from(node, name)) {
      place.node = id;
      place.weights = node.inputs[1];
      place.summed = node.outputs[0];
      if (node.inputs.size() > 2) place.bias = node.inputs[2];
    }
    bool adds_bias = unit.nodes.size() > 1 && model.nodes[unit.nodes[1]].is("Add") && !unit.bias.empty();
    if (adds_bias && node.op == &ops::add && comes_from(node, model.nodes[unit.nodes[1]].name)) {
      place.bias = node.inputs[graph.constant(node.inputs[0]) ? 0 : 1];
      place.summed = node.outputs[0];
    }
  }
  return place;
}

/// The constant operands of a compute unit, found by their elements.
std::map<ValueId, Grid> find_constants(const Graph& graph, const OnnxGraph& model, const Unit& unit) {
  std::map<ValueId, Grid> found;
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (!comes_from(node, model.nodes[unit.nodes[0]].name)) continue;
    for (ValueId input : node.inputs) {
      const Tensor* constant = graph.constant(input);
      if (!constant || constant->type.dtype != DType::f32) continue;
      for (const std::string& name : unit.constants) {
        const Tensor& initializer = model.initializers.at(name);
        if (std::equal(initializer.bytes().begin(), initializer.bytes().end(), constant->bytes().begin(), constant->bytes().end()))
          found[input] = constant_grid(initializer);
      }
    }
  }
  return found;
}

}  // namespace

Timeline::Timeline(const Graph& graph) : nodes(graph.order()), dead_after(nodes.size()) {
  std::map<ValueId, size_t> last;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (ValueId v : graph.node(nodes[i]).outputs) last[v] = i;
    for (ValueId v : graph.node(nodes[i]).inputs)
      if (v != kNoValue && !graph.constant(v)) last[v] = i;
  }
  for (const auto& [value, at] : last)
    if (!graph.is_output(value)) dead_after[at].push_back(value);
}

Walk::Walk(const Graph& graph, const Timeline& timeline, const Overlay& overlay, const Sample& sample)
    : graph_(graph), timeline_(timeline), overlay_(overlay), values_(graph.value_count()) {
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    values_[index(graph.inputs[i])] = sample[i];
    round(graph.inputs[i]);
  }
}

const Tensor* Walk::at(ValueId value) const {
  if (value == kNoValue) return nullptr;
  if (values_[index(value)]) return &*values_[index(value)];
  if (auto it = overlay_.constants.find(value); it != overlay_.constants.end()) return &it->second;
  return graph_.constant(value);
}

Status Walk::step(size_t position) {
  NodeId id = timeline_.nodes[position];
  std::vector<const Tensor*> operands;
  for (ValueId v : graph_.node(id).inputs) operands.push_back(at(v));
  Result<std::vector<Tensor>> results = evaluate_node(graph_, id, operands);
  if (!results) return std::move(results).diagnostic();
  const std::vector<ValueId>& outputs = graph_.node(id).outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    values_[index(outputs[i])] = std::move((*results)[i]);
    round(outputs[i]);
  }
  return Done{};
}

void Walk::forget(size_t position) {
  for (ValueId v : timeline_.dead_after[position]) values_[index(v)].reset();
}

void Walk::round(ValueId value) {
  if (auto it = overlay_.grids.find(value); it != overlay_.grids.end()) round_to_grid(values_[index(value)]->as<float>(), it->second);
}

std::vector<Tensor> Walk::outputs() const {
  std::vector<Tensor> out;
  for (ValueId v : graph_.outputs()) out.push_back(*at(v));
  return out;
}

Result<std::vector<Tensor>> simulate(const Graph& graph, const Timeline& timeline, const Overlay& overlay, const Sample& sample) {
  Walk walk(graph, timeline, overlay, sample);
  for (size_t i = 0; i < timeline.nodes.size(); ++i) {
    if (Status s = walk.step(i); !s) return std::move(s).diagnostic();
    walk.forget(i);
  }
  return walk.outputs();
}

GraphPlaces find_places(const Graph& graph, const OnnxGraph& model, const QuantPlan& plan) {
  GraphPlaces places;
  for (size_t v = 0; v < graph.value_count(); ++v) {
    auto id = ValueId{static_cast<uint32_t>(v)};
    const Value& value = graph.value(id);
    bool computed = value.producer != kNoNode ? graph.alive(value.producer) : graph.is_input(id);
    if (value.onnx && computed && value.type.dtype == DType::f32) places.values[value.onnx->name].push_back(id);
  }
  for (const Unit& unit : plan.units) {
    const std::string& name = model.nodes[unit.nodes[0]].name;
    if (unit.kind == UnitKind::layer) places.layers[name] = find_layer(graph, model, unit);
    if (!unit.constants.empty()) places.constants[name] = find_constants(graph, model, unit);
  }
  return places;
}

Overlay overlay_of_group(const QuantPlan& plan, const GraphPlaces& places, size_t group) {
  Overlay overlay;
  for (const std::string& tensor : plan.groups[group].tensors)
    if (auto values = places.values.find(tensor); values != places.values.end())
      for (ValueId v : values->second) overlay.grids[v] = plan.groups[group].grid;
  return overlay;
}

Overlay overlay_of_parameters(const Graph& graph, const OnnxGraph& model, const QuantPlan& plan, const GraphPlaces& places, size_t unit) {
  Overlay overlay;
  const std::string& name = model.nodes[plan.units[unit].nodes[0]].name;
  if (auto constants = places.constants.find(name); constants != places.constants.end())
    for (const auto& [value, grid] : constants->second) {
      Tensor rounded = *graph.constant(value);
      round_to_grid(rounded.as<float>(), grid);
      overlay.constants[value] = std::move(rounded);
    }
  auto weights = plan.weights.find(name);
  if (weights == plan.weights.end()) return overlay;
  const LayerPlace& place = places.layers.at(name);
  overlay.constants[place.weights] = dequantized(weights->second).reshaped(graph.type(place.weights).shape);
  if (auto bias = plan.bias.find(name); bias != plan.bias.end() && place.bias != kNoValue) {
    QuantizedBias q = quantize_bias(bias->second, plan.grid(plan.units[unit].inputs[0]).scale, weights->second.scale);
    overlay.constants[place.bias] = Tensor::floats(graph.type(place.bias).shape, dequantized(q));
  }
  return overlay;
}

Overlay make_overlay(const Graph& graph, const OnnxGraph& model, const QuantPlan& plan, const GraphPlaces& places) {
  Overlay overlay;
  for (size_t g = 0; g < plan.groups.size(); ++g) overlay.grids.merge(overlay_of_group(plan, places, g).grids);
  for (size_t u = 0; u < plan.units.size(); ++u) overlay.constants.merge(overlay_of_parameters(graph, model, plan, places, u).constants);
  return overlay;
}

}  // namespace kiln
