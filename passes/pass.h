// SPDX-License-Identifier: Apache-2.0
// What every pass gets. A pass is a free function in its own .h/.cpp pair, listed in passes/graph_passes.cpp:
//   Result<bool> fold_batchnorm(Graph& graph, PassContext& context);   // true: something changed
#pragma once

#include "compiler/ir/builder.h"
#include "compiler/ir/graph.h"
#include "compiler/ops/ops.h"
#include "compiler/program/target.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct PassContext {
  const Target& target;
  Diagnostics& diagnostics;
};

}  // namespace kiln
