// SPDX-License-Identifier: Apache-2.0
// Rounding weights up or down so that the outputs of their layer err least; see correct.h.
#pragma once

#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/quantize/grid.h"

namespace kiln {

/// Changes `weights`, which are those of conv2d or dense node `layer` rounded to nearest, by at most one step each. `inputs`: the layer's
/// input, for each sample. Deterministic. Layers whose windows have more than kMaxRoundedTerms terms are left as they are.
inline constexpr size_t kMaxRoundedTerms = 2048;
void choose_rounding(const Graph& graph, NodeId layer, const std::vector<const Tensor*>& inputs, QuantizedWeights& weights);

}  // namespace kiln
