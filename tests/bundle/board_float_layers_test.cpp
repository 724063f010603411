// SPDX-License-Identifier: Apache-2.0
// Float kernels of microcontrollers with an FPU against the reference evaluation: generated layers, many to an image, run in QEMU.
#include "tests/emitted_layers.h"
#include "tests/float_layers.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("generated float layers on boards with an FPU agree with the reference") {
  uint32_t seed = 1;
  for (const LayerBuild& build : kFloatBuilds) {
    INFO(to_text(build) << ", seed " << seed);
    const std::set<std::string> rows =
        check_float_layers(float_board_layers(seed++), options_for(build), {.compiler = build.compiler}, kFloatTolerance);
    for (const char* row : {"conv2d.fpu", "depthwise2d.fpu", "dense.fpu"}) CHECK(rows.contains(row));
  }
}
