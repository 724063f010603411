// SPDX-License-Identifier: Apache-2.0
// The emitted code of many models in one program.
//
// All bundles become one source that includes them, with one copy of the kernels, and run one after the other, each in an arena of its
// own. That takes a fraction of the time of building them one by one.
#pragma once

#include <vector>

#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/harness_image.h"

namespace kiln::test {

/// One model and what to feed it: [set][input].
struct BatchItem {
  const Compiled* compiled;
  const std::vector<std::vector<Tensor>>* inputs;
};

/// [item][set][output]. All items are for the same target and have equally many sets. Errors: those of HarnessImage.
Result<std::vector<std::vector<std::vector<Tensor>>>> run_batch(const std::vector<BatchItem>& items, const BuildOptions& options);

}  // namespace kiln::test
