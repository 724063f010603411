// SPDX-License-Identifier: Apache-2.0
// Models that keep state from run to run, recognised by the names, types and uses of their inputs and outputs.
#pragma once

#include <vector>

#include "compiler/frontend/import.h"

namespace kiln {

/// Whether an output can be the input at the next run: the same elements, and the same shape but for dimensions of 1.
bool can_be_state(const TensorType& output, const TensorType& input);

/// Pairs of inputs and outputs that look like state and are in none of `known`: of one type, where the names differ by words like "in" and
/// "next" only, or where the input is called state, hidden, cache, ... or is the initial state of a recurrent layer, and one output fits.
/// None where no input would be left.
std::vector<StatePair> find_states(const Graph& imported, const std::vector<StatePair>& known);

/// A note (state_proposed) with the flags to add, if there is anything to propose.
void propose_states(const Graph& imported, const std::vector<StatePair>& known, Diagnostics& diagnostics);

}  // namespace kiln
