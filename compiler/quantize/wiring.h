// SPDX-License-Identifier: Apache-2.0
// Who makes and who reads each tensor of an OnnxGraph.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/onnx_graph.h"

namespace kiln {

/// A snapshot: it does not follow changes of the graph.
class Wiring {
 public:
  explicit Wiring(const OnnxGraph& graph);

  /// The node that makes `tensor`; nothing for inputs and initializers.
  [[nodiscard]] std::optional<size_t> producer(const std::string& tensor) const;
  /// The nodes that read `tensor`, one entry per use.
  [[nodiscard]] const std::vector<size_t>& users(const std::string& tensor) const;
  [[nodiscard]] bool is_output(const std::string& tensor) const;
  /// The one node that reads `tensor`, when it has one use and is no output of the model.
  [[nodiscard]] std::optional<size_t> only_user(const std::string& tensor) const;

 private:
  std::map<std::string, size_t> producers_;
  std::map<std::string, std::vector<size_t>> users_;
  std::vector<std::string> outputs_;
};

/// Input `i` of a node, "" where it has none.
std::string input_of(const OnnxGraphNode& node, size_t i);

/// Whether a node holds subgraphs, which read tensors by name.
bool has_subgraphs(const OnnxGraph& graph);

}  // namespace kiln
