// SPDX-License-Identifier: Apache-2.0
#include "compiler/objects/machine.h"

#include <llvm/BinaryFormat/ELF.h>

#include <algorithm>

#include "compiler/objects/instructions.h"

namespace kiln {
namespace {

namespace elf = llvm::ELF;

bool is_arm_branch(uint64_t type) {
  switch (type) {
    case elf::R_ARM_CALL:
    case elf::R_ARM_JUMP24:
    case elf::R_ARM_THM_CALL:
    case elf::R_ARM_THM_JUMP24:
    case elf::R_ARM_THM_JUMP19:
    case elf::R_ARM_THM_JUMP11:
    case elf::R_ARM_THM_JUMP8:
      return true;
    default:
      return false;
  }
}

bool is_riscv_branch(uint64_t type) {
  switch (type) {
    case elf::R_RISCV_CALL:
    case elf::R_RISCV_CALL_PLT:
    case elf::R_RISCV_JAL:
    case elf::R_RISCV_BRANCH:
    case elf::R_RISCV_RVC_JUMP:
    case elf::R_RISCV_RVC_BRANCH:
      return true;
    default:
      return false;
  }
}

std::string_view riscv_varying_frame(std::string_view code) {
  return riscv_reads_vlenb(code) ? "its frame depends on the length of the core's vectors" : "";
}

constexpr Machine kMachines[] = {
    {.name = "Arm",
     .elf_machine = elf::EM_ARM,
     .function_bit = 1,
     .is_branch = is_arm_branch,
     .calls_start = thumb_calls_start,
     .unstated_frame_bytes = thumb_argument_bytes,
     .varying_frame = nullptr},
    {.name = "RISC-V",
     .elf_machine = elf::EM_RISCV,
     .function_bit = 0,
     .is_branch = is_riscv_branch,
     .calls_start = riscv_calls_start,
     .unstated_frame_bytes = nullptr,
     .varying_frame = riscv_varying_frame},
};

}  // namespace

std::span<const Machine> machines() { return kMachines; }

const Machine* find_machine(uint16_t elf_machine) {
  const auto* found = std::ranges::find(kMachines, elf_machine, &Machine::elf_machine);
  return found == std::end(kMachines) ? nullptr : found;
}

}  // namespace kiln
