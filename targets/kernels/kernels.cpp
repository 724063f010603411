// SPDX-License-Identifier: Apache-2.0
#include "targets/kernels/kernels.h"

namespace kiln {

std::span<const KernelSet* const> kernel_sets() {
  static const KernelSet* const kSets[] = {
#define KILN_KERNEL_SET(name) &kernels::name(),
#include "targets/kernels/sets.def"
#undef KILN_KERNEL_SET
  };
  return kSets;
}

}  // namespace kiln
