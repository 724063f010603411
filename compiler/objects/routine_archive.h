// SPDX-License-Identifier: Apache-2.0
// What routines of a toolchain's library add to an image.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// Bytes of flash and initialised RAM of the members of the static library `archive` (its bytes) that define `symbols`, and of those that
/// these need in turn. Symbols that it does not define count nothing. Errors: tool_failed when it is no such library.
Result<int64_t> archived_bytes(const std::string& archive, const std::vector<std::string>& symbols);

}  // namespace kiln
