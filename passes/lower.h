// SPDX-License-Identifier: Apache-2.0
// lower: Graph -> Program. Each node's `lower` hook describes the kernel calls that compute it; values become program
// tensors. From here on nothing knows operators.
//
// Graph outputs need bytes of their own in the arena: an output that is a constant, a graph input or a view of one is
// copied (the caller may rewrite inputs, and constants lie in flash).
#pragma once

#include <string>
#include <vector>

#include "compiler/ir/model_info.h"
#include "compiler/program/program.h"
#include "passes/pass.h"

namespace kiln {

/// `name` becomes the bundle's C identifier. Errors: what the hooks report; bad_state_option when the passes have given input and output of a
/// state different types.
/// `states`: outputs that are inputs at the next run; a step at the end copies each into the bytes of the input (share-state may drop it).
Result<Program> lower(const Graph& graph, const std::string& name, PassContext& context, const std::vector<StatePair>& states = {});

}  // namespace kiln
