// SPDX-License-Identifier: Apache-2.0
// RISC-V cores by their ISA string, which LLVM parses; they run on QEMU's board `virt`.
#include <fmt/format.h>
#include <llvm/Support/Error.h>
#include <llvm/TargetParser/RISCVISAInfo.h>

#include <algorithm>

#include "targets/boards.h"
#include "targets/families.h"
#include "targets/kernels/kernels.h"

namespace kiln {
namespace {

constexpr MemoryMap kMap{0x80000000, 16u << 20, 0x81000000, 16u << 20};

/// Kernels serve vectors of any length; theirs is chosen for the usual one if the ISA string does not promise more.
int32_t planned_vector_bytes(const llvm::RISCVISAInfo& isa) { return std::max(16, static_cast<int32_t>(isa.getMinVLen()) / 8); }

/// -cpu of QEMU. Extensions that a core lacks stay on where code cannot notice; vectors have 128 bits
/// unless the ISA string promises more.
std::string emulated_cpu(const llvm::RISCVISAInfo& isa) {
  std::string cpu = isa.getXLen() == 64 ? "rv64" : "rv32";
  return isa.hasExtension("zve32x") ? fmt::format("{},v=true,vext_spec=v1.0,vlen={}", cpu, 8 * planned_vector_bytes(isa)) : cpu;
}

}  // namespace

/// `march` overrides the ISA string that the name is.
Result<Target> make_riscv(const std::string& name, const std::string& march) {
  std::string wish = march.empty() ? name : march;
  llvm::Expected<std::unique_ptr<llvm::RISCVISAInfo>> parsed =
      llvm::RISCVISAInfo::parseArchString(wish, /*EnableExperimentalExtension=*/false);
  if (!parsed)
    return error(DiagId::unknown_target, fmt::format("'{}' is no RISC-V ISA string: {}.", wish, llvm::toString(parsed.takeError())),
                 "for example --march rv32imc, rv32imafc_zve32x or rv64gcv.");
  const llvm::RISCVISAInfo& isa = **parsed;
  bool vectors = isa.hasExtension("zve32x"), is_64 = isa.getXLen() == 64;
  Target target;
  target.name = name;
  for (const char* extension : {"m", "a", "f", "d", "c", "zba", "zbb", "zve32x", "v"})
    if (isa.hasExtension(extension)) target.features.emplace_back(extension);
  if (vectors) target.kernels.emplace_back(kernels::rvv());
  if (isa.hasExtension("f")) target.kernels.emplace_back(kernels::fpu());
  if (isa.hasExtension("m") && !isa.hasExtension("e")) target.kernels.emplace_back(kernels::scalar());
  target.kernels.emplace_back(kernels::ref());
  target.capabilities = kRiscv | (isa.hasExtension("zve32f") ? kVectorFloats : kNoCapability);
  target.arena_align = 16;
  target.compile_flags = {"-O2"};
  target.code_in_flash = true;
  if (vectors) target.integer_vector_bytes = planned_vector_bytes(isa);
  std::string abi = std::string(is_64 ? "lp64" : "ilp32") + (isa.hasExtension("d") ? "d" : isa.hasExtension("f") ? "f" : "");
  const std::string gcc = "riscv64-unknown-elf-g++", package = "gcc-riscv64-unknown-elf";
  std::vector<std::string> flags{"-march=" + wish + (isa.hasExtension("zicsr") ? "" : "_zicsr"), "-mabi=" + abi, "-mcmodel=medany"};
  std::vector<std::string> link_flags{"-march=" + wish, "-mabi=" + abi};
  if (vectors) link_flags[0] = is_64 ? "-march=rv64gc" : isa.hasExtension("f") ? "-march=rv32imafdc" : "-march=rv32imac";
  if (!vectors) target.compilers.push_back({"gcc", gcc, gcc, package, flags, link_flags});  // GCC 12 has no vectors
  flags.push_back(is_64 ? "--target=riscv64-unknown-elf" : "--target=riscv32-unknown-elf");
  flags.emplace_back("-mno-relax");
  target.compilers.push_back({"clang", "clang++-19", gcc, "clang-19 " + package, flags, link_flags});
  target.board =
      Board{{is_64 ? "qemu-system-riscv64" : "qemu-system-riscv32", "-M", "virt", "-bios", "none", "-cpu", emulated_cpu(isa), "-icount",
             "shift=0", "-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"},
            "qemu-system-misc",
            board_image_files("riscv", kMap),
            {}};
  return target;
}

}  // namespace kiln
