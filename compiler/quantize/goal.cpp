// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/goal.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kiln {
namespace {

/// Samples that sensitivity is measured on.
constexpr size_t kSensitivitySamples = 16;

/// Something that may be lifted out of 8 bits.
struct Candidate {
  double noise = 0;
  std::string wide_tensor, float_node;  ///< one of them
};

class Search {
 public:
  Search(const PlanBuilder& builder, const AccuracyGoal& goal, BuiltPlan& built) : builder_(builder), goal_(goal), built_(built) {}

  Result<GoalResult> run() {
    if (Status s = answer_in_float(); !s) return std::move(s).diagnostic();
    if (Status s = measure(); !s) return std::move(s).diagnostic();
    result_.first_share = result_.share;
    if (reached()) return std::move(result_);
    if (Status s = find_candidates(); !s) return std::move(s).diagnostic();
    Exceptions exceptions;
    for (const Candidate& candidate : candidates_) {
      lift(candidate, exceptions);
      Result<BuiltPlan> built = builder_.build(exceptions);
      if (!built) return std::move(built).diagnostic();
      built_ = *std::move(built);
      if (Status s = measure(); !s) return std::move(s).diagnostic();
      if (reached()) return std::move(result_);
    }
    return error(DiagId::metric_drops,
                 fmt::format("{:.2f} % of the answers are right, {:.2f} % are in float, --max-drop allows {:.2f} points less.",
                             100 * result_.share, 100 * result_.float_share, 100 * goal_.max_drop),
                 "take more calibration data, or another --method.");
  }

 private:
  /// A share is a whole number of samples: a drop of exactly what is allowed must not fail by rounding.
  [[nodiscard]] bool reached() const { return result_.float_share - result_.share <= goal_.max_drop + 1e-9; }

  Result<std::vector<size_t>> answers(const Overlay& overlay, std::string_view what) const {
    std::vector<size_t> out;
    for (size_t s = 0; s < goal_.samples.size(); ++s) {
      Result<std::vector<Tensor>> outputs = simulate(builder_.graph(), builder_.timeline(), overlay, goal_.samples[s]);
      if (!outputs) return std::move(outputs).diagnostic();
      out.push_back(largest_element(outputs->front()));
      builder_.progress(what, s + 1, goal_.samples.size());
    }
    return out;
  }

  [[nodiscard]] double share(const std::vector<size_t>& got) const {
    size_t right = 0;
    for (size_t s = 0; s < got.size(); ++s)
      right += got[s] == (goal_.labels.empty() ? float_answers_[s] : static_cast<size_t>(goal_.labels[s])) ? 1 : 0;
    return static_cast<double>(right) / static_cast<double>(std::max<size_t>(got.size(), 1));
  }

  Status answer_in_float() {
    Result<std::vector<size_t>> got = answers({}, "accuracy of float");
    if (!got) return std::move(got).diagnostic();
    float_answers_ = *std::move(got);
    result_.float_share = share(float_answers_);
    return Done{};
  }

  Status measure() {
    Result<std::vector<size_t>> got = answers(builder_.overlay(built_), "accuracy");
    if (!got) return std::move(got).diagnostic();
    result_.share = share(*got);
    return Done{};
  }

  /// The power of the error of all outputs, relative to their own.
  Result<double> noise(const Overlay& overlay, const std::vector<std::vector<Tensor>>& exact) const {
    std::vector<Noise> sums(exact.front().size());
    for (size_t s = 0; s < exact.size(); ++s) {
      Result<std::vector<Tensor>> got =
          simulate(builder_.graph(), builder_.timeline(), overlay, builder_.samples()[s * builder_.samples().size() / exact.size()]);
      if (!got) return std::move(got).diagnostic();
      for (size_t o = 0; o < sums.size(); ++o)
        if (exact[s][o].type.dtype == DType::f32) sums[o].add(exact[s][o].as<float>(), (*got)[o].as<float>());
    }
    double total = 0;
    for (const Noise& sum : sums) total += sum.signal > 0 ? sum.noise / sum.signal : 0;
    return total;
  }

  Status find_candidates() {
    std::vector<std::vector<Tensor>> exact;
    size_t count = std::min(kSensitivitySamples, builder_.samples().size());
    for (size_t s = 0; s < count; ++s) {
      Result<std::vector<Tensor>> outputs =
          simulate(builder_.graph(), builder_.timeline(), {}, builder_.samples()[s * builder_.samples().size() / count]);
      if (!outputs) return std::move(outputs).diagnostic();
      exact.push_back(*std::move(outputs));
    }
    const QuantPlan& plan = built_.plan;
    size_t steps = plan.groups.size() + plan.units.size();
    for (size_t g = 0; g < plan.groups.size(); ++g) {
      if (Status s = add_candidate(overlay_of_group(plan, built_.places, g), exact, {0, plan.groups[g].tensors.front(), {}}); !s) return s;
      builder_.progress("sensitivity", g + 1, steps);
    }
    for (size_t u = 0; u < plan.units.size(); ++u) {
      if (plan.units[u].kind != UnitKind::layer) continue;
      Overlay overlay = overlay_of_parameters(builder_.graph(), builder_.model(), plan, built_.places, u);
      if (Status s = add_candidate(overlay, exact, {0, {}, builder_.model().nodes[plan.units[u].nodes[0]].name}); !s) return s;
      builder_.progress("sensitivity", plan.groups.size() + u + 1, steps);
    }
    // The most harmful first; equal ones in an order that does not depend on the library.
    std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
      return std::tie(b.noise, a.wide_tensor, a.float_node) < std::tie(a.noise, b.wide_tensor, b.float_node);
    });
    return Done{};
  }

  Status add_candidate(const Overlay& overlay, const std::vector<std::vector<Tensor>>& exact, Candidate candidate) {
    Result<double> power = noise(overlay, exact);
    if (!power) return std::move(power).diagnostic();
    candidate.noise = *power;
    candidates_.push_back(std::move(candidate));
    return Done{};
  }

  void lift(const Candidate& candidate, Exceptions& exceptions) {
    if (candidate.float_node.empty()) {
      exceptions.wide_tensors.insert(candidate.wide_tensor);
      result_.lifted.push_back(fmt::format("tensor '{}' to 16 bits", candidate.wide_tensor));
    } else {
      exceptions.float_nodes.insert(candidate.float_node);
      result_.lifted.push_back(fmt::format("layer '{}' to float", candidate.float_node));
    }
  }

  const PlanBuilder& builder_;
  const AccuracyGoal& goal_;
  BuiltPlan& built_;
  std::vector<size_t> float_answers_;
  std::vector<Candidate> candidates_;
  GoalResult result_;
};

}  // namespace

Result<GoalResult> reach_goal(const PlanBuilder& builder, const AccuracyGoal& goal, BuiltPlan& built) {
  return Search(builder, goal, built).run();
}

size_t largest_element(const Tensor& tensor) {
  const std::vector<double> x = tensor.to_doubles();
  return static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin());
}

}  // namespace kiln
