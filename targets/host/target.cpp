// SPDX-License-Identifier: Apache-2.0
// The host as a target. LLVM's tables say which features a CPU name stands for; of those only the widths of the
// vectors, FMA and VNNI matter to the kernels.
#include <fmt/format.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/X86TargetParser.h>

#include <algorithm>

#include "targets/families.h"
#include "targets/kernels/kernels.h"

namespace kiln {
namespace {

/// Features that decide kernels or their block sizes, in the order in which the manifest lists them.
constexpr const char* kFeatures[] = {"sse2", "sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512vnni"};

std::vector<std::string> native_features() {
  std::vector<std::string> out;
  llvm::StringMap<bool> found = llvm::sys::getHostCPUFeatures();
  for (const char* f : kFeatures)
    if (found.lookup(f)) out.emplace_back(f);
  return out;
}

std::vector<std::string> features_of(const std::string& cpu) {
  llvm::SmallVector<llvm::StringRef, 64> list;
  llvm::X86::getFeaturesForCPU(cpu, list);
  std::vector<std::string> out;
  for (const char* f : kFeatures)
    if (std::find(list.begin(), list.end(), llvm::StringRef(f)) != list.end()) out.emplace_back(f);
  return out;
}

}  // namespace

/// `wish`: "" is plain x86-64 (runs everywhere), "native" this machine, else a name that LLVM knows.
Result<Target> make_host(const std::string& name, const std::string& wish) {
  std::string cpu = wish.empty() ? "x86-64" : wish;
  if (cpu != "native" && llvm::X86::parseArchX86(cpu, /*Only64Bit=*/true) == llvm::X86::CK_None) {
    return error(DiagId::unknown_target, fmt::format("there is no x86-64 CPU '{}'.", cpu),
                 "use --cpu x86-64, x86-64-v2, x86-64-v3, x86-64-v4, native or a name such as znver4.");
  }
  Target target;
  target.name = name;
  target.features = cpu == "native" ? native_features() : features_of(cpu);
  auto has = [&](const char* f) { return std::find(target.features.begin(), target.features.end(), f) != target.features.end(); };
  target.kernels = {kernels::x86(), kernels::simd(), kernels::ref()};
  target.capabilities = kFloatLoops;
  if (has("avx512bw") && has("avx512vl") && has("avx512vnni")) target.capabilities |= kVnni;
  target.vector_bytes = has("avx512f") ? 64 : has("avx") ? 32 : 16;
  target.integer_vector_bytes = has("avx512bw") ? 64 : has("avx2") ? 32 : 16;
  target.vector_registers = has("avx512f") ? 32 : 16;
  target.arena_align = 64;
  target.compile_flags = {"-O3"};  // -O2 of GCC 12 vectorises next to nothing
  if (cpu != "x86-64") target.compile_flags.push_back("-march=" + cpu);
  return target;
}

}  // namespace kiln
