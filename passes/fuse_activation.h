// SPDX-License-Identifier: Apache-2.0
// fuse-activation: a function of one operand is applied by the kernel that computes the operand.
//
//   %a = conv2d(%x, %w, %b)    %y = relu(%a)      =>      %y = conv2d(%x, %w, %b) {act="relu"}
//
// The producer must allow it (kFusesActivation), have no activation yet, and its result no other use. The result keeps the type: kernels
// apply the functor before they store. Exact. The ONNX tensor of %a is not computed any more.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> fuse_activation(Graph& graph, PassContext& context);

}  // namespace kiln
