// SPDX-License-Identifier: Apache-2.0
// The message about data that do not fit.
#pragma once

#include <string>
#include <utility>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// An error of id bad_input_data.
inline Diagnostic bad_data(std::string message, std::string hint = {}) {
  return error(DiagId::bad_input_data, std::move(message), std::move(hint));
}

}  // namespace kiln
