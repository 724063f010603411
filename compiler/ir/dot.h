// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "compiler/ir/graph.h"

namespace kiln {

/// The graph for Graphviz (`dot -Tsvg`): a box per node with its operator, small attributes and constant operands; edges carry types.
[[nodiscard]] std::string graph_to_dot(const Graph& graph);

}  // namespace kiln
