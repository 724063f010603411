// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/dot.h"

#include <fmt/format.h>

#include "compiler/ir/print.h"
#include "compiler/support/code_writer.h"

namespace kiln {
namespace {

/// Attributes longer than this say nothing in a drawing.
constexpr size_t kMaxAttrChars = 40;

/// `lines` as a quoted label, left aligned.
std::string label(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    std::string quoted = print_string(line);
    text += quoted.substr(1, quoted.size() - 2) + "\\l";
  }
  return '"' + text + '"';
}

std::vector<std::string> node_lines(const Graph& graph, const Node& node) {
  std::vector<std::string> lines = {std::string(node.op->name)};
  PrintOptions options;
  options.elide_constants = true;
  for (const auto& [name, attr] : node.attrs.all())
    if (std::string text = print_attr(attr, options); text.size() <= kMaxAttrChars) lines.push_back(fmt::format("{}={}", name, text));
  for (ValueId v : node.inputs)
    if (graph.constant(v)) lines.push_back(fmt::format("const {}", print_type(graph.type(v))));
  for (const std::string& name : node.origin) lines.push_back(name);
  return lines;
}

}  // namespace

std::string graph_to_dot(const Graph& graph) {
  CodeWriter out;
  out.linef("digraph {} {{", print_string(graph.name));
  out.indent();
  out.line("node [shape=box, fontname=\"monospace\", fontsize=10];");
  out.line("edge [fontname=\"monospace\", fontsize=9];");
  // v<id>: a graph input; n<id>: a node; o<i>: a graph output
  auto source = [&](ValueId v) {
    NodeId producer = graph.value(v).producer;
    return producer == kNoNode ? fmt::format("v{}", index(v)) : fmt::format("n{}", index(producer));
  };
  auto edge = [&](ValueId v, const std::string& to) { out.linef("{} -> {} [label={}];", source(v), to, print_string(print_type(graph.type(v)))); };
  auto terminal = [&](const std::string& id, ValueId v) {
    out.linef("{} [shape=ellipse, label={}];", id, print_string(fmt::format("{}: {}", graph.value(v).name, print_type(graph.type(v)))));
  };
  for (ValueId v : graph.inputs) terminal(source(v), v);
  for (NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    std::string self = fmt::format("n{}", index(id));
    out.linef("{} [label={}];", self, label(node_lines(graph, node)));
    for (ValueId v : node.inputs)
      if (v != kNoValue && !graph.constant(v)) edge(v, self);
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    ValueId v = graph.outputs()[i];
    std::string self = fmt::format("o{}", i);
    terminal(self, v);
    if (graph.constant(v)) terminal(source(v), v);
    edge(v, self);
  }
  out.outdent();
  out.line("}");
  return std::move(out).text();
}

}  // namespace kiln
