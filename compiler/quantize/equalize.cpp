// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/equalize.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "compiler/quantize/layer_weights.h"
#include "compiler/quantize/wiring.h"

namespace kiln {
namespace {

constexpr int kMaxRounds = 20;
constexpr double kConverged = 1e-3;  // no factor further from 1 than this
constexpr double kMaxFactor = 1e4;   // of one round; keeps float32 weights well within their range

struct LayerRef {
  size_t node;
  WeightLayout layout;
};

struct Pair {
  LayerRef first, second;
};

/// max |w| per output channel, or per input channel of the layer.
std::vector<double> reach(const OnnxGraph& graph, const LayerRef& layer, bool of_inputs) {
  const WeightLayout& l = layer.layout;
  std::span<const float> w = graph.initializer(graph.nodes[layer.node].inputs[1])->as<float>();
  std::vector<double> out(static_cast<size_t>(of_inputs ? l.inputs * l.groups : l.outputs), 0);
  for (int64_t o = 0; o < l.outputs; ++o)
    for (int64_t i = 0; i < l.inputs; ++i)
      for (int64_t t = 0; t < l.taps; ++t) {
        double& most = out[static_cast<size_t>(of_inputs ? l.channel(o, i) : o)];
        most = std::max(most, std::fabs(static_cast<double>(w[l.at(o, i, t)])));
      }
  return out;
}

/// Multiplies the weights of each input channel, or divides those of each output channel and the bias, by `factor`.
void scale_layer(OnnxGraph& graph, const LayerRef& layer, const std::vector<double>& factor, bool inputs) {
  const WeightLayout& l = layer.layout;
  const OnnxGraphNode& node = graph.nodes[layer.node];
  std::span<float> w = graph.initializers.at(node.inputs[1]).as<float>();
  for (int64_t o = 0; o < l.outputs; ++o)
    for (int64_t i = 0; i < l.inputs; ++i)
      for (int64_t t = 0; t < l.taps; ++t) {
        float& x = w[l.at(o, i, t)];
        double f = inputs ? factor[static_cast<size_t>(l.channel(o, i))] : 1 / factor[static_cast<size_t>(o)];
        x = static_cast<float>(static_cast<double>(x) * f);
      }
  if (inputs || input_of(node, 2).empty()) return;
  std::span<float> bias = graph.initializers.at(node.inputs[2]).as<float>();
  for (size_t o = 0; o < bias.size(); ++o) bias[o] = static_cast<float>(static_cast<double>(bias[o]) / factor[o]);
}

bool own_parameters(const Wiring& wiring, const OnnxGraphNode& node) {
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (!node.inputs[i].empty() && wiring.users(node.inputs[i]).size() != 1) return false;
  return true;
}

/// f(s * x) = s * f(x) for every channel and s > 0, with the channels in their places.
bool passes_scales(const OnnxGraphNode& node, bool images) {
  if (node.is("Relu") || node.is("LeakyRelu")) return true;
  bool pool = node.is("GlobalAveragePool") || node.is("AveragePool") || node.is("MaxPool") || node.is("GlobalMaxPool");
  return images && pool && node.outputs.size() == 1;
}

std::vector<Pair> find_pairs(const OnnxGraph& graph) {
  std::vector<Pair> pairs;
  if (has_subgraphs(graph)) return pairs;
  Wiring wiring(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    std::optional<WeightLayout> layout = weight_layout(graph, graph.nodes[n]);
    if (!layout || !own_parameters(wiring, graph.nodes[n])) continue;
    std::optional<size_t> next = wiring.only_user(graph.nodes[n].outputs[0]);
    bool images = graph.nodes[n].is("Conv");
    while (next && passes_scales(graph.nodes[*next], images)) next = wiring.only_user(graph.nodes[*next].outputs[0]);
    if (!next || !own_parameters(wiring, graph.nodes[*next])) continue;
    std::optional<WeightLayout> other = weight_layout(graph, graph.nodes[*next]);
    // From Conv to Conv, or Gemm to Gemm: the channels are the same dimension of the tensor between.
    if (other && images == graph.nodes[*next].is("Conv") && layout->outputs == other->inputs * other->groups) pairs.push_back({{n, *layout}, {*next, *other}});
  }
  return pairs;
}

/// One step for one pair; the largest |log factor|.
double equalize(OnnxGraph& graph, const Pair& pair) {
  std::vector<double> first = reach(graph, pair.first, false), second = reach(graph, pair.second, true);
  std::vector<double> factor(first.size(), 1);
  double most = 0;
  for (size_t c = 0; c < factor.size(); ++c) {
    // A channel that nothing makes or nothing reads has no scale.
    if (!(first[c] > 0) || !(second[c] > 0)) continue;
    factor[c] = std::clamp(std::sqrt(first[c] / second[c]), 1 / kMaxFactor, kMaxFactor);
    most = std::max(most, std::fabs(std::log(factor[c])));
  }
  scale_layer(graph, pair.first, factor, false);
  scale_layer(graph, pair.second, factor, true);
  return most;
}

}  // namespace

size_t equalize_layers(OnnxGraph& graph) {
  std::vector<Pair> pairs = find_pairs(graph);
  double most = 1;
  for (int round = 0; round < kMaxRounds && most > kConverged; ++round) {
    most = 0;
    for (const Pair& pair : pairs) most = std::max(most, equalize(graph, pair));
  }
  return pairs.size();
}

}  // namespace kiln
