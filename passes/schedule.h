// SPDX-License-Identifier: Apache-2.0
// schedule: orders the kernel calls so that less is alive at once.
//
// Problem: any order in which each call comes after those whose results it reads is right, but branches can be computed one after
// the other or side by side, and the sum of the living buffers differs. Finding the best order is NP-hard.
// Method: beam search over sets of computed calls. A state is a set with the bytes alive and the largest sum so far; from the best
// kBeamWidth states every ready call is tried; of states with the same set only the better one is kept (this is the dynamic programming
// over sets of Ahn et al. 2020, SERENITY, cut to a beam). An output that can take over the bytes of an input that dies counts as share-memory
// will see it. The given order is kept unless the peak gets strictly lower, so chains stay as the model has them.
// Not handled: recomputing values; more than 1000 calls as a whole: those change places only within windows of 250.
// Time: a window's states times its calls that are ready, for each of its calls; linear in the number of windows.
#pragma once

#include "compiler/program/program.h"
#include "passes/pass.h"

namespace kiln {

/// Returns whether the order changed. Runs before share-memory: calls depend on each other only by what they read.
Result<bool> schedule(Program& program, PassContext& context);

}  // namespace kiln
