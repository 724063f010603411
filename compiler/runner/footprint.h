// SPDX-License-Identifier: Apache-2.0
// What a bundle takes of a microcontroller: flash, RAM and stack, from object code that a cross compiler makes of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/objects/object_code.h"
#include "compiler/objects/runtime_symbols.h"
#include "compiler/objects/stack_bound.h"
#include "compiler/program/program.h"
#include "compiler/program/target.h"
#include "compiler/runner/harness_image.h"

namespace kiln {

/// A routine of the toolchain's library, and the steps that call it.
struct RoutineUse {
  RuntimeRoutine routine;
  std::vector<size_t> steps;
};

/// Sizes in bytes.
struct Footprint {
  std::string compiler;            ///< "clang++-19"
  std::vector<std::string> flags;  ///< that decide the code: "-mcpu=cortex-m4", "-O2"
  ObjectCode code;
  StackBound stack;                 ///< of <name>_run
  std::vector<int64_t> step_bytes;  ///< per step: code that no step before it uses
  std::vector<RoutineUse> routines;
  std::optional<int64_t> routine_bytes;  ///< of flash, for those; none when there is no library to look them up in
  int64_t ram_bytes = 0;                 ///< arena and variables

  [[nodiscard]] int64_t flash_bytes() const { return code.flash_bytes() + routine_bytes.value_or(0); }
};

/// Whether there is object code to measure for the target: for every one but this machine.
bool can_measure(const Target& target);

/// Compiles `bundle` with the compiler that `build` names, else with clang, else with another one that the target has and that is
/// installed. Errors: tool_missing, tool_failed; foreign_symbol when the code needs what no bundle may need.
Result<Footprint> measure_footprint(const Program& program, const Target& target, const std::vector<OutputFile>& bundle,
                                    const BuildOptions& build);

/// The routines that `code` needs, with the steps, whose functions `steps` names in order. Errors: foreign_symbol.
Result<std::vector<RoutineUse>> find_routines(const ObjectCode& code, const std::vector<size_t>& steps);

}  // namespace kiln
