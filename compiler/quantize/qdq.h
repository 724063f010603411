// SPDX-License-Identifier: Apache-2.0
// Writes a plan into a model as QuantizeLinear and DequantizeLinear nodes, in the form of ONNX Runtime's static quantization.
#pragma once

#include "compiler/quantize/plan.h"

namespace kiln {

/// Puts a Q-DQ pair behind every tensor of the plan and a DQ in front of integer weights, biases and constant operands. The graph must be
/// of opset 13 or newer and the one that the plan was made for. Names derive from those of the tensors. 16-bit pairs are of the domain
/// com.microsoft before opset 21.
void insert_qdq(OnnxGraph& graph, const QuantPlan& plan);

}  // namespace kiln
