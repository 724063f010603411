// SPDX-License-Identifier: Apache-2.0
// Cycles that executed instructions take by the timing tables of Arm's technical reference manuals. The tables leave wait states of
// memory aside; so does this.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::bench {

/// Sums over the lines of count_plugin.
struct CycleCount {
  int64_t instructions = 0, cycles = 0;
};

/// Whether there is a table for the target: Cortex-M0, M3 and M4. Arm publishes none for the M7, M33, M55 and M85.
bool has_cycle_model(std::string_view target);

/// Adds up the text that count_plugin wrote for a run on `target`. Sources: Cortex-M0 TRM (DDI 0432C) 3.3, Cortex-M3 TRM (DDI 0337H) 3.3, Cortex-M4
/// TRM (100166) 3.3 and 7.2.3. Ranges are taken so: pipeline refills 2 cycles, divisions the longest, long multiplications of the M3 the longest;
/// a load directly behind another load or store of one register takes 1 cycle.
CycleCount model_cycles(std::string_view target, const std::string& counts);

}  // namespace kiln::bench
