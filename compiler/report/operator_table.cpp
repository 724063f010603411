// SPDX-License-Identifier: Apache-2.0
#include "compiler/report/operator_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/ops/ops.h"

namespace kiln {
namespace {

/// A '|' would end the cell.
std::string cell(std::string_view text) {
  std::string out;
  for (char ch : text) out += ch == '|' ? std::string("\\|") : std::string(1, ch);
  return out;
}

}  // namespace

std::vector<const OpDef*> onnx_operators() {
  std::vector<const OpDef*> ops;
  for (const OpDef* op : op_table().all())
    if (!op->onnx.type.empty()) ops.push_back(op);
  std::sort(ops.begin(), ops.end(), [](const OpDef* a, const OpDef* b) {
    return std::pair(a->onnx.domain, a->onnx.type) < std::pair(b->onnx.domain, b->onnx.type);
  });
  return ops;
}

std::string full_name(const OpDef& op) {
  return op.onnx.domain.empty() ? std::string(op.onnx.type) : fmt::format("{}::{}", op.onnx.domain, op.onnx.type);
}

std::string opsets_text(const OpDef& op) {
  if (op.onnx.until >= 1000) return fmt::format("{}+", op.onnx.since);
  return fmt::format("{} to {}", op.onnx.since, op.onnx.until);
}

std::string operator_table(const std::vector<OperatorColumn>& columns) {
  std::string text = "| ONNX operator | opset | what kiln makes of it |", rule = "|---|---|---|";
  for (const OperatorColumn& column : columns) {
    text += fmt::format(" {} |", column.title);
    rule += "---|";
  }
  text += "\n" + rule + "\n";
  for (const OpDef* op : onnx_operators()) {
    text += fmt::format("| {} | {} | {} |", full_name(*op), opsets_text(*op), cell(op->summary));
    for (const OperatorColumn& column : columns) {
      auto it = column.cells.find(full_name(*op));
      text += fmt::format(" {} |", it == column.cells.end() ? "" : cell(it->second));
    }
    text += "\n";
  }
  return text;
}

}  // namespace kiln
