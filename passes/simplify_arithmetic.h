// SPDX-License-Identifier: Apache-2.0
// simplify-arithmetic: cheaper forms of elementwise functions.
//
//   x + 0, x - 0, x * 1, x / 1                  =>  x                    (exact but for the sign of a zero)
//   x / c, c a power of two                     =>  x * (1 / c)          (exact)
//   max(x, 0)                                   =>  relu(x)              (exact)
//   relu(relu(x))                               =>  relu(x)              (exact)
//   clips and relus of each other               =>  one clip             (exact)
//   min(max(x, a), b), either order, a <= b     =>  clip(x, a, b)        (exact)
//   max(x, a * x), max(x, leaky_relu(x, a)), 0 <= a <= 1  =>  leaky_relu(x, a)   (exact)
//   x * sigmoid(x)                              =>  swish(x)             (exact)
//   cast(x) to the type of x                    =>  x                    (exact)
//
// Results that involve NaN may differ. Clips are for f32 only. Not done: reassociation, x / c for other c, powers.
#pragma once

#include "passes/pass.h"

namespace kiln {

Result<bool> simplify_arithmetic(Graph& graph, PassContext& context);

}  // namespace kiln
