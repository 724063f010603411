// SPDX-License-Identifier: Apache-2.0
// dead-code: erases nodes none of whose results reaches a graph output.
//
// A node with several results stays as long as one of them is used. Graph inputs stay even when nothing reads them: they are part of
// the model's interface.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> dead_code(Graph& graph, PassContext& context);

/// Erases those of `suspects` that reach no output, and what is left without readers by that. Entries may be kNoNode or erased.
void erase_dead(Graph& graph, std::vector<NodeId> suspects);

}  // namespace kiln
