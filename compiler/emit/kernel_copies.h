// SPDX-License-Identifier: Apache-2.0
// Which layers share one copy of a kernel's code, and the descriptors that copies and layers are written with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/bundle_writer.h"

namespace kiln {

/// One instantiation of a kernel. Descriptor members that are equal in all its layers are constants that fold, the others
/// are read at run time.
struct KernelCopy {
  std::vector<size_t> steps;  ///< of the program, in order; at least one
  std::vector<DescriptorField> constants;
  std::vector<std::vector<DescriptorField>> variables;  ///< [layer]: what each has of its own, the same members in all

  [[nodiscard]] bool is_shared() const { return steps.size() > 1; }
};

/// The copies in the order of their first layers. Where code lies in flash, equal layers share one, and with Goal::size all layers that call
/// the same kernel with the same types. Elsewhere each layer has its own, and with Goal::size equal layers share.
std::vector<KernelCopy> kernel_copies(const Program& program, const Target& target);

/// `struct Layer3 { ... };` with the constants and variables of a copy.
void write_descriptor(CodeWriter& out, const KernelCopy& copy);
/// "{36, {1, 2}, 0.5f}": initialises the variables of the copy's layer `i`.
std::string variables_literal(const KernelCopy& copy, size_t i);

}  // namespace kiln
