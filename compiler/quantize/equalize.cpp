// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/equalize.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "compiler/ops/ops.h"
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
  std::vector<double> reach;  ///< of the channels between, as they are scaled now
};

/// max |w| per output channel, or per input channel of the layer.
std::vector<double> largest_weights(const OnnxGraph& graph, const LayerRef& layer, bool of_inputs) {
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

std::vector<Pair> find_pairs(const OnnxGraph& graph, const ChannelReach& reach) {
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
    if (other && images == graph.nodes[*next].is("Conv") && layout->outputs == other->inputs * other->groups)
      if (auto channels = reach.find(graph.nodes[n].outputs[0]); channels != reach.end())
        pairs.push_back({{n, *layout}, {*next, *other}, channels->second});
  }
  return pairs;
}

/// One step for one pair; the largest |log factor|.
double equalize(OnnxGraph& graph, Pair& pair, double furthest) {
  std::vector<double> first = largest_weights(graph, pair.first, false), second = largest_weights(graph, pair.second, true);
  std::vector<double> factor(first.size(), 1);
  double most = 0;
  for (size_t c = 0; c < factor.size(); ++c) {
    // A channel that nothing makes or nothing reads has no scale.
    if (!(first[c] > 0) || !(second[c] > 0)) continue;
    factor[c] = std::clamp(std::max(std::sqrt(first[c] / second[c]), pair.reach[c] / furthest), 1 / kMaxFactor, kMaxFactor);
    pair.reach[c] /= factor[c];
    most = std::max(most, std::fabs(std::log(factor[c])));
  }
  scale_layer(graph, pair.first, factor, false);
  scale_layer(graph, pair.second, factor, true);
  return most;
}

}  // namespace

Result<ChannelReach> channel_reach(const Graph& graph, const OnnxGraph& model, const std::vector<Sample>& samples) {
  std::map<NodeId, std::string> layers;  // -> the tensor
  for (NodeId id : graph.order())
    if (const Node& node = graph.node(id); node.op == &ops::conv2d || node.op == &ops::dense)
      for (const OnnxGraphNode& layer : model.nodes)
        if (layer.name == node.origin.front()) layers[id] = layer.outputs[0];
  ChannelReach reach;
  const Timeline timeline(graph);
  const Overlay nothing;
  for (const Sample& sample : samples) {
    Walk walk(graph, timeline, nothing, sample);
    for (size_t i = 0; i < timeline.nodes.size(); ++i) {
      if (Status s = walk.step(i); !s) return std::move(s).diagnostic();
      if (auto layer = layers.find(timeline.nodes[i]); layer != layers.end()) {
        const Tensor& y = *walk.at(graph.node(layer->first).outputs[0]);
        std::vector<double>& channels = reach[layer->second];
        channels.resize(static_cast<size_t>(y.type.shape.back()), 0);
        std::span<const float> values = y.as<float>();
        for (size_t k = 0; k < values.size(); ++k)
          channels[k % channels.size()] = std::max(channels[k % channels.size()], std::fabs(static_cast<double>(values[k])));
      }
      walk.forget(i);
    }
  }
  return reach;
}

size_t equalize_layers(OnnxGraph& graph, const ChannelReach& reach) {
  std::vector<Pair> pairs = find_pairs(graph, reach);
  std::vector<double> furthest;
  for (const Pair& pair : pairs) furthest.push_back(*std::max_element(pair.reach.begin(), pair.reach.end()));
  double most = 1;
  for (int round = 0; round < kMaxRounds && most > kConverged; ++round) {
    most = 0;
    for (size_t i = 0; i < pairs.size(); ++i)
      if (furthest[i] > 0) most = std::max(most, equalize(graph, pairs[i], furthest[i]));
  }
  return pairs.size();
}

}  // namespace kiln
