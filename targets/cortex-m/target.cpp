// SPDX-License-Identifier: Apache-2.0
// Cortex-M cores. LLVM's tables say what a core and its modifiers have; the boards are those of QEMU that run its code.
#include <fmt/format.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/TargetParser/ARMTargetParser.h>

#include <algorithm>
#include <sstream>

#include "compiler/support/check.h"
#include "targets/boards.h"
#include "targets/families.h"
#include "targets/kernels/kernels.h"

namespace kiln {
namespace {

/// A board by the least core whose code it runs. SysTick counts `clock_hz`.
struct BoardRow {
  std::string_view core, machine;
  uint32_t clock_hz;
  MemoryMap map;
};

// The memories of Arm's MPS2 and MPS3 FPGA images, as QEMU has them; code lies in what stands for flash. No board with a Cortex-M0 has the
// RAM of these models, but a Cortex-M3 executes Armv6-M code as it is, instruction for instruction.
constexpr uint64_t kMega = 1u << 20;
constexpr BoardRow kBoards[] = {
    {"cortex-m0", "mps2-an385", 25000000, {0, 4 * kMega, 0x20000000, 4 * kMega}},
    {"cortex-m3", "mps2-an385", 25000000, {0, 4 * kMega, 0x20000000, 4 * kMega}},
    {"cortex-m4", "mps2-an386", 25000000, {0, 4 * kMega, 0x20000000, 4 * kMega}},
    {"cortex-m7", "mps2-an500", 25000000, {0, 4 * kMega, 0x20000000, 4 * kMega}},
    {"cortex-m33", "mps2-an505", 20000000, {0x10000000, 4 * kMega, 0x38000000, 2 * kMega}},
    {"cortex-m55", "mps3-an547", 32000000, {0x10000000, kMega / 2, 0x31000000, 2 * kMega}},
    {"cortex-m85", "mps3-an547", 32000000, {0x10000000, kMega / 2, 0x31000000, 2 * kMega}},
};

struct Core {
  std::string name;
  uint64_t extensions = 0;  ///< llvm::ARM::ArchExtKind bits
  bool fpu = false;
  bool thumb2 = true;
};

/// "cortex-m4+nofp" as a core, if it is one of profile M.
Result<Core> parse_core(const std::string& cpu) {
  std::string name = cpu.substr(0, cpu.find('+'));
  llvm::ARM::ArchKind arch = llvm::ARM::parseCPUArch(name);
  if (arch == llvm::ARM::ArchKind::INVALID || llvm::ARM::parseArchProfile(llvm::ARM::getArchName(arch)) != llvm::ARM::ProfileKind::M)
    return error(DiagId::unknown_target, fmt::format("there is no Cortex-M core '{}'.", name),
                 "use --cpu cortex-m4, cortex-m4+nofp, cortex-m33 or the like.");
  Core core{name, llvm::ARM::getDefaultExtensions(name, arch), llvm::ARM::getDefaultFPU(name, arch) != llvm::ARM::FK_NONE,
            arch != llvm::ARM::ArchKind::ARMV6M && arch != llvm::ARM::ArchKind::ARMV8MBaseline};
  std::istringstream modifiers(cpu.substr(std::min(cpu.size(), name.size() + 1)));
  for (std::string modifier; std::getline(modifiers, modifier, '+');) {
    bool without = modifier.starts_with("no");
    uint64_t bits = llvm::ARM::parseArchExt(without ? modifier.substr(2) : modifier);
    if (bits == llvm::ARM::AEK_INVALID)
      return error(DiagId::unknown_target, fmt::format("'{}' is no extension of a Cortex-M core.", modifier),
                   "for example cortex-m4+nofp, cortex-m55+nomve.");
    core.extensions = without ? core.extensions & ~bits : core.extensions | bits;
    if (bits & llvm::ARM::AEK_FP) core.fpu = !without;
  }
  return core;
}

}  // namespace

/// `cpu` can name another core that LLVM knows, with modifiers as in -mcpu ("cortex-m4+nofp").
Result<Target> make_cortex_m(const std::string& name, const std::string& cpu) {
  std::string wish = cpu.empty() ? name : cpu;
  Result<Core> core = parse_core(wish);
  if (!core) return std::move(core).diagnostic();
  const auto* board = std::find_if(std::begin(kBoards), std::end(kBoards), [&](const BoardRow& row) { return row.core == name; });
  KILN_CHECK(board != std::end(kBoards), "a Cortex-M target without a board");
  Target target;
  target.name = name;
  auto feature = [&](uint64_t bit, const char* text) {
    if (core->extensions & bit) target.features.emplace_back(text);
  };
  feature(llvm::ARM::AEK_DSP, "dsp");
  if (core->fpu) target.features.emplace_back("fp");
  feature(llvm::ARM::AEK_SIMD, "mve");
  if (core->extensions & llvm::ARM::AEK_SIMD && core->fpu) {
    target.kernels = {kernels::mve(), kernels::simd()};
    target.vector_bytes = 16;
    target.vector_registers = 8;
  }
  target.kernels.emplace_back(core->extensions & llvm::ARM::AEK_DSP ? kernels::dsp() : kernels::scalar());
  if (core->fpu) target.kernels.emplace_back(kernels::fpu());
  target.kernels.emplace_back(kernels::ref());
  if (core->thumb2) target.capabilities |= kThumb2;
  target.arena_align = core->extensions & llvm::ARM::AEK_SIMD ? 16 : 8;
  target.compile_flags = {"-O2"};
  target.code_in_flash = true;
  // GCC 12 does not know the name cortex-m85 yet.
  std::string selection = core->name == "cortex-m85" ? "-march=armv8.1-m.main+mve.fp+fp.dp" : "-mcpu=" + wish;
  std::vector<std::string> flags{selection, "-mthumb", core->fpu ? "-mfloat-abi=hard" : "-mfloat-abi=soft"};
  if (core->fpu && core->name == "cortex-m4") flags.emplace_back("-mfpu=fpv4-sp-d16");
  if (core->fpu && (core->name == "cortex-m7" || core->name == "cortex-m33")) flags.emplace_back("-mfpu=fpv5-sp-d16");
  if (core->name == "cortex-m4" && wish != core->name) flags[0] = "-mcpu=cortex-m4";
  const char* package = "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib";
  target.compilers.push_back({"gcc", "arm-none-eabi-g++", "arm-none-eabi-g++", package, flags, flags});
  target.compilers.push_back({"clang", "clang++-19", "arm-none-eabi-g++", std::string("clang-19 ") + package, flags, flags});
  target.compilers.back().flags.insert(target.compilers.back().flags.begin(), "--target=arm-none-eabi");
  target.board = Board{{"qemu-system-arm", "-M", std::string(board->machine), "-icount", "shift=0", "-nographic", "-monitor", "none",
                        "-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"},
                       "qemu-system-arm",
                       board_image_files("cortex-m", board->map),
                       {fmt::format("-DKILN_CLOCK_HZ={}u", board->clock_hz)}};
  return target;
}

}  // namespace kiln
