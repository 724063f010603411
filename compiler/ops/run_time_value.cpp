// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/run_time_value.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "compiler/ops/op_util.h"

namespace kiln {
namespace {

/// The inputs of the graph that `value` depends on.
std::set<ValueId> inputs_behind(const Graph& graph, ValueId value) {
  std::set<ValueId> inputs, seen;
  std::vector<ValueId> open{value};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (v == kNoValue || !seen.insert(v).second) continue;
    if (graph.is_input(v)) inputs.insert(v);
    if (graph.value(v).producer == kNoNode) continue;
    for (ValueId operand : graph.node(graph.value(v).producer).inputs) open.push_back(operand);
  }
  return inputs;
}

}  // namespace

std::string freeze_hint(const Graph& graph, ValueId value, std::string_view otherwise) {
  constexpr int64_t kSetting = 16;  // elements of an input that holds a setting, not data
  std::string freeze;
  bool settings_only = true;
  for (ValueId input : inputs_behind(graph, value)) {
    freeze += fmt::format("{}`--freeze {}=VALUE`", freeze.empty() ? "" : " and ", graph.value(input).name);
    settings_only = settings_only && graph.type(input).elements() <= kSetting;
  }
  if (!graph.is_input(value) && (!settings_only || freeze.empty())) return std::string(otherwise);
  return fmt::format("add {}, with what your application uses.", freeze);
}

Diagnostic run_time_value(std::string_view what, const Graph& graph, ValueId value, std::string_view otherwise) {
  return unsupported(fmt::format("{} is computed at run time, it must be a constant.", what), freeze_hint(graph, value, otherwise));
}

}  // namespace kiln
