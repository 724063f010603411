// SPDX-License-Identifier: Apache-2.0
// fold-batchnorm: scales and shifts per channel disappear in the weights and the bias of a convolution or dense layer.
//
//   %a = conv2d(%x, %w, %b)    %m = mul(%a, %scale)    %y = add(%m, %shift)      =>      %y = conv2d(%x, %w', %b')
//
// BatchNormalization arrives as such a mul and add. Also taken: div and sub; an add after a layer without bias (the bias of ONNX
// MatMul + Add); and the same before a layer, where a shift needs a convolution without padding (padded zeros would be shifted too).
// w' = w * scale and b' = b * scale + shift are computed in double and rounded once: not exact, within a rounding per weight.
// Not folded: operands that vary beyond the last dimension, layers whose result has other uses or an activation, weights that other
// layers share.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> fold_batchnorm(Graph& graph, PassContext& context);

}  // namespace kiln
