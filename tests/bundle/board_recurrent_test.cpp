// SPDX-License-Identifier: Apache-2.0
// Recurrent layers on boards in QEMU against the reference evaluation: with an FPU, with shared code (and weights in 16
// bits), and without an FPU.
#include "tests/recurrent_layers.h"

using namespace kiln;

TEST_CASE("generated recurrent layers on boards agree with the reference") {
  uint32_t seed = 1;
  for (const auto& [target, compiler, goal] : {std::tuple("cortex-m4", "gcc", Goal::speed), std::tuple("cortex-m4", "clang", Goal::size),
                                               std::tuple("rv32imafc", "gcc", Goal::speed), std::tuple("cortex-m3", "gcc", Goal::size)}) {
    INFO(target << " " << compiler);
    CompileOptions options;
    options.target = target;
    options.goal = goal;
    const std::set<std::string> rows =
        test::check_recurrent_layers(test::RecurrentGenerator(seed++, goal == Goal::size).graph(18), options, {.compiler = compiler});
    const std::string variant = std::string(target) == "cortex-m3" ? "ref" : "fpu";
    for (const char* family : {"rnn.", "gru.", "lstm."}) CHECK(rows.count(family + variant) == 1);
  }
}
