// SPDX-License-Identifier: Apache-2.0
// What differs from machine to machine in the object code of bundles: one record each, in machine.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kiln {

struct Machine {
  std::string_view name;  ///< for people: "Arm"
  uint16_t elf_machine;   ///< e_machine of the ELF header
  uint64_t function_bit;  ///< set in the addresses of functions beside the address: 1 says Thumb; 0: none
  /// Whether a relocation of this type is in a call or a jump.
  bool (*is_branch)(uint64_t relocation_type);
  /// Whether a function calls its own first instruction, which needs no relocation.
  bool (*calls_start)(std::string_view code);
  /// Bytes of the frame that GCC does not state; null: it states all.
  int (*unstated_frame_bytes)(std::string_view code);
  /// Why the size of the frame is not a constant, or ""; null: it always is.
  std::string_view (*varying_frame)(std::string_view code);
};

/// All that kiln reads object code of.
std::span<const Machine> machines();

/// Null for others.
const Machine* find_machine(uint16_t elf_machine);

}  // namespace kiln
