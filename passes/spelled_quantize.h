// SPDX-License-Identifier: Apache-2.0
// spelled-quantize: quantization that a model spells out with arithmetic becomes quantize and dequantize nodes.
//
// 1. x / s (or x * 1/s) -> round -> + z -> clip to integers -> - z -> * s, with or without casts to integers and back, as PyTorch
//    decomposes fake quantization; s and z are constant. The integers between the clip's bounds are the grid.
// 2. Weights of a layer that were on such a grid come out of constant folding as plain floats. Each output channel is searched for
//    a scale of which all its weights are exact multiples by -127 to 127; with one for every channel the constant is on a grid again.
// Not exact where 1/s is not: x * (1/s) and x / s can round to neighbours, and with an odd z exact ties can.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> spelled_quantize(Graph& graph, PassContext& context);

}  // namespace kiln
