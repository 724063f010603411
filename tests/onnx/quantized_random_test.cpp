// SPDX-License-Identifier: Apache-2.0
// Generated quantized models: an operator (or two) on random grids, types and shapes, written as QuantizeLinear and DequantizeLinear
// around float operators or as operators on integers. What the passes make of them has no float island, and is within one step of
// what was imported and of ONNX Runtime, where it is installed.
#include "../quantized_generator.h"
#include "../quantized_models.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("generated quantized models become integer and keep their results", "[quantized]") {
  constexpr uint32_t kModels = 300;
  size_t compared = 0;
  for (uint32_t seed = 1; seed <= kModels; ++seed) {
    QuantizedGenerator generator(seed);
    ModelMaker m = generator.build();
    Prepared p = prepare(m);
    INFO("seed " << seed << ": " << generator.kind());
    CHECK(p.float_reasons() == "");
    double step = greatest_step(p, seed, 1.2f);
    std::optional<double> from_ort = greatest_step_from_ort(p, seed, 1.2f);
    if (step > kOneStep || from_ort.value_or(0) > kOneStep) UNSCOPED_INFO(print_graph(p.imported, {}) << print_graph(p.optimized, {}));
    CHECK(step <= kOneStep);
    CHECK(from_ort.value_or(0) <= kOneStep);
    if (from_ort) ++compared;
  }
  if (compared == 0) WARN("ONNX Runtime is not installed: not compared with it");
  else CHECK(compared > kModels / 2);
}
