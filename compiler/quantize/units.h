// SPDX-License-Identifier: Apache-2.0
// The parts of a model that are quantized as wholes.
#pragma once

#include <string>
#include <vector>

#include "compiler/frontend/onnx_graph.h"
#include "compiler/quantize/prepare.h"

namespace kiln {

enum class UnitKind {
  layer,    ///< Conv, Gemm or MatMul with constant weights; with the Add that is its bias and the Relu or Clip behind it
  compute,  ///< other arithmetic, with the Relu or Clip behind it
  move,     ///< its results are elements of its inputs: both have the same grid
};

/// Nodes between which nothing is rounded.
struct Unit {
  UnitKind kind = UnitKind::compute;
  std::vector<size_t> nodes = {};           ///< of the graph, in order; the first does the work
  std::vector<std::string> inputs = {};     ///< float tensors read, none of them constant
  std::vector<std::string> constants = {};  ///< float initializers read, apart from weights, bias and the bounds of Clip
  std::vector<std::string> outputs = {};    ///< float tensors that the rest of the model reads
  std::string weights = {}, bias = {};      ///< initializers of a layer; "" where it has no bias
  std::string summed = {};                  ///< of a layer: the tensor that has the bias and no activation yet
};

/// All units whose nodes are not in `keep_float` (names of nodes; a unit is left out as a whole). Nodes that are in no unit stay float.
/// `types`: those of all tensors that nodes make, and of the inputs.
std::vector<Unit> find_units(const OnnxGraph& graph, const TensorTypes& types, const std::vector<std::string>& keep_float);

}  // namespace kiln
