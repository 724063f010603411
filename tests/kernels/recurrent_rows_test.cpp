// SPDX-License-Identifier: Apache-2.0
// Recurrent layers as emitted code for this machine, with vectors and without, against the reference evaluation.
#include "tests/recurrent_layers.h"

using namespace kiln;

TEST_CASE("recurrent layers of all rows agree with the reference") {
  constexpr int kLayers = 36;
  for (const char* cpu : {"x86-64", "native"}) {
    CompileOptions options;
    options.cpu = cpu;
    const std::set<std::string> rows = test::check_recurrent_layers(test::RecurrentGenerator(1).graph(kLayers), options, {.traced = true});
    for (const char* row : {"rnn.simd", "gru.simd", "lstm.simd"}) CHECK(rows.count(row) == 1);
  }
  CompileOptions options;
  options.reference_kernels = true;
  const std::set<std::string> rows = test::check_recurrent_layers(test::RecurrentGenerator(2).graph(kLayers), options, {.sanitize = true});
  for (const char* row : {"rnn.ref", "gru.ref", "lstm.ref"}) CHECK(rows.count(row) == 1);
}

TEST_CASE("recurrent layers of all rows read weights in 16 bits") {
  constexpr int kLayers = 18;
  for (const char* target : {"host", "cortex-m4", "cortex-m0"}) {
    CompileOptions options;
    options.target = target;
    test::check_recurrent_layers(test::RecurrentGenerator(3, true).graph(kLayers), options, {});
  }
}
