// SPDX-License-Identifier: Apache-2.0
// Running other programs, without a shell in between.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

struct ProcessResult {
  int exit_code = 0;   ///< meaningful when `signal` is 0
  int signal = 0;      ///< that ended it, or 0
  std::string output;  ///< what it wrote to stdout and stderr; the end of it when that is much

  [[nodiscard]] bool ok() const { return exit_code == 0 && signal == 0; }
};

/// Runs `arguments` (the first is the program) in `directory` and waits for its end. Errors: tool_failed when it cannot be
/// started.
Result<ProcessResult> run_process(const std::vector<std::string>& arguments, const std::filesystem::path& directory);

/// Where `program` is: itself when it has a '/', else its place in $PATH, or nothing.
std::optional<std::filesystem::path> find_program(const std::string& program);

/// The arguments as one would type them.
std::string command_text(const std::vector<std::string>& arguments);

}  // namespace kiln
