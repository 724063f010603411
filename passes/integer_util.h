// SPDX-License-Identifier: Apache-2.0
// What the rules of integer-layers share: the integers that stand behind float values.
#pragma once

#include <optional>

#include "compiler/ops/quantization.h"
#include "passes/pass.h"

namespace kiln {

/// The grid on which the elements of `v` lie and whose integers are at hand: `v` is the result of a dequantize node, or a float
/// constant on a grid. Nothing for other values.
std::optional<Quant> grid_of(const Graph& graph, ValueId v);
/// The same for one grid of the whole tensor.
std::optional<Quant> tensor_grid_of(const Graph& graph, ValueId v);

/// Whether a quantize node or an integer operator has bounds narrower than its type.
inline bool has_bounds(const Attrs& attrs) { return attrs.has("low") || attrs.has("high"); }

/// The integers behind `v`, which has a grid: the operand of the dequantize node, or a constant that `builder` adds.
ValueId stored(GraphBuilder& builder, ValueId v);

/// What a chain value -> relu, clip, ... -> quantize makes of a result: the quantize node, and the bounds that the activations
/// leave of the stored integers (rounding and zero point keep the order, so clamping may come after them).
struct QuantizedResult {
  NodeId quantize = kNoNode;
  Quant quant;
  IntegerRange bounds;
  std::vector<std::string> origin;  ///< of the nodes on the way
};
/// Nothing unless each value on the way has one user and the grid is one of the whole tensor.
std::optional<QuantizedResult> quantized_result_of(const Graph& graph, ValueId v);

/// The attributes of an integer operator with this result: its grid, and bounds where they are narrower than its type's.
Attrs result_attrs(const QuantizedResult& result);

}  // namespace kiln
