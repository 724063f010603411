// SPDX-License-Identifier: Apache-2.0
// How messages reach the user: text on stderr, coloured where it is a terminal, with a line of progress.
#pragma once

#include <string>
#include <string_view>

#include "compiler/support/diagnostics.h"

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

/// The terminal of this process: what stdout and stderr are connected to, NO_COLOR and TERM.
Terminal make_terminal();

/// `text` in an ANSI style such as "1;31" (bold red), or as it is when `color` is false.
std::string styled(std::string_view text, const char* style, bool color);

}  // namespace kiln
