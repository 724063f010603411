// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/build_plan.h"

#include <algorithm>

#include "compiler/quantize/quantizer.h"

namespace kiln {
namespace {

constexpr size_t kMaxCorrectionSamples = 128;
constexpr size_t kMaxCorrectionBytes = size_t{1} << 30;

}  // namespace

std::vector<Sample> samples_for_correction(const Graph& graph, const Timeline& timeline, const std::vector<Sample>& samples) {
  size_t live = 0, most = 1;
  for (ValueId input : graph.inputs) live += static_cast<size_t>(graph.type(input).bytes());
  for (size_t i = 0; i < timeline.nodes.size(); ++i) {
    for (ValueId v : graph.node(timeline.nodes[i]).outputs) live += static_cast<size_t>(graph.type(v).bytes());
    most = std::max(most, live);
    for (ValueId v : timeline.dead_after[i]) live -= static_cast<size_t>(graph.type(v).bytes());
  }
  size_t count = std::clamp<size_t>(kMaxCorrectionBytes / (2 * most), 1, std::min(kMaxCorrectionSamples, samples.size()));
  std::vector<Sample> chosen;
  for (size_t i = 0; i < count; ++i) chosen.push_back(samples[i * samples.size() / count]);
  return chosen;
}

PlanBuilder::PlanBuilder(const Graph& graph, const OnnxGraph& model, const std::vector<Sample>& samples, const QuantizeOptions& options,
                         const Progress& progress)
    : graph_(graph),
      model_(model),
      samples_(samples),
      options_(options),
      progress_(progress),
      timeline_(graph),
      correction_samples_(samples_for_correction(graph, timeline_, samples)) {}

QuantPlan PlanBuilder::empty_plan(const Exceptions& exceptions) const {
  std::vector<std::string> keep_float = options_.keep_float;
  keep_float.insert(keep_float.end(), exceptions.float_nodes.begin(), exceptions.float_nodes.end());
  return make_plan(model_, find_units(model_, tensor_types(graph_, model_), keep_float));
}

Status PlanBuilder::measure() {
  const QuantPlan plan = empty_plan({});
  if (plan.units.empty())
    return error(DiagId::nothing_to_quantize, "the model has no float32 operator that kiln quantizes.", "check that it is a float model.");
  Result<TensorRanges> ranges =
      measure_ranges(graph_, timeline_, find_places(graph_, model_, plan), plan, samples_, options_.ranges, progress_);
  if (!ranges) return std::move(ranges).diagnostic();
  ranges_ = *std::move(ranges);
  return Done{};
}

Result<BuiltPlan> PlanBuilder::build(const Exceptions& exceptions) const {
  BuiltPlan built{empty_plan(exceptions), {}, {}};
  set_grids(ranges_, options_.ranges.dtype, exceptions.wide_tensors, built.plan);
  built.places = find_places(graph_, model_, built.plan);
  quantize_layers(graph_, model_, built.places, options_.per_channel, built.plan);
  Result<std::map<std::string, Noise>> noise =
      correct(graph_, timeline_, model_, built.places, correction_samples_, options_.correct, progress_, built.plan);
  if (!noise) return std::move(noise).diagnostic();
  built.noise = *std::move(noise);
  return built;
}

}  // namespace kiln
