// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/quantize/layer_weights.h"
#include "compiler/quantize/wiring.h"

namespace kiln {
namespace {

void replace_reads(OnnxGraph& graph, const std::string& from, const std::string& to) {
  for (OnnxGraphNode& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
}

/// Identity, and Dropout outside training: their readers read what they read. Kept where that would change the name of an output.
void remove_identities(OnnxGraph& graph) {
  if (has_subgraphs(graph)) return;
  Wiring wiring(graph);
  std::vector<OnnxGraphNode> kept;
  std::vector<std::pair<std::string, std::string>> renames;
  for (OnnxGraphNode& node : graph.nodes) {
    bool training = node.is("Dropout") && !input_of(node, 2).empty();
    bool mask_used = node.outputs.size() > 1 && (!wiring.users(node.outputs[1]).empty() || wiring.is_output(node.outputs[1]));
    if ((node.is("Identity") || (node.is("Dropout") && !training)) && !mask_used && !wiring.is_output(node.outputs[0]))
      renames.emplace_back(node.outputs[0], node.inputs[0]);
    else
      kept.push_back(std::move(node));
  }
  graph.nodes = std::move(kept);
  for (size_t i = 0; i < renames.size(); ++i) {
    replace_reads(graph, renames[i].first, renames[i].second);
    for (size_t k = i + 1; k < renames.size(); ++k)
      if (renames[k].second == renames[i].first) renames[k].second = renames[i].second;
  }
}

/// Gives a node its own copy of an initializer with new values.
void set_initializer(OnnxGraph& graph, OnnxGraphNode& node, size_t input, Tensor tensor) {
  std::string old = input_of(node, input);
  Wiring wiring(graph);
  std::string name = old.empty() ? graph.unique_name(node.name + "_bias") : wiring.users(old).size() == 1 ? old : graph.unique_name(old);
  if (node.inputs.size() <= input) node.inputs.resize(input + 1);
  node.inputs[input] = name;
  graph.initializers.insert_or_assign(name, std::move(tensor));
}

Tensor scaled(const Tensor& tensor, double factor) {
  Tensor out = tensor;
  for (float& v : out.as<float>()) v = static_cast<float>(static_cast<double>(v) * factor);
  return out;
}

void normalize_gemm(OnnxGraph& graph, OnnxGraphNode& node) {
  const Tensor* w = graph.initializer(input_of(node, 1));
  const Tensor* c = graph.initializer(input_of(node, 2));
  bool has_c = !input_of(node, 2).empty();
  if (!w || w->type.dtype != DType::f32 || w->type.rank() != 2 || (has_c && (!c || c->type.dtype != DType::f32))) return;
  int64_t outputs = w->type.shape[node.attrs.i("transB") != 0 ? 0 : 1];
  if (c && c->type.elements() != 1 && (c->type.elements() != outputs || c->type.shape.back() != outputs)) return;
  double alpha = node.attrs.f("alpha", 1), beta = node.attrs.f("beta", 1);
  if (c) {
    Tensor bias({DType::f32, {outputs}, {}});
    std::span<const float> values = c->as<float>();
    for (size_t i = 0; i < bias.as<float>().size(); ++i) bias.as<float>()[i] = values[values.size() == 1 ? 0 : i];
    bias = scaled(bias, beta);
    if (bias != *c) set_initializer(graph, node, 2, std::move(bias));
  }
  if (alpha != 1) set_initializer(graph, node, 1, scaled(*graph.initializer(node.inputs[1]), alpha));
  node.attrs.erase("alpha");
  node.attrs.erase("beta");
}

struct ChannelAffine {
  std::vector<double> scale, shift;
};

/// BatchNormalization as y = x * scale + shift, when its statistics are constant and it is not training.
std::optional<ChannelAffine> affine_of(const OnnxGraph& graph, const OnnxGraphNode& node) {
  if (!node.is("BatchNormalization") || node.inputs.size() != 5 || node.attrs.i("training_mode") != 0) return std::nullopt;
  std::vector<std::vector<double>> p;
  for (size_t i = 1; i < 5; ++i) {
    const Tensor* t = graph.initializer(node.inputs[i]);
    if (!t || t->type.dtype != DType::f32 || (i > 1 && t->type.elements() != static_cast<int64_t>(p[0].size()))) return std::nullopt;
    p.push_back(t->to_doubles());
  }
  ChannelAffine f{p[0], p[1]};
  for (size_t c = 0; c < f.scale.size(); ++c) {
    f.scale[c] /= std::sqrt(p[3][c] + node.attrs.f("epsilon", 1e-5));
    f.shift[c] -= p[2][c] * f.scale[c];
  }
  return f;
}

Tensor floats(const Shape& shape, const std::vector<double>& values) {
  return Tensor::floats(shape, std::vector<float>(values.begin(), values.end()));
}

/// Scales and shifts the outputs of a layer. False when it has not as many.
bool scale_outputs(OnnxGraph& graph, OnnxGraphNode& layer, const WeightLayout& layout, const ChannelAffine& f) {
  if (layout.outputs != static_cast<int64_t>(f.scale.size())) return false;
  const Tensor* old = graph.initializer(input_of(layer, 2));
  std::vector<double> bias = old ? old->to_doubles() : std::vector<double>(f.scale.size(), 0);
  for (size_t o = 0; o < bias.size(); ++o) bias[o] = bias[o] * f.scale[o] + f.shift[o];
  Tensor weights = *graph.initializer(layer.inputs[1]);
  std::vector<double> values = weights.to_doubles();
  for (int64_t o = 0; o < layout.outputs; ++o)
    for (int64_t i = 0; i < layout.inputs; ++i)
      for (int64_t t = 0; t < layout.taps; ++t) values[layout.at(o, i, t)] *= f.scale[static_cast<size_t>(o)];
  set_initializer(graph, layer, 1, floats(weights.type.shape, values));
  set_initializer(graph, layer, 2, floats({layout.outputs}, bias));
  return true;
}

/// A normalization after a layer that nothing else reads becomes part of the layer. MatMul has no bias and is left alone.
bool fold_into_layer(OnnxGraph& graph, const Wiring& wiring, size_t bn) {
  OnnxGraphNode& node = graph.nodes[bn];
  std::optional<size_t> before = wiring.producer(node.inputs[0]);
  if (!before || wiring.only_user(node.inputs[0]) != bn) return false;
  OnnxGraphNode& layer = graph.nodes[*before];
  std::optional<WeightLayout> layout = weight_layout(graph, layer);
  if (!layout || layer.is("MatMul") || !scale_outputs(graph, layer, *layout, *affine_of(graph, node))) return false;
  layer.outputs[0] = node.outputs[0];
  return true;
}

void make_depthwise(OnnxGraph& graph, OnnxGraphNode& node, const ChannelAffine& f) {
  auto channels = static_cast<int64_t>(f.scale.size());
  std::string weights = graph.unique_name(node.name + "_weights"), bias = graph.unique_name(node.name + "_bias");
  graph.initializers.insert_or_assign(weights, floats({channels, 1, 1, 1}, f.scale));
  graph.initializers.insert_or_assign(bias, floats({channels}, f.shift));
  node.type = "Conv";
  node.inputs = {node.inputs[0], weights, bias};
  node.outputs.resize(1);
  node.attrs = Attrs{{"group", channels}, {"kernel_shape", std::vector<int64_t>{1, 1}}};
}

void fold_batch_norms(OnnxGraph& graph, const TensorTypes& types) {
  if (has_subgraphs(graph)) return;
  for (size_t n = 0; n < graph.nodes.size();) {
    std::optional<ChannelAffine> f = affine_of(graph, graph.nodes[n]);
    if (f && fold_into_layer(graph, Wiring(graph), n)) {
      graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(n));
      continue;
    }
    if (f) {
      auto type = types.find(graph.nodes[n].inputs[0]);
      if (type != types.end() && type->second.rank() == 4) make_depthwise(graph, graph.nodes[n], *f);
    }
    ++n;
  }
}

/// A bias of its own for every Conv and Gemm, so that it can be corrected.
void own_biases(OnnxGraph& graph) {
  for (OnnxGraphNode& node : graph.nodes) {
    std::optional<WeightLayout> layout = weight_layout(graph, node);
    if (!layout || node.is("MatMul")) continue;
    const Tensor* bias = graph.initializer(input_of(node, 2));
    if (!bias || Wiring(graph).users(node.inputs[2]).size() > 1)
      set_initializer(graph, node, 2, bias ? *bias : Tensor({DType::f32, {layout->outputs}, {}}));
  }
}

}  // namespace

TensorTypes tensor_types(const Graph& graph, const OnnxGraph& model) {
  TensorTypes types;
  for (size_t v = 0; v < graph.value_count(); ++v) {
    const Value& value = graph.value(ValueId{static_cast<uint32_t>(v)});
    if (value.onnx) types[value.onnx->name] = {value.type.dtype, value.onnx->shape, {}};
  }
  for (const OnnxGraphNode& node : model.nodes)
    if (!node.inputs.empty() && !node.outputs.empty() && !node.is("Cast"))
      if (auto input = types.find(node.inputs[0]); input != types.end()) types.emplace(node.outputs[0], input->second);
  return types;
}

void simplify_for_quantization(OnnxGraph& graph, const TensorTypes& types) {
  remove_identities(graph);
  for (OnnxGraphNode& node : graph.nodes)
    if (node.is("Gemm")) normalize_gemm(graph, node);
  fold_batch_norms(graph, types);
  own_biases(graph);
}

}  // namespace kiln
