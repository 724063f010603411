// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/wiring.h"

#include <algorithm>

namespace kiln {

Wiring::Wiring(const OnnxGraph& graph) : outputs_(graph.outputs) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const std::string& input : graph.nodes[n].inputs)
      if (!input.empty()) users_[input].push_back(n);
    for (const std::string& output : graph.nodes[n].outputs)
      if (!output.empty()) producers_[output] = n;
  }
}

std::optional<size_t> Wiring::producer(const std::string& tensor) const {
  auto it = producers_.find(tensor);
  return it == producers_.end() ? std::nullopt : std::optional<size_t>(it->second);
}

const std::vector<size_t>& Wiring::users(const std::string& tensor) const {
  static const std::vector<size_t> kNone;
  auto it = users_.find(tensor);
  return it == users_.end() ? kNone : it->second;
}

bool Wiring::is_output(const std::string& tensor) const { return std::find(outputs_.begin(), outputs_.end(), tensor) != outputs_.end(); }

std::optional<size_t> Wiring::only_user(const std::string& tensor) const {
  const std::vector<size_t>& all = users(tensor);
  return all.size() == 1 && !is_output(tensor) ? std::optional<size_t>(all[0]) : std::nullopt;
}

std::string input_of(const OnnxGraphNode& node, size_t i) { return i < node.inputs.size() ? node.inputs[i] : std::string(); }

bool has_subgraphs(const OnnxGraph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const OnnxGraphNode& n) { return n.is("If") || n.is("Loop") || n.is("Scan"); });
}

}  // namespace kiln
