// SPDX-License-Identifier: Apache-2.0
// What emitted code may expect of the toolchain's own library: routines that compilers call by themselves.
#pragma once

#include <optional>
#include <string_view>

namespace kiln {

enum class RoutineKind {
  memory,   ///< memcpy and its kin
  integer,  ///< division, shifts and the like that a core has no instruction for
  floats,   ///< floats without an FPU
  doubles,  ///< doubles without an FPU for them
};

struct RuntimeRoutine {
  std::string_view symbol;
  RoutineKind kind;
  int stack_bytes;  ///< what a call takes at most
};

/// Nothing for symbols that emitted code must not need.
std::optional<RuntimeRoutine> runtime_routine(std::string_view symbol);

/// "emulated floats", for people.
std::string_view routine_kind_name(RoutineKind kind);

}  // namespace kiln
