// SPDX-License-Identifier: Apache-2.0
// Plans for a prepared model: what is left in float and what has 16 bits may vary, ranges are measured once.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/quantize/correct.h"

namespace kiln {

struct QuantizeOptions;

/// What a plan deviates in from 8 bits everywhere.
struct Exceptions {
  std::set<std::string> float_nodes;   ///< besides those of the options
  std::set<std::string> wide_tensors;  ///< with 16 bits
};

struct BuiltPlan {
  QuantPlan plan;
  GraphPlaces places;
  std::map<std::string, Noise> noise;  ///< by tensor
};

/// All references must outlive it.
class PlanBuilder {
 public:
  PlanBuilder(const Graph& graph, const OnnxGraph& model, const std::vector<Sample>& samples, const QuantizeOptions& options,
              const Progress& progress);

  /// Runs the calibration data. Errors: nothing_to_quantize, bad_input_data.
  Status measure();
  /// Chooses grids, rounds weights, corrects biases.
  [[nodiscard]] Result<BuiltPlan> build(const Exceptions& exceptions) const;

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] const OnnxGraph& model() const { return model_; }
  [[nodiscard]] const Timeline& timeline() const { return timeline_; }
  [[nodiscard]] const std::vector<Sample>& samples() const { return samples_; }
  [[nodiscard]] Overlay overlay(const BuiltPlan& built) const { return make_overlay(graph_, model_, built.plan, built.places); }
  void progress(std::string_view what, size_t done, size_t total) const { progress_(what, done, total); }

 private:
  [[nodiscard]] QuantPlan empty_plan(const Exceptions& exceptions) const;

  const Graph& graph_;
  const OnnxGraph& model_;
  const std::vector<Sample>& samples_;
  const QuantizeOptions& options_;
  const Progress& progress_;
  Timeline timeline_;
  std::vector<Sample> correction_samples_;
  TensorRanges ranges_;
};

/// As many samples, evenly spread, as may be computed side by side.
std::vector<Sample> samples_for_correction(const Graph& graph, const Timeline& timeline, const std::vector<Sample>& samples);

}  // namespace kiln
