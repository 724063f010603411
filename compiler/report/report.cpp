// SPDX-License-Identifier: Apache-2.0
#include "compiler/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "compiler/emit/bundle_writer.h"
#include "compiler/report/table.h"
#include "compiler/support/terminal.h"
#include "passes/integer_layers.h"

namespace kiln {
namespace {

std::string joined(const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, " ")); }

/// "onnx name" cut in the middle to `width` characters.
std::string shortened(const std::string& text, size_t width) {
  if (text.size() <= width) return text;
  size_t tail = (width - 2) / 2;
  return text.substr(0, width - 2 - tail) + ".." + text.substr(text.size() - tail);
}

std::string io_lines(const Compiled& c, const std::vector<IoTensor>& list, const char* kind) {
  std::string text;
  for (const IoTensor& io : list)
    text += fmt::format("  {:<7} {}  {}  {}_{}_{}()\n", kind, comment_quoted(io.name), describe_type(c.program.tensor(io.tensor).type),
                        c.program.name, kind, io.c_name);
  return text;
}

std::string state_lines(const Program& p) {
  std::string text;
  for (const StateTensor& state : p.states)
    text += fmt::format("  state   {} from {}  {}\n", comment_quoted(state.input), comment_quoted(state.output),
                        describe_type(p.tensor(state.tensor).type));
  return text;
}

/// A node of a quantized graph that computes on floats.
struct FloatNode {
  const Node* node;
  std::string reason;
};

std::vector<FloatNode> float_nodes(const Graph& graph) {
  std::vector<FloatNode> list;
  if (!is_quantized(graph)) return list;
  for (NodeId id : graph.order())
    if (std::string reason = float_reason(graph, id); !reason.empty()) list.push_back({&graph.node(id), std::move(reason)});
  return list;
}

/// Of a quantized model: what stays float, and why.
std::string float_text(const Graph& graph) {
  if (!is_quantized(graph)) return {};
  std::vector<FloatNode> list = float_nodes(graph);
  if (list.empty()) return "  numbers every layer computes on integers\n";
  std::string text = fmt::format("  numbers {} of {} operators compute on floats:\n", list.size(), graph.order().size());
  for (const FloatNode& f : list)
    text += fmt::format("          {} ({}): {}\n", shortened(joined(f.node->origin), 60), f.node->op->name, f.reason);
  return text;
}

/// "1-3, 7" for steps 0, 1, 2, 6.
std::string layer_numbers(const std::vector<size_t>& steps) {
  std::string text;
  for (size_t i = 0; i < steps.size();) {
    size_t end = i + 1;
    while (end < steps.size() && steps[end] == steps[end - 1] + 1) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", steps[i] + 1);
    if (end > i + 1) text += fmt::format("-{}", steps[end - 1] + 1);
    i = end;
  }
  return text;
}

/// A line for the routines of one kind that the same layers need.
std::string routines_text(const std::vector<RoutineUse>& routines) {
  std::map<std::pair<RoutineKind, std::vector<size_t>>, std::vector<std::string_view>> groups;
  for (const RoutineUse& use : routines) groups[{use.routine.kind, use.steps}].push_back(use.routine.symbol);
  std::string text;
  for (const auto& [group, symbols] : groups)
    text += fmt::format("  calls   {} ({}) {}\n", fmt::join(symbols, ", "), routine_kind_name(group.first),
                        group.second.empty() ? "outside of layers"
                                             : fmt::format("in layer{} {}", group.second.size() == 1 ? "" : "s", layer_numbers(group.second)));
  return text;
}

/// Flash, stack and routines as measured.
std::string footprint_text(const Footprint& f, const std::string& name) {
  const ObjectCode& code = f.code;
  std::string text =
      fmt::format("  flash   {} bytes: {} of code, {} of constants, {} of weights", with_commas(f.flash_bytes()),
                  with_commas(code.text_bytes), with_commas(code.constant_bytes + code.data_bytes), with_commas(code.weight_bytes));
  if (f.routine_bytes.value_or(0) > 0) text += fmt::format(", {} of the toolchain's routines", with_commas(*f.routine_bytes));
  const std::string chain = stack_chain_text(f.stack, name);
  text += f.stack.bytes ? fmt::format("\n  stack   at most {} bytes{}{}\n", with_commas(*f.stack.bytes), chain.empty() ? "" : ": ", chain)
                        : fmt::format("\n  stack   no bound: {}\n", f.stack.reason);
  text += routines_text(f.routines);
  return text + fmt::format("  built   by {} {}\n", f.compiler, fmt::join(f.flags, " "));
}

nlohmann::ordered_json footprint_json(const Footprint& f) {
  nlohmann::ordered_json j;
  j["compiler"] = f.compiler;
  j["flags"] = f.flags;
  j["text_bytes"] = f.code.text_bytes;
  j["constant_bytes"] = f.code.constant_bytes;
  j["weight_bytes"] = f.code.weight_bytes;
  j["data_bytes"] = f.code.data_bytes;
  j["zero_bytes"] = f.code.zero_bytes;
  j["routine_bytes"] = f.routine_bytes ? nlohmann::ordered_json(*f.routine_bytes) : nlohmann::ordered_json();
  j["flash_bytes"] = f.flash_bytes();
  j["ram_bytes"] = f.ram_bytes;
  j["stack_bytes"] = f.stack.bytes ? nlohmann::ordered_json(*f.stack.bytes) : nlohmann::ordered_json();
  j["stack_reason"] = f.stack.reason;
  j["stack_chain"] = nlohmann::ordered_json::array();
  for (const StackFrame& frame : f.stack.chain) j["stack_chain"].push_back({{"function", frame.name}, {"bytes", frame.bytes}});
  j["routines"] = nlohmann::ordered_json::array();
  for (const RoutineUse& use : f.routines)
    j["routines"].push_back({{"symbol", use.routine.symbol}, {"kind", routine_kind_name(use.routine.kind)}, {"steps", use.steps}});
  return j;
}

}  // namespace

std::string stack_chain_text(const StackBound& stack, const std::string& bundle) {
  const std::string space = bundle + "::";
  std::string text;
  for (const StackFrame& frame : stack.chain) {
    std::string name = frame.name.starts_with(space) ? frame.name.substr(space.size()) : frame.name;
    text += fmt::format("{}{} {}", text.empty() ? "" : " > ", name, frame.bytes);
  }
  return text;
}

std::vector<LayerRow> layer_rows(const Program& program) {
  const auto steps = static_cast<int64_t>(program.steps.size());
  std::vector<int64_t> growth(program.steps.size() + 1);  // per step: by how much more is alive than at the one before
  const std::vector<Lifetime> lives = lifetimes(program);
  for (size_t t = 0; t < lives.size(); ++t) {
    const int64_t first = std::max<int64_t>(lives[t].first, 0), end = std::min(lives[t].last + 1, steps);
    if (first >= end) continue;
    const int64_t bytes = program.tensor(TensorId{static_cast<uint32_t>(t)}).type.bytes();
    growth[static_cast<size_t>(first)] += bytes;
    growth[static_cast<size_t>(end)] -= bytes;
  }
  std::vector<LayerRow> rows;
  int64_t live = 0;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    live += growth[i];
    rows.push_back({i, step.label, fmt::format("{}.{}", step.call.family, step.call.row->variant), step.origin, step.output_shape,
                    step.macs, program.weights_bytes(step), live, false});
  }
  auto peak = std::max_element(rows.begin(), rows.end(), [](const LayerRow& a, const LayerRow& b) { return a.live_bytes < b.live_bytes; });
  if (peak != rows.end()) peak->peak = true;
  return rows;
}

std::string summary_text(const Compiled& c, const Footprint* footprint) {
  const Program& p = c.program;
  std::string features = c.target.features.empty() ? "" : fmt::format(" ({})", joined(c.target.features));
  std::string text = fmt::format("{}: {} layers, {} multiply-accumulates, for {}{}\n", p.name, p.steps.size(), with_commas(p.macs()),
                                 c.target.name, features);
  const MemoryPlan& m = p.memory;
  std::string gap = m.arena_bytes == m.live_lower_bound_bytes
                        ? "no plan for this order of layers can need less"
                        : fmt::format("the tensors alive in layer {} need {}", m.live_peak_step + 1, with_commas(m.live_lower_bound_bytes));
  std::string state = p.states.empty() ? "" : fmt::format(", {} of them state", with_commas(p.state_bytes()));
  text += fmt::format("  RAM     {} bytes of arena{}; {}\n", with_commas(m.arena_bytes), state, gap);
  text += footprint ? footprint_text(*footprint, p.name) : fmt::format("  flash   {} bytes of weights\n", with_commas(p.weights_bytes()));
  return text + io_lines(c, p.inputs, "input") + io_lines(c, p.outputs, "output") + state_lines(p) + float_text(c.graph);
}

std::string layer_table(const Compiled& c, const Footprint* footprint, bool color) {
  std::vector<std::string> header{"#", "layer", "onnx", "output", "MACs", "weights", "alive", ""};
  const auto code_column = header.end() - header.begin() - 2;
  if (footprint) header.insert(header.begin() + code_column, "code");
  Table table(header, {4, 5, 6, footprint ? size_t{7} : size_t{6}});
  for (const LayerRow& row : layer_rows(c.program)) {
    std::vector<std::string> cells{fmt::format("{}", row.index + 1),      row.label,
                                   shortened(joined(row.onnx_nodes), 40), to_string(std::span<const int64_t>(row.output_shape)),
                                   row.macs ? with_commas(row.macs) : "", row.weights_bytes ? with_commas(row.weights_bytes) : "",
                                   with_commas(row.live_bytes),           row.peak ? styled("<- peak", "1;33", color) : ""};
    if (footprint) cells.insert(cells.begin() + code_column, with_commas(footprint->step_bytes[row.index]));
    table.add(std::move(cells));
  }
  return table.text();
}

std::string report_json(const Compiled& c, const Footprint* footprint) {
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(manifest_json(c.program, c.target, c.info));
  j.erase("files");
  std::vector<LayerRow> rows = layer_rows(c.program);
  for (const LayerRow& row : rows) {
    j["steps"][row.index]["live_bytes"] = row.live_bytes;
    j["steps"][row.index]["peak"] = row.peak;
    if (footprint) j["steps"][row.index]["code_bytes"] = footprint->step_bytes[row.index];
  }
  if (footprint) j["footprint"] = footprint_json(*footprint);
  if (is_quantized(c.graph)) {
    j["float_nodes"] = nlohmann::ordered_json::array();
    for (const FloatNode& f : float_nodes(c.graph))
      j["float_nodes"].push_back({{"onnx_nodes", f.node->origin}, {"operator", f.node->op->name}, {"reason", f.reason}});
  }
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace kiln
