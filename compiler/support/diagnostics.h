// SPDX-License-Identifier: Apache-2.0
// What went wrong with the user's input, and how functions report it.
//
// A function that can fail returns Result<T>: a value or one Diagnostic. Where several problems should reach the user in
// one run (all unsupported nodes, say), and for notes and warnings, they are collected in Diagnostics.
// Faults of our own are not reported this way: see check.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kiln {

/// Exit codes of the command line (docs/cli.md).
enum class ExitCode { ok = 0, usage = 1, bad_model = 2, unsupported = 3, io = 4, numbers = 5, budget = 6, internal = 70 };

enum class DiagId {
#define KILN_DIAGNOSTIC(id, code, exit_code) id,
#include "compiler/support/diagnostics.def"
#undef KILN_DIAGNOSTIC
};

/// The stable name that the user sees, such as "E300".
std::string_view diagnostic_code(DiagId id);
ExitCode diagnostic_exit_code(DiagId id);

enum class Severity { note, warning, error };

/// One message. Style: lower case, both numbers of a mismatch, what to do about it in `hint`, full stop.
struct Diagnostic {
  DiagId id;
  Severity severity = Severity::error;
  std::string message;
  std::string hint;
  std::string node;  ///< ONNX node, as "'conv1' (Conv)"; empty when the message is about no node
  std::string file;  ///< empty when it is about no file

  /// The same message said about ONNX node `where`; a node that is already named stays.
  [[nodiscard]] Diagnostic at_node(std::string where) &&;
  [[nodiscard]] Diagnostic in_file(std::string path) &&;
};

/// Builds an error: `return error(DiagId::bad_node, fmt::format(...), "hint");`
[[nodiscard]] Diagnostic error(DiagId id, std::string message, std::string hint = {});

/// A value of T or the Diagnostic that explains why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Diagnostic diagnostic) : content_(std::in_place_index<1>, std::move(diagnostic)) {}

  [[nodiscard]] bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return std::get<0>(content_); }
  const T& operator*() const& { return std::get<0>(content_); }
  T&& operator*() && { return std::get<0>(std::move(content_)); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  [[nodiscard]] const Diagnostic& diagnostic() const& { return std::get<1>(content_); }
  [[nodiscard]] Diagnostic&& diagnostic() && { return std::get<1>(std::move(content_)); }

 private:
  std::variant<T, Diagnostic> content_;
};

/// The Result of a function that has nothing to return.
struct Done {};
using Status = Result<Done>;

/// Collects the messages of one run.
class Diagnostics {
 public:
  void report(Diagnostic diagnostic) { list_.push_back(std::move(diagnostic)); }
  void note(DiagId id, std::string message, std::string hint = {});
  void warning(DiagId id, std::string message, std::string hint = {});

  [[nodiscard]] const std::vector<Diagnostic>& all() const { return list_; }
  [[nodiscard]] bool has_errors() const;
  /// The exit code of the first error, or ok.
  [[nodiscard]] ExitCode exit_code() const;

 private:
  std::vector<Diagnostic> list_;
};

/// "error E300: model.onnx: node 'x' (Foo): message.\n  hint: ..." without colour and without a last newline.
[[nodiscard]] std::string to_string(const Diagnostic& diagnostic);

}  // namespace kiln
