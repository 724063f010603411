// SPDX-License-Identifier: Apache-2.0
// Adds nodes to a Graph with their types inferred, and evaluates on the spot what is constant. Importers and rewrites build
// through it, so that shape arithmetic of a model never becomes nodes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/ir/limits.h"

namespace kiln {

/// The results of an operator whose inputs are all constant; `args.outputs` are their types. Errors: limit_exceeded, what `eval` says.
Result<std::vector<Tensor>> fold(const OpArgs& args);

class GraphBuilder {
 public:
  /// Nodes are put before `before` (kNoNode: at the end) and carry `origin`.
  GraphBuilder(Graph& graph, std::vector<std::string> origin, NodeId before = kNoNode)
      : graph_(graph), origin_(std::move(origin)), before_(before) {}

  [[nodiscard]] Graph& graph() { return graph_; }
  [[nodiscard]] const TensorType& type(ValueId v) const { return graph_.type(v); }
  [[nodiscard]] const Shape& shape(ValueId v) const { return graph_.type(v).shape; }
  [[nodiscard]] const Tensor* constant(ValueId v) const { return graph_.constant(v); }
  /// The name that new values are derived from, by default the first origin.
  void set_name(std::string name) { name_ = std::move(name); }
  /// Whether nodes with constant inputs are evaluated (default).
  void set_folding(bool on) { folding_ = on; }

  /// A node with any number of outputs.
  Result<std::vector<ValueId>> add_multi(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs = {});
  /// A node with one output.
  Result<ValueId> add(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs = {});
  ValueId add_constant(Tensor tensor, std::string_view name = {});

 private:
  /// A constant computed from another that nothing else uses keeps that one's name: weights stay recognisable.
  std::string folded_name(ValueId from, std::string_view otherwise);

  Graph& graph_;
  std::vector<std::string> origin_;
  NodeId before_;
  std::string name_;
  bool folding_ = true;
};

}  // namespace kiln
