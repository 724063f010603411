// SPDX-License-Identifier: Apache-2.0
// The rules of integer-layers. Each looks at one node and says whether it has changed the graph; new nodes stand before the node.
#pragma once

#include "passes/integer_util.h"

namespace kiln {

// integer_moves.cpp
Result<bool> sink_dequantize(Graph& graph, NodeId moving);
Result<bool> lift_quantize(Graph& graph, NodeId quantize);
Result<bool> cancel_conversions(Graph& graph, NodeId quantize);

// integer_tables.cpp
Result<bool> tabulate(Graph& graph, NodeId quantize);

// integer_clamps.cpp
/// A table or relu or clip of 16 bits that only clamps becomes the bounds of the integer operator before it.
Result<bool> fuse_clamp(Graph& graph, NodeId lookup);
/// max, min and relu of integers become bounds of the quantize node before them.
Result<bool> clamp_integers(Graph& graph, NodeId max_or_min);
/// relu and clip of floats become bounds of the quantize node behind them.
Result<bool> clamp_floats(Graph& graph, NodeId relu_or_clip);

// integer_operators.cpp
Result<bool> integer_layer(Graph& graph, NodeId layer);
Result<bool> integer_binary(Graph& graph, NodeId binary);
/// Functions of one operand of 16 bits.
Result<bool> integer_function(Graph& graph, NodeId id);
/// Operators of one computed operand that look at several of its elements.
Result<bool> integer_unary(Graph& graph, NodeId id);

}  // namespace kiln
