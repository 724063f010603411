// SPDX-License-Identifier: Apache-2.0
// The command line: verbs, exit codes, and how messages reach the user. Data goes to stdout, talk to stderr.
//
// A verb is a file that defines `extern const Verb diff_verb` and has a line in verbs.def.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace CLI {
class App;
}

namespace kiln {

struct Problem;

/// What verbs write messages to. Colour appears on a terminal only, and never when NO_COLOR is set or TERM is "dumb".
struct Terminal {
  bool quiet = false;    ///< -q: errors only
  bool verbose = false;  ///< -v: also says what is run
  bool color_out = false;
  bool color_err = false;
  bool progress = false;  ///< stderr is a terminal and not quiet

  /// Prints to stderr. Notes and warnings are left out when quiet.
  void report(const Diagnostic& diagnostic) const;
  void report(const Problem& problem) const;
  /// Prints all of `diagnostics` (list_problems) and returns the exit code of the first error.
  ExitCode report(const Diagnostics& diagnostics) const;
  /// Prints the error and returns its exit code: `if (!x) return terminal.fail(x.diagnostic());`
  ExitCode fail(const Diagnostic& diagnostic) const;
  /// One line of talk on stderr, only with -v.
  void say(std::string_view text) const;
  /// Replaces the progress line; an empty text removes it. Does nothing unless `progress`.
  void show_progress(std::string_view text) const;
};

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

/// `text` in an ANSI style such as "1;31" (bold red), or as it is when `color` is false.
std::string styled(std::string_view text, const char* style, bool color);

}  // namespace kiln
