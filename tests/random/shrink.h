// SPDX-License-Identifier: Apache-2.0
// A failing model becomes a small one that still fails.
//
// Method: greedy, as delta debugging does it (A. Zeller, R. Hildebrandt, 2002): a change is kept when the model still imports and fails.
// In turn: one set of inputs; one output, the earliest that fails; nodes replaced by an operand of the same type, or by a new input or
// a constant with the values that the node had; sizes of dimensions made less wherever they occur. Until nothing helps.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "generator.h"

namespace kiln::test {

/// Whether a model (with one set of inputs or more) fails. Models that do not import must not.
using Fails = std::function<bool(const RandomGraph&)>;

/// `graph` fails. At most `attempts` smaller models are tried.
RandomGraph shrink(const RandomGraph& graph, const Fails& fails, int attempts = 2000);

/// What `f` returns, computed in a process of its own; nothing when that crashes, exits or takes longer than `seconds`.
std::optional<bool> in_child(const std::function<bool()>& f, unsigned seconds);

/// Writes the graph into `folder` and returns the command line that shows the failure.
Result<std::string> save_failure(const RandomGraph& graph, const std::filesystem::path& folder, const std::string& target);

}  // namespace kiln::test
