// SPDX-License-Identifier: Apache-2.0
// What a model may take of its target: --ram, --flash and --stack.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/footprint.h"
#include "compiler/support/terminal.h"

namespace kiln {

/// Bytes; none: any.
struct Budgets {
  std::optional<int64_t> ram, flash, stack;

  /// Whether they can only be checked with object code.
  [[nodiscard]] bool need_footprint() const { return flash || stack; }
};

/// Errors: bad_usage when there is no object code for the target that could be measured, which `option` asks for.
Status check_measurable(std::string_view option, const Target& target);
/// The same for budgets.
Status check_budgets_apply(const Budgets& budgets, const Target& target);

/// One over_budget error for each budget that is exceeded, with the layers to blame. Without a footprint only RAM is checked.
std::vector<Diagnostic> check_budgets(const Budgets& budgets, const Compiled& compiled, const Footprint* footprint);

/// The same, printed, with the exit code. Where a budget needs it, the object code of `bundle` is measured into `footprint` first, unless
/// it is there already.
ExitCode enforce_budgets(const Budgets& budgets, const Compiled& compiled, const std::vector<OutputFile>& bundle, const BuildOptions& build,
                         std::optional<Footprint>& footprint, const Terminal& terminal);

}  // namespace kiln
