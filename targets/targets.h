// SPDX-License-Identifier: Apache-2.0
// The targets kiln knows. targets.def lists them; each folder here describes one family.
#pragma once

#include <string>
#include <vector>

#include "compiler/program/target.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct TargetInfo {
  std::string name, summary;
};
/// In the order of targets.def.
std::vector<TargetInfo> known_targets();

/// The target `name`, for code that is fast or small, with `cpu` ("" for its default; host: "x86-64", "x86-64-v2|v3|v4", "native" or any CPU name LLVM knows).
/// Errors: unknown_target.
Result<Target> make_target(const std::string& name, const std::string& cpu, Goal goal = Goal::speed);

}  // namespace kiln
