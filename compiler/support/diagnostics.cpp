// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/diagnostics.h"

#include <algorithm>

namespace kiln {
namespace {

struct Row {
  std::string_view code;
  ExitCode exit_code;
};

constexpr Row kRows[] = {
#define KILN_DIAGNOSTIC(id, code, exit_code) {code, ExitCode::exit_code},
#include "compiler/support/diagnostics.def"
#undef KILN_DIAGNOSTIC
};

constexpr std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::note: return "note";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "error";
}

}  // namespace

std::string_view diagnostic_code(DiagId id) { return kRows[static_cast<size_t>(id)].code; }
ExitCode diagnostic_exit_code(DiagId id) { return kRows[static_cast<size_t>(id)].exit_code; }

Diagnostic Diagnostic::at_node(std::string where) && {
  if (node.empty()) node = std::move(where);
  return std::move(*this);
}

Diagnostic Diagnostic::in_file(std::string path) && {
  if (file.empty()) file = std::move(path);
  return std::move(*this);
}

Diagnostic error(DiagId id, std::string message, std::string hint) {
  return Diagnostic{id, Severity::error, std::move(message), std::move(hint), {}, {}};
}

void Diagnostics::note(DiagId id, std::string message, std::string hint) {
  report(Diagnostic{id, Severity::note, std::move(message), std::move(hint), {}, {}});
}

void Diagnostics::warning(DiagId id, std::string message, std::string hint) {
  report(Diagnostic{id, Severity::warning, std::move(message), std::move(hint), {}, {}});
}

bool Diagnostics::has_errors() const {
  return std::any_of(list_.begin(), list_.end(), [](const Diagnostic& d) { return d.severity == Severity::error; });
}

ExitCode Diagnostics::exit_code() const {
  for (const Diagnostic& d : list_)
    if (d.severity == Severity::error) return diagnostic_exit_code(d.id);
  return ExitCode::ok;
}

std::string to_string(const Diagnostic& d) {
  std::string text(severity_name(d.severity));
  text += ' ';
  text += diagnostic_code(d.id);
  text += ": ";
  if (!d.file.empty()) text += d.file + ": ";
  if (!d.node.empty()) text += "node " + d.node + ": ";
  text += d.message;
  if (!d.hint.empty()) text += "\n  hint: " + d.hint;
  return text;
}

}  // namespace kiln
