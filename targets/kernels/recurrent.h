// SPDX-License-Identifier: Apache-2.0
// Rules that recurrent layers have in all sets (runtime-stubs/nn/recurrent.h): scratch, and weights in blocks of units.
#pragma once

#include "targets/kernels/layer_facts.h"

namespace kiln::kernels {

/// Layers whose weights cannot be packed.
Refusal refuse_packed_recurrent(const KernelContext& c);
/// The new state of a step, and what a GRU needs of all units before any is done.
int64_t recurrent_bytes(const KernelContext& c);
/// Weights (operands 1 and 2) and bias (operand 3) in blocks of `block` units, with zeros where there are fewer. A block has the gates of
/// one input side by side, or the inputs of one gate.
void pack_units(const KernelContext& c, Constants& constants, int32_t block, bool gates_inside);

}  // namespace kiln::kernels
