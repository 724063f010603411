// SPDX-License-Identifier: Apache-2.0
// What passes may know of a target. Targets are mostly data; targets/ makes them from a name and --cpu or --march.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kiln {

/// What kernels can require; a kernel row lists the bits it needs.
enum Capability : uint32_t {
  kNoCapability = 0,
  kSimdF32 = 1u << 0,  ///< float vectors of Target::vector_bytes through the compiler's vector extensions
  kX86 = 1u << 1,      ///< x86-64: integer vectors of Target::integer_vector_bytes with SSE2, AVX2 or AVX-512BW
  kX86Vnni = 1u << 2,  ///< AVX-512 VNNI with VL: dot products of bytes
  kFpu = 1u << 3,      ///< 32 single float registers, and few if any vectors
  kArmDsp = 1u << 8,   ///< the DSP instructions of Armv7E-M and Armv8-M: SMLAD, SXTB16
  kArmMve = 1u << 9,   ///< MVE with floats: vectors of 16 bytes (Cortex-M55, M85)
  kRiscvVector = 1u << 16,        ///< RISC-V vectors of integers up to 32 bits (zve32x); Target::integer_vector_bytes is the length to plan for
  kRiscvVectorFloats = 1u << 17,  ///< and of 32-bit floats (zve32f)
  kScalar = 1u << 24,        ///< integer kernels for cores without SIMD are worth while
  kScalarThumb2 = 1u << 25,  ///< with kScalar: Armv7-M; neither of these two: Armv6-M
  kScalarRiscv = 1u << 26,   ///< with kScalar: RISC-V with 32 registers
};

/// What emitted code is made for.
enum class Goal : uint8_t {
  speed,  ///< few instructions
  size,   ///< few bytes of flash: layers of one kind share one copy of its code
};

/// How code for another machine is built.
struct CrossCompiler {
  std::string name;                ///< what --compiler calls it: "gcc", "clang"
  std::string command;             ///< "arm-none-eabi-g++"
  std::string linker;              ///< the GCC driver that links; knows libgcc
  std::string package;             ///< what to install when one of them is missing
  std::vector<std::string> flags;  ///< the core and its ABI: "-mcpu=cortex-m4", ...
  std::vector<std::string> link_flags;  ///< the same as the linker understands it
};

/// A machine in QEMU on which code for a target runs. Its files and the harness become one image; the files give board.h
/// (semihosting, instruction_count), the start-up code and board_exit.
struct Board {
  std::vector<std::string> emulator;  ///< command and arguments, but for the image
  std::string package;                ///< what to install when it is missing
  std::vector<std::pair<std::string, std::string>> files;  ///< name and text: board.h, startup.cpp, link.ld
  std::vector<std::string> flags;     ///< definitions that board.h needs
};

struct Target {
  std::string name;                   ///< "host", "cortex-m4"
  std::vector<std::string> features;  ///< for the manifest: LLVM's feature names that decide kernels, such as "avx2"
  uint32_t capabilities = kNoCapability;
  int32_t vector_bytes = 0;           ///< width of a SIMD register, 0 without kSimdF32
  int32_t integer_vector_bytes = 0;   ///< the same for integers, 0 without kX86 and kRiscvVector
  int32_t vector_registers = 16;
  int32_t arena_align = 16;           ///< alignment of the arena and of every buffer in it
  std::vector<std::string> compile_flags;  ///< what the bundle's own CMakeLists.txt and `run` add, such as "-O3" or "-mavx2"
  Goal goal = Goal::speed;
  bool code_in_flash = false;              ///< of which there is little: equal layers share one copy of their code
  std::vector<CrossCompiler> compilers;    ///< the preferred one first; none: the host's own compiler
  std::optional<Board> board;              ///< none: code runs on this machine
};

}  // namespace kiln
