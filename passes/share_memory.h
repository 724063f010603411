// SPDX-License-Identifier: Apache-2.0
// share-memory: lets the output of a call take over the bytes of an input that nobody needs afterwards.
//
// A kernel that allows it lists those inputs in KernelCall::in_place. The output then becomes a view of the input, so the
// planner sees one buffer that lives through both. Conditions: the input fills a whole buffer (it is no part of another tensor),
// both have as many bytes, the buffer is not read or written by a later call nor is it a model output.
#pragma once

#include "compiler/program/program.h"
#include "passes/pass.h"

namespace kiln {

/// Returns whether anything was shared.
Result<bool> share_memory(Program& program, PassContext& context);

}  // namespace kiln
