// SPDX-License-Identifier: Apache-2.0
// select-kernels: gives every call the first row of the target's sets of kernels that serves it, packs its constants into the order and the
// type that row reads, and adds its scratch.
#pragma once

#include <functional>
#include <string>

#include "compiler/program/program.h"
#include "passes/pass.h"

namespace kiln {

struct KernelOptions {
  /// Only `ref` rows (a reference to compare the others with).
  bool reference_only = false;
  /// Weights that are exactly f16 or bf16 are stored so, for rows that read them.
  bool narrow_weights = false;
  /// Called with a line for each row that was considered: "step 3 conv2d: simd: taken", "...: dsp: it has 4 groups".
  std::function<void(const std::string&)> explain;
};

/// Errors: no_kernel.
Status select_kernels(Program& program, const KernelOptions& options, PassContext& context);

}  // namespace kiln
