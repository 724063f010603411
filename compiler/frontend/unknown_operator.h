// SPDX-License-Identifier: Apache-2.0
// What to say of an ONNX operator that kiln has no record of.
#pragma once

#include <string_view>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// unsupported_operator, with a hint at what to do instead. `domain` as plain_domain gives it.
[[nodiscard]] Diagnostic unknown_operator(std::string_view domain, std::string_view type);

}  // namespace kiln
