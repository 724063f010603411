// SPDX-License-Identifier: Apache-2.0
#include "passes/graph_passes.h"

#include "passes/cancel_transposes.h"
#include "passes/common_subexpressions.h"
#include "passes/dead_code.h"
#include "passes/fold_constants.h"
#include "passes/fuse_activation.h"

namespace kiln {
namespace {

constexpr GraphPass kPasses[] = {
    {"fold-constants", "computes nodes whose operands are all constant", fold_constants, Stage::canonical},
    // From here on no node has only constant operands.
    {"common-subexpressions", "computes equal nodes and stores equal constants once", common_subexpressions, Stage::canonical},
    {"cancel-transposes", "keeps values in the order in which convolutions read them", cancel_transposes, Stage::canonical},
    {"fuse-activation", "lets the kernel before an activation apply it", fuse_activation, Stage::canonical},
    {"dead-code", "erases nodes that reach no output", dead_code, Stage::canonical},
};

}  // namespace

std::span<const GraphPass> graph_passes() { return kPasses; }

}  // namespace kiln
