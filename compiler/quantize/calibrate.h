// SPDX-License-Identifier: Apache-2.0
// From calibration data to grids.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/quantize/ranges.h"
#include "compiler/quantize/simulation.h"

namespace kiln {

/// Told how far long work is: "ranges", 3 of 100.
using Progress = std::function<void(std::string_view what, size_t done, size_t total)>;

/// How ranges of activations are chosen.
struct RangeOptions {
  RangeMethod method = RangeMethod::percentile;
  double percentile = 99.99;
  DType dtype = DType::i8;  ///< i8 or i16; i16 always takes all values seen
};

/// What calibration data say about a tensor; the same for all tensors of a group.
struct TensorRange {
  Range seen;    ///< smallest and largest value
  Range chosen;  ///< to represent with 8 bits
};
using TensorRanges = std::map<std::string, TensorRange>;

/// Runs the float graph over all samples, twice, and chooses a range for every tensor of the plan. Errors: bad_input_data when the model
/// computes infinities or NaN; those of evaluating.
Result<TensorRanges> measure_ranges(const Graph& graph, const Timeline& timeline, const GraphPlaces& places, const QuantPlan& plan,
                                    const std::vector<Sample>& samples, const RangeOptions& options, const Progress& progress);

/// Sets `seen` and `grid` of every group. Groups with a tensor of `wide` get 16 bits, over all values seen.
void set_grids(const TensorRanges& ranges, DType dtype, const std::set<std::string>& wide, QuantPlan& plan);

/// Sets the weights and biases of every layer. To be called when the grids are set, as the scale of a bias is that of input and weights.
void quantize_layers(const Graph& graph, const OnnxGraph& model, const GraphPlaces& places, bool per_channel, QuantPlan& plan);

}  // namespace kiln
