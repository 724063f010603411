// SPDX-License-Identifier: Apache-2.0
// The sets of kernels, for targets to list. docs/adding-a-kernel.md says what each is for.
#pragma once

#include <span>

#include "compiler/program/kernel.h"

namespace kiln {

namespace kernels {
#define KILN_KERNEL_SET(name) const KernelSet& name();
#include "targets/kernels/sets.def"
#undef KILN_KERNEL_SET
}  // namespace kernels

/// All of them, in the order of sets.def.
std::span<const KernelSet* const> kernel_sets();

}  // namespace kiln
