// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/program/target.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// The x86-64 host. `cpu`: "" is plain x86-64 (runs everywhere), "native" this machine, else a name that LLVM knows.
Result<Target> make_host(const std::string& name, const std::string& cpu);

}  // namespace kiln
