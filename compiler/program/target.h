// SPDX-License-Identifier: Apache-2.0
// What passes may know of a target. Targets are mostly data; targets/ makes them from a name and --cpu or --march.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/program/kernel.h"

namespace kiln {

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
  std::vector<std::reference_wrapper<const KernelSet>> kernels;  ///< whose kernels its cores can run, best first
  uint32_t capabilities = kNoCapability;  ///< Capability bits
  int32_t vector_bytes = 0;           ///< width of a register of floats, for set simd
  int32_t integer_vector_bytes = 0;   ///< the same of integers, for x86; for rvv the length to plan for
  int32_t vector_registers = 16;
  int32_t arena_align = 16;           ///< alignment of the arena and of every buffer in it
  std::vector<std::string> compile_flags;  ///< what the bundle's own CMakeLists.txt and `run` add, such as "-O3" or "-mavx2"
  Goal goal = Goal::speed;
  bool code_in_flash = false;              ///< of which there is little: equal layers share one copy of their code
  std::vector<CrossCompiler> compilers;    ///< the preferred one first; none: the host's own compiler
  std::optional<Board> board;              ///< none: code runs on this machine
};

}  // namespace kiln
