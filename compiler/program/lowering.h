// SPDX-License-Identifier: Apache-2.0
// The interface through which an operator's `lower` hook describes the kernel calls that compute a node.
#pragma once

#include <string>
#include <vector>

#include "compiler/program/program.h"

namespace kiln {

class Lowering {
 public:
  Lowering(const Graph& graph, Program& program) : graph_(graph), program_(program) {}

  /// The program tensor of a graph value; made at the first call.
  TensorId tensor(ValueId value);
  /// Whether it is the tensor of a graph input.
  [[nodiscard]] bool is_input(TensorId id) const { return index(id) < is_input_.size() && is_input_[index(id)]; }
  /// An arena tensor that no graph value stands for.
  TensorId temporary(TensorType type, const std::string& name);
  /// Data in flash.
  TensorId constant(Tensor tensor, const std::string& name);
  /// `value` (a node's output) is the bytes of `of`, from `offset_bytes` on, so nothing has to be computed.
  void view(ValueId value, TensorId of, int64_t offset_bytes = 0);

  /// Appends a call. `call.inputs` and `call.outputs` are set by the caller; label, origin, shapes and MACs come from `node`.
  /// `label` is by default the operator's name and the fused functors.
  void call(const Node& node, KernelCall call, std::string label = {});

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] Program& program() { return program_; }

 private:
  const Graph& graph_;
  Program& program_;
  std::vector<int64_t> of_value_;  ///< index of the program tensor, or -1
  std::vector<bool> is_input_;     ///< per program tensor
};

/// A C identifier made from any text: other characters become '_', a digit at the front gets one, keywords a trailing one.
std::string c_identifier(std::string_view text);

}  // namespace kiln
