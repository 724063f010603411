// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "compiler/support/problems.h"

namespace kiln {

std::string styled(std::string_view text, const char* style, bool color) {
  return color ? fmt::format("\033[{}m{}\033[0m", style, text) : std::string(text);
}

void Terminal::report(const Diagnostic& diagnostic) const { report(Problem{diagnostic, {}}); }

void Terminal::report(const Problem& problem) const {
  const Diagnostic& diagnostic = problem.said;
  if (quiet && diagnostic.severity != Severity::error) return;
  show_progress({});
  std::string text = to_string(problem);
  size_t head = text.find(':');
  const char* style = diagnostic.severity == Severity::error ? "1;31" : diagnostic.severity == Severity::warning ? "1;33" : "1;36";
  fmt::print(stderr, "{}{}\n", styled(text.substr(0, head), style, color_err), text.substr(head));
}

ExitCode Terminal::report(const Diagnostics& diagnostics) const {
  std::vector<Problem> all = list_problems(diagnostics);
  for (size_t i = 0; i < all.size(); ++i) {
    if (i + 1 < all.size() && all[i + 1].said.hint == all[i].said.hint)
      all[i].said.hint.clear();  // a hint that several in a row share is said once
    report(all[i]);
  }
  return diagnostics.exit_code();
}

ExitCode Terminal::fail(const Diagnostic& diagnostic) const {
  report(diagnostic);
  return diagnostic_exit_code(diagnostic.id);
}

void Terminal::say(std::string_view text) const {
  if (verbose) fmt::print(stderr, "{}\n", text);
}

void Terminal::show_progress(std::string_view text) const {
  if (!progress) return;
  fmt::print(stderr, "\r\033[K{}", text);
  std::fflush(stderr);
}

Terminal make_terminal() {
  auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value && *value;
  };
  const char* term = std::getenv("TERM");
  bool color = !set("NO_COLOR") && term && std::string_view(term) != "dumb";
  Terminal terminal;
  terminal.color_out = color && isatty(STDOUT_FILENO);
  terminal.color_err = color && isatty(STDERR_FILENO);
  terminal.progress = isatty(STDERR_FILENO) && term && std::string_view(term) != "dumb";
  return terminal;
}

}  // namespace kiln
