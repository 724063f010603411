// SPDX-License-Identifier: Apache-2.0
// Integer kernels of microcontrollers against the reference evaluation: generated layers, many to an image, run in QEMU.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/integer_board_layers.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("generated integer layers on boards equal the reference to the bit") {
  const char* wish = std::getenv("KILN_LAYERS");
  const int layers = wish ? std::atoi(wish) : 40;
  for (const LayerBuild& build : kIntegerBuilds) {
    INFO(to_text(build));
    Compiled compiled = compiled_layers(integer_layers(build, layers), options_for(build));
    for (std::string& argument : compiled.target.board->emulator)
      if (size_t at = argument.find("vlen=128"); at != std::string::npos) argument.replace(at, 8, std::string("vlen=") + build.vector_bits);
    std::vector<std::vector<Tensor>> sets;
    for (uint64_t set = 0; set < 3; ++set) {
      std::vector<Tensor>& inputs = sets.emplace_back();
      for (ValueId v : compiled.graph.inputs) inputs.push_back(random_tensor(compiled.graph.type(v), 100 * set + inputs.size()));
    }
    Result<BuiltBundle> image = BuiltBundle::build(
        compiled.program, compiled.target, emit_bundle(compiled.program, compiled.target, compiled.info, {}), {.compiler = build.compiler});
    if (!image) FAIL(to_string(image.diagnostic()));
    Result<RunResult> result = image->run(sets, {});
    if (!result) FAIL(to_string(result.diagnostic()));
    for (size_t set = 0; set < sets.size(); ++set) {
      std::vector<Tensor> expected = *evaluate(compiled.graph, sets[set]);
      for (size_t i = 0; i < expected.size(); ++i) {
        INFO("layer " << i << " " << compiled.program.steps[i].label << " " << to_string(expected[i].type));
        CHECK(std::ranges::equal(result->outputs[set][i].bytes(), expected[i].bytes()));
      }
    }
  }
}
