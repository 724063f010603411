// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/program/target.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// A Cortex-M core by its target name; `cpu` can name another core that LLVM knows, with modifiers as in -mcpu ("cortex-m4+nofp").
/// Errors: unknown_target.
Result<Target> make_cortex_m(const std::string& name, const std::string& cpu);

}  // namespace kiln
