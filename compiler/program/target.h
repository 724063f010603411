// SPDX-License-Identifier: Apache-2.0
// What passes may know of a target. Targets are mostly data; targets/ makes them from a name and --cpu or --march.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kiln {

/// What kernels can require; a kernel row lists the bits it needs.
enum Capability : uint32_t {
  kNoCapability = 0,
  kSimdF32 = 1u << 0,  ///< float vectors of Target::vector_bytes through the compiler's vector extensions
};

struct Target {
  std::string name;                   ///< "host", "cortex-m4"
  std::vector<std::string> features;  ///< for the manifest: LLVM's feature names that decide kernels, such as "avx2"
  uint32_t capabilities = kNoCapability;
  int32_t vector_bytes = 0;           ///< width of a SIMD register, 0 without kSimdF32
  int32_t vector_registers = 16;
  int32_t arena_align = 16;           ///< alignment of the arena and of every buffer in it
  std::vector<std::string> compile_flags;  ///< what the bundle's own CMakeLists.txt and `run` add, such as "-O3" or "-mavx2"
};

}  // namespace kiln
