// SPDX-License-Identifier: Apache-2.0
// common-subexpressions: equal constants become one constant, equal nodes one node.
//
//   %a = relu(%x)    %b = relu(%x)    %y = add(%a, %b)      =>      %a = relu(%x)    %y = add(%a, %a)
//
// Nodes are equal when operator, attributes and operands are; every operator computes the same from the same operands. The node that
// stays carries the origins of both. Operands are compared in order: add(a, b) and add(b, a) are not found equal.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> common_subexpressions(Graph& graph, PassContext& context);

}  // namespace kiln
