// SPDX-License-Identifier: Apache-2.0
// Loops over tensors of several strides, made as few and as long as possible.
#pragma once

#include <initializer_list>
#include <vector>

#include "compiler/ir/shape.h"

namespace kiln {

/// Nested loops over `dims`, outermost first, in which operand i steps by strides[i][k] elements along dimension k.
struct LoopNest {
  Shape dims;
  std::vector<std::vector<int64_t>> strides;
  bool operator==(const LoopNest&) const = default;
};

/// The same visits in the same order with fewer loops: dimensions of size 1 are dropped and adjacent ones that every operand
/// steps through alike are merged. At least one dimension remains; without anything to visit it is the only one, of size 0.
LoopNest coalesce(const LoopNest& loops);

/// The coalesced loops over a dense tensor of shape `to` with `operands` broadcast to it. Along the last dimension each
/// operand steps by 1, or by 0 where it is repeated.
LoopNest broadcast_loops(const Shape& to, std::initializer_list<const Shape*> operands);

}  // namespace kiln
