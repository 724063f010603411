// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/program/target.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// A RISC-V core; `march` overrides the ISA string that the target name is.
/// Errors: unknown_target.
Result<Target> make_riscv(const std::string& name, const std::string& march);

}  // namespace kiln
