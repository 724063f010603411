// SPDX-License-Identifier: Apache-2.0
// simplify-reshapes: merges reshapes and moves them out of the way of fusions. A reshape itself costs nothing at run time.
//
//   %c = conv2d(..)  %r = reshape(%c)  %y = relu(%r)      =>      %c = conv2d(..)  %a = relu(%c)  %y = reshape(%a)
//
// Rules: a reshape of a reshape is one; a reshape to the same shape is its operand; between a layer that could take an activation or a bias
// and an elementwise function of one operand, or of one operand and a constant that is a scalar or varies along a kept last dimension, the
// reshape moves below the function. It ends, as reshapes only move towards the outputs or vanish. Exact.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> simplify_reshapes(Graph& graph, PassContext& context);

}  // namespace kiln
