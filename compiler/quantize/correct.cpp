// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/correct.h"

#include <cmath>
#include <limits>
#include <optional>

#include "compiler/quantize/rounding.h"

namespace kiln {
namespace {

class Corrector {
 public:
  Corrector(const Graph& graph, const Timeline& timeline, const OnnxGraph& model, const GraphPlaces& places,
            const std::vector<Sample>& samples, const CorrectOptions& options, const Progress& progress, QuantPlan& plan)
      : graph_(graph),
        timeline_(timeline),
        options_(options),
        progress_(progress),
        plan_(plan),
        overlay_(make_overlay(graph, model, plan, places)) {
    for (const Unit& unit : plan.units) {
      if (unit.kind != UnitKind::layer) continue;
      const LayerPlace& place = places.layers.at(model.nodes[unit.nodes[0]].name);
      layers_[place.node] = {&unit, &model.nodes[unit.nodes[0]].name, &place};
      sums_[graph.value(place.summed).producer] = layers_[place.node];
      // The sum is corrected before it is rounded.
      if (auto grid = overlay_.grids.find(place.summed); grid != overlay_.grids.end()) rounded_later_.insert(overlay_.grids.extract(grid));
    }
    for (const auto& [tensor, group] : plan.group_of)
      if (auto values = places.values.find(tensor); values != places.values.end()) measured_[values->second.front()].push_back(tensor);
    for (size_t i = 0; i < graph.outputs().size(); ++i) measured_[graph.outputs()[i]].push_back(graph.output_name(i));
    for (const Sample& sample : samples) {
      exact_.emplace_back(graph, timeline, nothing_, sample);
      quantized_.emplace_back(graph, timeline, overlay_, sample);
    }
  }

  Result<std::map<std::string, Noise>> run() {
    for (ValueId input : graph_.inputs) measure(input);
    for (size_t i = 0; i < timeline_.nodes.size(); ++i) {
      NodeId id = timeline_.nodes[i];
      if (auto layer = layers_.find(id); options_.rounding && layer != layers_.end()) round_weights(layer->second);
      for (size_t s = 0; s < exact_.size(); ++s) {
        if (Status stepped = exact_[s].step(i); !stepped) return std::move(stepped).diagnostic();
        if (Status stepped = quantized_[s].step(i); !stepped) return std::move(stepped).diagnostic();
      }
      if (auto layer = sums_.find(id); layer != sums_.end()) correct_sum(layer->second);
      for (ValueId output : graph_.node(id).outputs) measure(output);
      for (Walk& walk : exact_) walk.forget(i);
      for (Walk& walk : quantized_) walk.forget(i);
      progress_("corrections", i + 1, timeline_.nodes.size());
    }
    return std::move(noise_);
  }

 private:
  struct Layer {
    const Unit* unit = nullptr;
    const std::string* name = nullptr;
    const LayerPlace* place = nullptr;
  };

  void measure(ValueId value) {
    auto it = measured_.find(value);
    if (it == measured_.end() || graph_.type(value).dtype != DType::f32) return;
    Noise sum;
    for (size_t s = 0; s < exact_.size(); ++s) sum.add(exact_[s].at(value)->as<float>(), quantized_[s].at(value)->as<float>());
    for (const std::string& tensor : it->second) noise_[tensor] = sum;
  }

  void correct_sum(const Layer& layer) {
    auto bias = plan_.bias.find(*layer.name);
    if (options_.bias && bias != plan_.bias.end() && exact_.size() > 1) {
      std::vector<float> before = bias_as_used(layer);
      std::vector<double> error = mean_errors(layer.place->summed, bias->second.size());
      for (size_t c = 0; c < error.size(); ++c) bias->second[c] = static_cast<float>(static_cast<double>(bias->second[c]) - error[c]);
      std::vector<float> after = bias_as_used(layer);
      for (Walk& walk : quantized_) {
        std::span<float> y = walk.result(layer.place->summed).as<float>();
        for (size_t k = 0; k < y.size(); ++k) y[k] += after[k % after.size()] - before[k % after.size()];
      }
    }
    if (auto grid = rounded_later_.find(layer.place->summed); grid != rounded_later_.end())
      for (Walk& walk : quantized_) round_to_grid(walk.result(layer.place->summed).as<float>(), grid->second);
  }

  std::vector<float> bias_as_used(const Layer& layer) const {
    return dequantized(
        quantize_bias(plan_.bias.at(*layer.name), plan_.grid(layer.unit->inputs[0]).scale, plan_.weights.at(*layer.name).scale));
  }

  /// Per channel: the mean over samples of (quantized - exact), times max(0, 1 - variance of that mean / its square) (positive-part
  /// James-Stein).
  std::vector<double> mean_errors(ValueId value, size_t channels) const {
    std::vector<double> sum(channels, 0), squares(channels, 0);
    for (size_t s = 0; s < exact_.size(); ++s) {
      std::span<const float> x = exact_[s].at(value)->as<float>(), q = quantized_[s].at(value)->as<float>();
      std::vector<double> mean(channels, 0);
      for (size_t k = 0; k < x.size(); ++k) mean[k % channels] += static_cast<double>(q[k]) - static_cast<double>(x[k]);
      for (size_t c = 0; c < channels; ++c) {
        mean[c] /= static_cast<double>(x.size() / channels);
        sum[c] += mean[c];
        squares[c] += mean[c] * mean[c];
      }
    }
    auto n = static_cast<double>(exact_.size());
    for (size_t c = 0; c < channels; ++c) {
      double mean = sum[c] / n, variance = std::max(0.0, squares[c] / n - mean * mean) / (n - 1);
      sum[c] = mean == 0 ? 0 : mean * std::max(0.0, 1 - variance / (mean * mean));
    }
    return sum;
  }

  void round_weights(const Layer& layer) {
    std::vector<const Tensor*> inputs;
    for (const Walk& walk : quantized_) inputs.push_back(walk.at(graph_.node(layer.place->node).inputs[0]));
    QuantizedWeights& weights = plan_.weights.at(*layer.name);
    choose_rounding(graph_, layer.place->node, inputs, weights);
    overlay_.constants[layer.place->weights] = dequantized(weights).reshaped(graph_.type(layer.place->weights).shape);
  }

  const Graph& graph_;
  const Timeline& timeline_;
  const CorrectOptions& options_;
  const Progress& progress_;
  QuantPlan& plan_;
  const Overlay nothing_;
  Overlay overlay_;
  std::map<ValueId, Grid> rounded_later_;
  std::map<NodeId, Layer> layers_;  ///< by the node that multiplies
  std::map<NodeId, Layer> sums_;    ///< by the node after which the bias is in
  std::map<ValueId, std::vector<std::string>> measured_;
  std::map<std::string, Noise> noise_;
  std::vector<Walk> exact_, quantized_;
};

}  // namespace

void Noise::add(std::span<const float> exact, std::span<const float> quantized) {
  for (size_t k = 0; k < exact.size(); ++k) {
    double x = static_cast<double>(exact[k]), error = static_cast<double>(quantized[k]) - x;
    signal += x * x;
    noise += error * error;
  }
}

double Noise::snr() const {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(std::max(signal, std::numeric_limits<double>::min()) / noise);
}

Result<std::map<std::string, Noise>> correct(const Graph& graph, const Timeline& timeline, const OnnxGraph& model,
                                             const GraphPlaces& places, const std::vector<Sample>& samples, const CorrectOptions& options,
                                             const Progress& progress, QuantPlan& plan) {
  return Corrector(graph, timeline, model, places, samples, options, progress, plan).run();
}

}  // namespace kiln
