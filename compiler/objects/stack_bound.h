// SPDX-License-Identifier: Apache-2.0
// The most stack that a function and all it calls can take, from frames and calls.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/objects/object_code.h"

namespace kiln {

struct StackFrame {
  std::string name;  ///< of the function
  int64_t bytes;
};

struct StackBound {
  std::optional<int64_t> bytes;   ///< none: no bound is known
  std::vector<StackFrame> chain;  ///< the calls that reach it, the outermost first; without a bound, those that lead to the obstacle
  std::string reason;             ///< why there is none: "nn::f calls itself"
};

/// The bound of a call of `root`, a symbol. Jumps in place of a last call count as calls, which can only make it larger. Routines of the
/// toolchain count with what runtime_symbols.def says.
StackBound stack_bound(const ObjectCode& code, const std::string& root);

}  // namespace kiln
