// SPDX-License-Identifier: Apache-2.0
// fold-constants: a node whose operands are all constant is computed now.
//
//   const %a = [1, 2]    %b = sqrt(%a)    %y = mul(%x, %b)      =>      const %b = [1, 1.4142135]    %y = mul(%x, %b)
//
// The importer folds what it builds; this catches what rewrites leave. Exact: folding runs the kernels that the bundle would run.
// Not folded: operators without `eval`. Errors: limit_exceeded when a constant would be absurdly large (limits::kFoldedTensorBytes).
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> fold_constants(Graph& graph, PassContext& context);

}  // namespace kiln
