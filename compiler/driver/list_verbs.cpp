// SPDX-License-Identifier: Apache-2.0
// kiln ops and kiln targets: what kiln knows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/report/operator_table.h"
#include "compiler/report/table.h"
#include "targets/targets.h"

namespace kiln {
namespace {

ExitCode list_ops(bool markdown) {
  if (markdown) {
    fmt::print("{}", operator_table({}));
    return ExitCode::ok;
  }
  const std::vector<const OpDef*> ops = onnx_operators();
  Table table({"operator", "opset", "what"}, {});
  for (const OpDef* op : ops) table.add({full_name(*op), opsets_text(*op), std::string(op->summary)});
  fmt::print("{}\n{} operators\n", table.text(), ops.size());
  return ExitCode::ok;
}

VerbAction add_ops(CLI::App& sub) {
  auto markdown = std::make_shared<bool>(false);
  sub.add_flag("--markdown", *markdown, "As a Markdown table");
  return [markdown](const Terminal&) { return list_ops(*markdown); };
}

VerbAction add_targets(CLI::App&) {
  return [](const Terminal&) {
    Table table({"target", "what"}, {});
    for (const TargetInfo& target : known_targets()) table.add({target.name, target.summary});
    fmt::print("{}", table.text());
    return ExitCode::ok;
  };
}

}  // namespace

extern const Verb ops_verb, targets_verb;
const Verb ops_verb = {"ops", "List the ONNX operators that kiln compiles", "kiln ops\nkiln ops --markdown > operators.md", add_ops};
const Verb targets_verb = {"targets", "List the targets", "kiln targets", add_targets};

}  // namespace kiln
