// SPDX-License-Identifier: Apache-2.0
#include "passes/graph_passes.h"

#include "passes/cancel_transposes.h"
#include "passes/common_subexpressions.h"
#include "passes/dead_code.h"
#include "passes/fold_batchnorm.h"
#include "passes/fold_constants.h"
#include "passes/fuse_activation.h"
#include "passes/integer_layers.h"
#include "passes/simplify_arithmetic.h"
#include "passes/simplify_reshapes.h"
#include "passes/spelled_quantize.h"

namespace kiln {
namespace {

constexpr GraphPass kPasses[] = {
    {"fold-constants", "computes nodes whose operands are all constant", fold_constants, Stage::canonical},
    // From here on no node has only constant operands.
    {"spelled-quantize", "names quantization that is spelled out with arithmetic", spelled_quantize, Stage::canonical},
    {"simplify-arithmetic", "drops additions of zero and the like, names activations that are spelled out", simplify_arithmetic, Stage::canonical},
    {"cancel-transposes", "keeps values in the order in which convolutions read them", cancel_transposes, Stage::canonical},
    {"simplify-reshapes", "merges reshapes and moves them out of the way of fusions", simplify_reshapes, Stage::canonical},
    {"fold-batchnorm", "puts scales and shifts per channel into weights and biases", fold_batchnorm, Stage::canonical},
    {"integer-layers", "computes on integers what stands between dequantize and quantize", integer_layers, Stage::canonical},
    // From here on quantize and dequantize stand only where the model computes in float.
    {"fuse-activation", "lets the kernel before an activation apply it", fuse_activation, Stage::canonical},
    {"common-subexpressions", "computes equal nodes and stores equal constants once", common_subexpressions, Stage::canonical},
    {"dead-code", "erases nodes that reach no output", dead_code, Stage::canonical},
    // From here on every node reaches an output; activations are attributes wherever a kernel can apply them.
};

}  // namespace

std::span<const GraphPass> graph_passes() { return kPasses; }

}  // namespace kiln
