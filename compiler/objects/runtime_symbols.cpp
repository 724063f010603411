// SPDX-License-Identifier: Apache-2.0
#include "compiler/objects/runtime_symbols.h"

namespace kiln {
namespace {

constexpr RuntimeRoutine kRoutines[] = {
#define KILN_ROUTINE(symbol, kind, stack) {#symbol, RoutineKind::kind, stack},
#include "compiler/objects/runtime_symbols.def"
#undef KILN_ROUTINE
};

}  // namespace

std::optional<RuntimeRoutine> runtime_routine(std::string_view symbol) {
  for (const RuntimeRoutine& routine : kRoutines)
    if (routine.symbol == symbol) return routine;
  return std::nullopt;
}

std::string_view routine_kind_name(RoutineKind kind) {
  switch (kind) {
    case RoutineKind::memory:
      return "memory";
    case RoutineKind::integer:
      return "integers";
    case RoutineKind::floats:
      return "emulated floats";
    case RoutineKind::doubles:
      return "emulated doubles";
  }
  return {};
}

}  // namespace kiln
