// SPDX-License-Identifier: Apache-2.0
// share-state: makes a state's new value in the bytes of the old one, so that no step has to copy it there (Program::states).
//
// The new value's buffer becomes a view of the state. Conditions: it is a whole buffer of as many bytes and holds no input, constant or
// other state; and no step reads bytes of the old value that it or an earlier step overwrites, unless the kernel allows it for just these
// operands (KernelCall::in_place). So an LSTM of one step updates h and c in place, also as two halves of one state tensor. Runs after the
// last change of the order of steps.
#pragma once

#include "compiler/program/program.h"
#include "passes/pass.h"

namespace kiln {

/// Returns whether a copy was dropped.
Result<bool> share_state(Program& program, PassContext& context);

}  // namespace kiln
