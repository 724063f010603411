// SPDX-License-Identifier: Apache-2.0
#include "targets/targets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

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

struct Chip {
  std::string_view prefix, target, core;
};

constexpr Chip kChips[] = {
#define KILN_CHIP(prefix, target, core) {prefix, target, core},
#include "targets/chips.def"
#undef KILN_CHIP
};

/// What was meant by the name of a chip or core, as a sentence; "" when it is not known.
std::string suggestion(const std::string& name) {
  std::string plain;
  for (char ch : name)
    if (std::isalnum(static_cast<unsigned char>(ch))) plain += static_cast<char>(std::tolower(static_cast<unsigned char>(ch)));
  const Chip* best = nullptr;
  for (const Chip& chip : kChips)
    if (plain.starts_with(chip.prefix) && (!best || chip.prefix.size() > best->prefix.size())) best = &chip;
  if (!best) return "";
  if (best->target.empty()) return fmt::format("kiln has no target for {}. ", best->core);
  return fmt::format("for {} ({}) it is --target {}. ", name, best->core, best->target);
}

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
  return error(DiagId::unknown_target, fmt::format("there is no target '{}'.", name), fmt::format("{}targets are: {}.", suggestion(name), fmt::join(names, ", ")));
}

}  // namespace kiln
