// SPDX-License-Identifier: Apache-2.0
// integer-layers: what a model computes between dequantize and quantize nodes becomes operators on integers.
//
// 1. Operators that move data (and maxima) work on the integers: dequantize sinks below them, quantize rises above them, and a
//    quantize that meets a dequantize of its grid cancels.
// 2. Elementwise float nodes that depend on one 8-bit tensor alone, up to a quantize, become one table of 256 entries,
//    computed by the float operators themselves: exact, whatever the function. Functions of one 16-bit tensor become qunary.
// 3. conv2d, dense and matmul on dequantized operands become qconv2d, qdense and qmatmul: integer sums, one multiplication by
//    float32(x_scale * w_scale / y_scale), round half to even. relu and clip on the way to quantize become bounds. Without a
//    quantize behind them their results are floats, but the operands stay integers.
// 4. Operators of two operands, average pools, means, softmax, layer_norm and linear resizing between dequantize and quantize become their q operators.
// What is left is float because the model computes it in float; float_reason says what is missing.
#pragma once

#include <string>
#include <vector>

#include "compiler/ir/model_info.h"
#include "passes/pass.h"

namespace kiln {

Result<bool> integer_layers(Graph& graph, PassContext& context);

/// integer-boundary: inputs that are only quantized and outputs that are only dequantized become integers themselves, so that
/// the application hands over integers (`--io-dtype int8`). Inputs and outputs that the model uses as floats stay floats, and so do those
/// of `states`, which the application never sees.
Result<bool> integer_boundary(Graph& graph, const std::vector<StatePair>& states, PassContext& context);

/// Whether any tensor of the graph is quantized.
bool is_quantized(const Graph& graph);
/// Why node `id` of a quantized graph computes on floats; empty when it does not, or when it is the quantize or dequantize at
/// the model's boundary.
std::string float_reason(const Graph& graph, NodeId id);

}  // namespace kiln
