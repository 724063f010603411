// SPDX-License-Identifier: Apache-2.0
// Computes a Graph in the compiler, node by node, by the operators' `eval` hooks: the reference that passes and emitted code are held to.
#pragma once

#include <optional>
#include <vector>

#include "compiler/ir/graph.h"

namespace kiln {

/// The tensor of every value that is constant or computed, by value id. `inputs` are in the order of the graph's inputs and must have
/// their types. Errors: bad_input_data on a wrong count or type; what the hooks say; unsupported_node for an operator without `eval`.
Result<std::vector<std::optional<Tensor>>> evaluate_values(const Graph& graph, const std::vector<Tensor>& inputs);

/// The outputs of one node. `operands`: a tensor per input, null for an omitted one; their types are those of the graph. Errors: what
/// the hook says; unsupported_node for an operator without `eval`.
Result<std::vector<Tensor>> evaluate_node(const Graph& graph, NodeId node, const std::vector<const Tensor*>& operands);

/// The graph's outputs.
Result<std::vector<Tensor>> evaluate(const Graph& graph, const std::vector<Tensor>& inputs);

}  // namespace kiln
