// SPDX-License-Identifier: Apache-2.0
// Brings a float model into the form that is quantized: opset 13 or newer, and nothing between layers that could be a part of them.
#pragma once

#include <map>
#include <string>

#include "compiler/frontend/onnx_graph.h"
#include "compiler/ir/graph.h"

namespace kiln {

/// The oldest opset with scales per channel in DequantizeLinear.
inline constexpr int64_t kQuantizedOpset = 13;

using TensorTypes = std::map<std::string, TensorType>;

/// Types of the inputs of `model` and of what its nodes make, from the graph imported from it. Importing drops nodes that change nothing,
/// such as a Reshape to the same shape; what they make has the type of what they read.
TensorTypes tensor_types(const Graph& graph, const OnnxGraph& model);

/// Raises the opset of the default domain to 13 when it is older, rewriting the nodes whose meaning or form changed since 7. `types`: those
/// of all tensors that nodes make. Errors: unsupported_node for a node that has no equal in opset 13.
Status raise_opset(OnnxGraph& graph, const TensorTypes& types);

/// Removes Identity and Dropout; folds BatchNormalization into the Conv, Gemm or MatMul before it, and makes a depthwise Conv of those that
/// follow none, on [N,C,H,W]; gives Gemm alpha = beta = 1 and a bias of one dimension where its operands allow it; gives every such Conv
/// and Gemm a bias of its own. The float results stay the same within rounding. `types` as above.
void simplify_for_quantization(OnnxGraph& graph, const TensorTypes& types);

}  // namespace kiln
