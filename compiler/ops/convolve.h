// SPDX-License-Identifier: Apache-2.0
// Convolutions in one to three dimensions as core nodes, for importers.
#pragma once

#include "compiler/ops/spatial.h"

namespace kiln {

/// Convolves x [N,spatial...,C] with w [O,kernel...,C/groups] and an optional bias [O] (kNoValue: none) along 1 to 3 spatial dimensions, one
/// entry of `axes` each. -> [N,positions...,O]. In 3-D the windows' slices along the first dimension become channels of a 2-D convolution:
/// its input is a copy of x with as many times the channels. Errors: bad_node, unsupported_node for more dimensions.
Result<ValueId> convolve(GraphBuilder& b, ValueId x, ValueId w, ValueId bias, const std::vector<WindowAxis>& axes, int64_t groups);

}  // namespace kiln
