// SPDX-License-Identifier: Apache-2.0
// Checks that a Graph is well formed. Run after every pass.
#pragma once

#include "compiler/ir/graph.h"

namespace kiln {

/// What must hold in addition from some point of the pipeline on (compiler/pipeline/pipeline.cpp).
enum class Stage {
  imported,   ///< single assignment, order, use lists, and `infer` of each node agrees with the stored types
  canonical,  ///< + no node has only constant inputs
};

/// The first violation as bad_ir_text; the caller decides whether it is the user's (parsed text) or our fault (after a pass).
Status verify(const Graph& graph, Stage stage = Stage::imported);

}  // namespace kiln
