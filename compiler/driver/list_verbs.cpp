// SPDX-License-Identifier: Apache-2.0
// kiln ops and kiln targets: what kiln knows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/table.h"
#include "compiler/ops/ops.h"
#include "targets/targets.h"

namespace kiln {
namespace {

std::vector<const OpDef*> onnx_operators() {
  std::vector<const OpDef*> ops;
  for (const OpDef* op : op_table().all())
    if (!op->onnx.type.empty()) ops.push_back(op);
  std::sort(ops.begin(), ops.end(), [](const OpDef* a, const OpDef* b) {
    return std::pair(a->onnx.domain, a->onnx.type) < std::pair(b->onnx.domain, b->onnx.type);
  });
  return ops;
}

std::string opsets(const OpDef& op) {
  if (op.onnx.until >= 1000) return fmt::format("{}+", op.onnx.since);
  return fmt::format("{} to {}", op.onnx.since, op.onnx.until);
}

std::string full_name(const OpDef& op) {
  return op.onnx.domain.empty() ? std::string(op.onnx.type) : fmt::format("{}::{}", op.onnx.domain, op.onnx.type);
}

ExitCode list_ops(bool markdown) {
  std::vector<const OpDef*> ops = onnx_operators();
  if (markdown) {
    fmt::print("| ONNX operator | opset | what kiln makes of it |\n|---|---|---|\n");
    for (const OpDef* op : ops) fmt::print("| {} | {} | {} |\n", full_name(*op), opsets(*op), op->summary);
    return ExitCode::ok;
  }
  Table table({"operator", "opset", "what"}, {});
  for (const OpDef* op : ops) table.add({full_name(*op), opsets(*op), std::string(op->summary)});
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
