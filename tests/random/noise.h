// SPDX-License-Identifier: Apache-2.0
// How far apart two right ways of computing a graph can be.
//
// Problem: ONNX Runtime, the reference evaluation and the emitted code round differently, sum in different orders and use different
// approximations of functions. How much of a difference is a fault depends on the graph and on its inputs.
// Method: Monte Carlo arithmetic (D. S. Parker, 1997): the graph is evaluated several times, with each result of a node disturbed at
// random by a few times what rounding may do to it. What the outputs vary by is what they may differ by. A comparison that could go the
// other way, or a quantized element near the middle between two steps, shows by its output jumping in some of the runs.
// Not covered: errors that all evaluations share, and rewrites that lose far more than the operators they replace.
#pragma once

#include <vector>

#include "../model_maker.h"
#include "compiler/ir/graph.h"

namespace kiln::test {

/// The outputs of `graph`, each result of a node disturbed by up to `strength` times the rounding unit of its type; 0: not at all, negative: by the opposite
/// of what the positive strength does.
/// Integers and elements that are whole numbers are left alone: they are exact. Errors: those of evaluate.
Result<std::vector<Tensor>> evaluate_noisily(const Graph& graph, const std::vector<Tensor>& inputs, Dice& dice, double strength);

/// The tensor's elements are replaced; not for integers of 64 bits beyond 2^53.
void set_elements(Tensor& tensor, const std::vector<double>& values);

/// What each element of an output is, and how far a right result may be from it.
struct Expected {
  Tensor value;
  std::vector<double> tolerance;
};
/// By evaluation of `graph` on `inputs` with and without noise. Errors: those of evaluate.
Result<std::vector<Expected>> expected_outputs(const Graph& graph, const std::vector<Tensor>& inputs, uint32_t seed);

}  // namespace kiln::test
