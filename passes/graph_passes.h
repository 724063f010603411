// SPDX-License-Identifier: Apache-2.0
// The passes over Graph, in the order in which they run: the pipeline, up to `lower`.
#pragma once

#include <span>

#include "passes/pass_runner.h"

namespace kiln {

std::span<const GraphPass> graph_passes();

}  // namespace kiln
