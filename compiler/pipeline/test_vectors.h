// SPDX-License-Identifier: Apache-2.0
// Inputs and outputs for the self-test of a bundle.
#pragma once

#include <vector>

#include "compiler/emit/bundle.h"
#include "compiler/pipeline/pipeline.h"

namespace kiln {

/// `count` test vectors: reproducible random inputs and what the reference evaluation makes of them: of the imported graph, or of
/// the final one where the model is quantized. Those of a model that keeps state are the steps of one sequence. Errors: limit_exceeded, and
/// those of operators without a reference evaluation.
Result<std::vector<TestVector>> make_test_vectors(const Compiled& compiled, int count);

}  // namespace kiln
