// SPDX-License-Identifier: Apache-2.0
// Small steps that several graph passes share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "passes/pass.h"

namespace kiln {

/// The name by which the model calls one of its inputs.
[[nodiscard]] std::string input_name(const Graph& graph, ValueId input);

/// `to` will stand where `from` stood and holds the same elements: it takes the name and the ONNX tensor.
void take_identity(Graph& graph, ValueId from, ValueId to);

/// Replaces all uses of the one result of node `old` by `now`, which computes the same elements, and erases `old`. A computed `now`
/// that stands for no ONNX tensor yet takes the name and the ONNX tensor.
void replace_node(Graph& graph, NodeId old, ValueId now);

/// Infers the types of all results again, after a value has got a grid that what follows hands on. Errors: those of `infer`.
Status infer_types(Graph& graph);

/// The origins of `first` followed by those of `second`, each once.
[[nodiscard]] std::vector<std::string> joined_origin(const Node& first, const Node& second);

/// The number that a constant holds in each of its elements; nothing for other values and for constants that vary. Not for f16, bf16.
[[nodiscard]] std::optional<double> uniform_constant(const Graph& graph, ValueId value);

}  // namespace kiln
