// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kiln {
namespace {

/// A bias of this many steps leaves room in an int32 for the products.
constexpr double kMaxBiasSteps = double{1 << 30};

/// Runs all samples through the float graph and shows each tensor of the plan's groups, once, to `see(group, tensor)`.
template <class See>
Status observe(const Graph& graph, const Timeline& timeline, const GraphPlaces& places, const QuantPlan& plan,
               const std::vector<Sample>& samples, std::string_view what, const Progress& progress, See&& see) {
  std::map<ValueId, size_t> watched;  // -> group
  for (const auto& [tensor, group] : plan.group_of)
    if (auto values = places.values.find(tensor); values != places.values.end()) watched[values->second.front()] = group;
  const Overlay nothing;
  for (size_t s = 0; s < samples.size(); ++s) {
    Walk walk(graph, timeline, nothing, samples[s]);
    auto show = [&](ValueId value) -> Status {
      auto it = watched.find(value);
      return it == watched.end() ? Status(Done{}) : see(it->second, graph.value(value).onnx->name, *walk.at(value));
    };
    for (ValueId input : graph.inputs)
      if (Status shown = show(input); !shown) return shown;
    for (size_t i = 0; i < timeline.nodes.size(); ++i) {
      if (Status stepped = walk.step(i); !stepped) return stepped;
      for (ValueId output : graph.node(timeline.nodes[i]).outputs)
        if (Status shown = show(output); !shown) return shown;
      walk.forget(i);
    }
    progress(what, s + 1, samples.size());
  }
  return Done{};
}

Status widen(Range& range, bool& any, const std::string& name, const Tensor& tensor) {
  for (float x : tensor.as<float>()) {
    if (!std::isfinite(x))
      return error(DiagId::bad_input_data, fmt::format("tensor '{}' takes the value {} on the calibration data.", name, x),
                   "check the data and their scaling; a tensor with infinities cannot be quantized.");
    double v = static_cast<double>(x);
    range.low = any ? std::min(range.low, v) : v;
    range.high = any ? std::max(range.high, v) : v;
    any = true;
  }
  return Done{};
}

/// The least scale of each row of weights with which the bias is at most kMaxBiasSteps.
std::vector<float> least_scales(std::span<const float> bias, float input_scale) {
  std::vector<float> least;
  for (float b : bias)
    least.push_back(static_cast<float>(std::fabs(static_cast<double>(b)) / (static_cast<double>(input_scale) * kMaxBiasSteps)));
  return least;
}

}  // namespace

Result<TensorRanges> measure_ranges(const Graph& graph, const Timeline& timeline, const GraphPlaces& places, const QuantPlan& plan,
                                    const std::vector<Sample>& samples, const RangeOptions& options, const Progress& progress) {
  std::vector<Range> seen(plan.groups.size());
  std::vector<char> any(plan.groups.size(), 0);
  Status done =
      observe(graph, timeline, places, plan, samples, "ranges", progress, [&](size_t g, const std::string& name, const Tensor& tensor) {
        bool had = any[g] != 0;
        Status s = widen(seen[g], had, name, tensor);
        any[g] = had;
        return s;
      });
  if (!done) return std::move(done).diagnostic();

  std::vector<Range> chosen = seen;
  if (options.method != RangeMethod::minmax) {
    std::vector<Histogram> histograms(seen.begin(), seen.end());
    done = observe(graph, timeline, places, plan, samples, "histograms", progress,
                   [&](size_t g, const std::string&, const Tensor& tensor) -> Status {
                     histograms[g].add(tensor.as<float>());
                     return Done{};
                   });
    if (!done) return std::move(done).diagnostic();
    for (size_t g = 0; g < chosen.size(); ++g) chosen[g] = choose_range(histograms[g], options.method, options.percentile, 255);
  }
  TensorRanges ranges;
  for (const auto& [tensor, g] : plan.group_of) ranges[tensor] = {seen[g], chosen[g]};
  return ranges;
}

void set_grids(const TensorRanges& ranges, DType dtype, const std::set<std::string>& wide, QuantPlan& plan) {
  for (TensorGroup& group : plan.groups) {
    const TensorRange& range = ranges.at(group.tensors.front());
    bool is_wide = dtype == DType::i16 ||
                   std::any_of(group.tensors.begin(), group.tensors.end(), [&](const std::string& t) { return wide.count(t) != 0; });
    group.seen = range.seen;
    set_grid(group, is_wide ? range.seen : range.chosen, is_wide ? DType::i16 : DType::i8);
  }
}

void quantize_layers(const Graph& graph, const OnnxGraph& model, const GraphPlaces& places, bool per_channel, QuantPlan& plan) {
  // Layers that share weights must agree on their scales.
  std::map<std::string, std::vector<float>> least;
  for (const Unit& unit : plan.units) {
    if (unit.kind != UnitKind::layer || unit.bias.empty()) continue;
    const std::string& name = model.nodes[unit.nodes[0]].name;
    std::span<const float> bias = model.initializers.at(unit.bias).as<float>();
    plan.bias[name].assign(bias.begin(), bias.end());
    std::vector<float> scales = least_scales(bias, plan.grid(unit.inputs[0]).scale);
    std::vector<float>& known = least[unit.weights];
    known.resize(scales.size(), 0);
    for (size_t o = 0; o < scales.size(); ++o) known[o] = std::max(known[o], scales[o]);
  }
  for (const Unit& unit : plan.units) {
    if (unit.kind != UnitKind::layer) continue;
    const std::string& name = model.nodes[unit.nodes[0]].name;
    const Tensor& weights = *graph.constant(places.layers.at(name).weights);
    plan.weights[name] = quantize_weights(weights, weight_scales(weights, per_channel, least[unit.weights]));
  }
}

}  // namespace kiln
