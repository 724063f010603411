// SPDX-License-Identifier: Apache-2.0
#include "compiler/program/kernel.h"

#include "compiler/program/kernel_rules.h"

namespace kiln {

std::span<const KernelRow> kernel_catalogue() {
  using namespace rules;
  static constexpr KernelRow kRows[] = {
#define KILN_KERNEL(family, variant, types, narrow, needs, refuse, scratch, pack, tune, function, header) \
  {#family, #variant, types, narrow, needs, function, header, refuse, scratch, pack, tune},
#include "kernels.def"
#undef KILN_KERNEL
  };
  return kRows;
}

}  // namespace kiln
