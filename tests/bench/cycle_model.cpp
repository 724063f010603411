// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/cycle_model.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace kiln::bench {
namespace {

constexpr int kRefill = 2;

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> heads) {
  return std::any_of(heads.begin(), heads.end(), [&](std::string_view head) { return text.starts_with(head); });
}

/// Registers of "{r4, r5, lr}", "{r4-r11}" or "{s0-s3}".
int list_length(std::string_view operands) {
  size_t open = operands.find('{'), close = operands.find('}');
  if (open == std::string_view::npos || close == std::string_view::npos) return 1;
  std::string_view list = operands.substr(open + 1, close - open - 1);
  return 1 + static_cast<int>(std::count(list.begin(), list.end(), ','));
}

struct Instruction {
  std::string mnemonic, operands;
  [[nodiscard]] bool loads_one() const { return starts_with_any(mnemonic, {"ldr"}) && !mnemonic.starts_with("ldrd"); }
  [[nodiscard]] bool stores_one() const { return starts_with_any(mnemonic, {"str"}) && !mnemonic.starts_with("strd"); }
  [[nodiscard]] bool moves_many() const { return starts_with_any(mnemonic, {"ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop"}); }
  [[nodiscard]] bool writes_pc() const { return operands.find("pc}") != std::string::npos || operands.starts_with("pc,"); }
};

/// Of the Cortex-M0, without what a taken branch adds.
int cycles_m0(const Instruction& i) {
  if (i.loads_one() || i.stores_one()) return 2;
  if (i.moves_many()) return 1 + list_length(i.operands);
  if (i.mnemonic == "bl" || i.mnemonic == "blx") return 2;
  return 1;
}

/// Of the Cortex-M3 and M4.
int cycles_m3_m4(const Instruction& i, bool behind_access, bool is_m4) {
  const std::string& m = i.mnemonic;
  if (starts_with_any(m, {"vdiv", "vsqrt"})) return 14;
  if (starts_with_any(m, {"vmla", "vmls", "vfma", "vfms", "vfnm", "vnmla", "vnmls"})) return 3;
  if (starts_with_any(m, {"vldr", "vstr"})) return 2;
  if (m.starts_with("vmov") && std::count(i.operands.begin(), i.operands.end(), ',') == 3) return 2;
  if (i.moves_many()) return 1 + list_length(i.operands);
  if (starts_with_any(m, {"ldrd", "strd"})) return 3;
  if (i.loads_one()) return behind_access ? 1 : 2;
  if (starts_with_any(m, {"sdiv", "udiv"})) return 12;
  if (is_m4) return 1;
  if (starts_with_any(m, {"mla", "mls"})) return 2;
  if (starts_with_any(m, {"smull", "umull"})) return 5;
  if (starts_with_any(m, {"smlal", "umlal"})) return 7;
  return 1;
}

}  // namespace

bool has_cycle_model(std::string_view target) { return target == "cortex-m0" || target == "cortex-m3" || target == "cortex-m4"; }

CycleCount model_cycles(std::string_view target, const std::string& counts) {
  CycleCount sum;
  std::istringstream lines(counts);
  bool behind_access = false;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    int64_t executions = 0, taken = 0;
    Instruction i;
    words >> executions >> taken >> i.mnemonic;
    std::getline(words, i.operands);
    i.operands.erase(0, i.operands.find_first_not_of(' '));
    if (size_t width = i.mnemonic.find(".w"); width != std::string::npos && width + 2 == i.mnemonic.size()) i.mnemonic.resize(width);
    const int64_t each = target == "cortex-m0" ? cycles_m0(i) : cycles_m3_m4(i, behind_access, target == "cortex-m4");
    sum.instructions += executions;
    sum.cycles += executions * each + taken * kRefill;
    behind_access = i.loads_one() || i.stores_one();
  }
  return sum;
}

}  // namespace kiln::bench
