// SPDX-License-Identifier: Apache-2.0
#include "targets/targets.h"

#include <fmt/format.h>

#include <algorithm>

#include "targets/families.h"

namespace kiln {
namespace {

struct Row {
  const char* name;
  Result<Target> (*make)(const std::string& name, const std::string& cpu);
  const char* summary;
};

constexpr Row kRows[] = {
#define KILN_TARGET(name, make, summary) {name, make, summary},
#include "targets/targets.def"
#undef KILN_TARGET
};

}  // namespace

std::vector<TargetInfo> known_targets() {
  std::vector<TargetInfo> out;
  for (const Row& row : kRows) out.push_back({row.name, row.summary});
  return out;
}

Result<Target> make_target(const std::string& name, const std::string& cpu, Goal goal) {
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    names.emplace_back(row.name);
    if (row.name != name) continue;
    Result<Target> target = row.make(name, cpu);
    if (target && goal == Goal::size) {
      target->goal = goal;
      std::replace_if(
          target->compile_flags.begin(), target->compile_flags.end(), [](const std::string& flag) { return flag.starts_with("-O"); },
          "-Os");
    }
    return target;
  }
  return error(DiagId::unknown_target, fmt::format("there is no target '{}'.", name),
               fmt::format("targets are: {}.", fmt::join(names, ", ")));
}

}  // namespace kiln
