// SPDX-License-Identifier: Apache-2.0
// --ram, --flash and --stack.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/report/budgets.h"
#include "compiler/support/diagnostics.h"

namespace CLI {
class App;
}

namespace kiln {

void add_budget_options(CLI::App& app, Budgets& budgets);

/// "65536", "0x10000", "64K" or "1M", in any case, K being 1024. Errors: bad_usage, naming `option`.
Result<int64_t> parse_bytes(const std::string& option, const std::string& text);

}  // namespace kiln
