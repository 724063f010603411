// SPDX-License-Identifier: Apache-2.0
// Recurrent layers on boards in QEMU against the reference evaluation: with an FPU, with shared code (and weights in 16
// bits), and without an FPU.
#include "tests/recurrent_layers.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("generated recurrent layers on boards agree with the reference") {
  uint32_t seed = 1;
  for (const LayerBuild& build : kRecurrentBuilds) {
    INFO(to_text(build));
    const std::set<std::string> rows = check_recurrent_layers(RecurrentGenerator(seed++, build.goal == Goal::size).graph(18),
                                                              options_for(build), {.compiler = build.compiler});
    const std::string variant = std::string(build.target) == "cortex-m3" ? "ref" : "fpu";
    for (const char* family : {"rnn.", "gru.", "lstm."}) CHECK(rows.count(family + variant) == 1);
  }
}
