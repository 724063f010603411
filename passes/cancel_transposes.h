// SPDX-License-Identifier: Apache-2.0
// cancel-transposes: removes transposes, by moving them until they meet their inverse or something that absorbs them.
//
// The importer surrounds every convolution, pool and resize of a channels-first model by transposes to and from channels-last:
//
//   conv2d -> NHWC>NCHW -> relu -> NCHW>NHWC -> conv2d      =>      conv2d -> relu -> conv2d
//
// Rules, repeated until none applies:
//   1. A transpose of a transpose is one; a transpose that moves only dimensions of size 1 is a reshape.
//   2. Regions of operators that work in any order of dimensions take the order in which the transposes at their border move the fewest
//      elements (transpose_regions.h). Values that are computed in another order than in the model keep their ONNX tensor with `perm`.
//   3. reshape(transpose(x)) becomes transpose(reshape(x)) when the reshape merges or splits only dimensions that are neighbours in x, and
//      the transpose vanishes by that or what follows may take it further.
//   4. dense(reshape(transpose(x)), w) with constant w, the reshape flattening what the transpose permutes: w's columns are permuted.
//
// It ends: rules 1, 2 and 4 lower the number of elements that transposes move or, at the same number, 2 moves transposes towards the
// outputs, as 3 always does. All rewrites are exact. Not done: choosing different orders within one region; moving transposes across dense,
// matmul and gather.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> cancel_transposes(Graph& graph, PassContext& context);

}  // namespace kiln
