// SPDX-License-Identifier: Apache-2.0
// What an emitted bundle is as object code: how many bytes of which kind, its functions with their stack frames and calls, and the
// symbols it expects others to define. Read from the relocatable ELF files (Arm and RISC-V, little-endian) of a compiler that was
// given -ffunction-sections, -fdata-sections, and -fstack-size-section (clang) or -fstack-usage (GCC).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// One object file of a bundle.
struct ObjectInput {
  std::string name;         ///< for messages
  std::string bytes;        ///< the ELF file
  std::string stack_usage;  ///< the text of GCC's .su file; empty: frames are in section .stack_sizes
};

/// A call or a jump out of a function.
struct CodeCall {
  std::string symbol;
  std::optional<size_t> function;  ///< index into ObjectCode::functions; none: defined elsewhere
};

struct CodeFunction {
  std::string symbol;  ///< as the linker knows it
  std::string name;    ///< for people: "kws::nn::dsp::add_tile", without parameters and template arguments
  int64_t bytes = 0;
  /// What a call takes of the stack: the frame, and what asm statements push (KILN_ASM_STACK). None: the compiler does not know.
  std::optional<int64_t> frame_bytes;
  std::vector<CodeCall> calls;  ///< in the order of the code
  std::string unbounded;        ///< why its stack has no bound that can be read off ("it calls itself"), or ""
};

/// All objects of a bundle together. Sizes in bytes, with the padding that alignment costs when sections are placed one after the other.
struct ObjectCode {
  std::vector<CodeFunction> functions;
  int64_t text_bytes = 0;              ///< instructions, with the constants that compilers put between them
  int64_t constant_bytes = 0;          ///< read-only data but for the weights
  int64_t weight_bytes = 0;            ///< read-only data with a symbol in the weights' namespace
  int64_t data_bytes = 0;              ///< initialised variables: in RAM, and their values in flash
  int64_t zero_bytes = 0;              ///< zeroed variables: in RAM
  std::vector<std::string> undefined;  ///< symbols that others must define, sorted
  std::string indirect;                ///< where the address of a function is taken, so that it may be called by it; or ""

  [[nodiscard]] int64_t flash_bytes() const { return text_bytes + constant_bytes + weight_bytes + data_bytes; }
  [[nodiscard]] const CodeFunction* find(std::string_view symbol) const;
};

/// `weights_namespace`: what names of weights begin with, "kws::weights::". Tables for unwinding are not counted: nothing here throws.
/// Errors: tool_failed when an object is not such a file.
Result<ObjectCode> read_objects(std::span<const ObjectInput> objects, const std::string& weights_namespace);

/// "kws::nn::dsp::add_tile" from a mangled name; other symbols are returned as they are.
std::string readable_symbol(const std::string& symbol);

}  // namespace kiln
