// SPDX-License-Identifier: Apache-2.0
// Transposed convolutions as core nodes, for importers.
#pragma once

#include "compiler/ops/spatial.h"

namespace kiln {

/// One dimension of a transposed convolution: input i adds input * tap k to output i * stride + k * dilation - before.
struct SpreadAxis {
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t before = 0;  ///< outputs dropped in front; what is dropped at the end follows from `out`
  int64_t out = 1;     ///< outputs kept, more than the taps reach if need be
};

/// x [N,spatial...,C] spread with w [C,O/groups,kernel...] and an optional bias [O] (kNoValue: none) along 1 to 3 spatial dimensions.
/// -> [N,out...,O]. Errors: bad_node, unsupported_node.
Result<ValueId> convolve_transposed(GraphBuilder& b, ValueId x, ValueId w, ValueId bias, const std::vector<SpreadAxis>& axes, int64_t groups);

}  // namespace kiln
