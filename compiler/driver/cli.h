// SPDX-License-Identifier: Apache-2.0
// The command line: verbs and exit codes. Data goes to stdout, talk to stderr.
//
// A verb is a file that defines `extern const Verb diff_verb` and has a line in verbs.def.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/diagnostics.h"
#include "compiler/support/terminal.h"

namespace CLI {
class App;
}

namespace kiln {

/// Runs a verb whose options have been parsed.
using VerbAction = std::function<ExitCode(const Terminal&)>;

struct Verb {
  std::string_view name;      ///< "diff"
  std::string_view summary;   ///< one line of the help
  std::string_view examples;  ///< shown first in `kiln diff --help`, one per line
  /// Adds the verb's options to `sub`. They bind to variables that the returned action owns.
  VerbAction (*add)(CLI::App& sub);
};

/// All verbs, in the order of verbs.def.
std::vector<const Verb*> all_verbs();

/// Parses and runs a command line; the returned value is the process's exit code (ExitCode).
int run_command_line(int argc, const char* const* argv);

/// The closest of `words` to `word` when it is close enough to be meant, else "". For "did you mean".
std::string closest_word(std::string_view word, const std::vector<std::string>& words);

/// What option callbacks throw (CLI11 has no other way for a callback to fail); run_command_line prints it.
struct UsageError {
  Diagnostic diagnostic;
};

}  // namespace kiln
