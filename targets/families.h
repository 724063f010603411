// SPDX-License-Identifier: Apache-2.0
// The functions that targets.def names, one per family of processors: each makes the target `name`, for the core `cpu` ("": the target's
// own; how others are spelled is the family's matter). Errors: unknown_target.
#pragma once

#include <string>

#include "compiler/program/target.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

#define KILN_TARGET(name, make, summary) Result<Target> make(const std::string&, const std::string&);
#include "targets/targets.def"
#undef KILN_TARGET

}  // namespace kiln
