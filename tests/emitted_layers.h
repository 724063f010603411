// SPDX-License-Identifier: Apache-2.0
// Graphs of generated layers side by side: the builds in which they are tried, which rows serve them, and a check of what they compile to
// against their evaluation.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/bundle.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"

namespace kiln::test {

/// What layers are compiled for. The compiler "" is the target's first.
struct LayerBuild {
  const char* target;
  const char* cpu = "";
  const char* compiler = "";
  Goal goal = Goal::speed;
  const char* vector_bits = "128";  ///< of the emulated core, which the code does not know
};

// The builds of the tests on boards. rows_used_test.cpp sees to it that they take every row.
inline constexpr LayerBuild kIntegerBuilds[] = {
    {"cortex-m4"},
    {"cortex-m4", "", "gcc", Goal::size},
    {"cortex-m4", "", "clang"},
    {"cortex-m4", "", "clang", Goal::size},
    {"cortex-m33"},
    {"cortex-m4", "cortex-m4+nofp"},
    {"cortex-m55"},
    {"cortex-m55", "", "clang"},
    {"cortex-m55", "", "", Goal::size},
    {"rv32imc"},
    {"rv32imc", "", "clang", Goal::size},
    {"rv64gc"},
    {"cortex-m3"},
    {"cortex-m3", "", "clang", Goal::size},
    {"cortex-m0"},
    {"cortex-m0", "", "clang"},
    {"rv32gcv"},
    {"rv32gcv", "", "", Goal::size, "512"},
    {"rv64gcv"},
    {"rv32imc", "rv32imc_zve32x"},
    {"rv32gcv", "rv32gcv_zvl256b", "", Goal::speed, "256"},
};
inline constexpr LayerBuild kFloatBuilds[] = {
    {"cortex-m4", "", "gcc"},
    {"cortex-m4", "", "gcc", Goal::size},
    {"cortex-m4", "", "clang"},
    {"cortex-m4", "", "clang", Goal::size},
    {"cortex-m7", "", "gcc"},
    {"rv32imafc", "", "gcc"},
    {"rv64gc", "", "clang", Goal::size},
};
/// With vectors of 128 and of 256 bits.
inline constexpr LayerBuild kFloatVectorBuilds[] = {{"rv32gcv"}, {"rv64gcv", "rv64gcv_zvl256b"}};
inline constexpr LayerBuild kRecurrentBuilds[] = {
    {"cortex-m4", "", "gcc"}, {"cortex-m4", "", "clang", Goal::size}, {"rv32imafc", "", "gcc"}, {"cortex-m3", "", "gcc", Goal::size}};

inline std::string to_text(const LayerBuild& build) {
  return fmt::format("{} {} {}{}", build.target, build.cpu, build.compiler, build.goal == Goal::size ? " for size" : "");
}

inline CompileOptions options_for(const LayerBuild& build) {
  CompileOptions options;
  options.name = "layers";
  options.target = build.target;
  options.cpu = build.cpu;
  options.goal = build.goal;
  return options;
}

inline Compiled compiled_layers(Graph graph, const CompileOptions& options) {
  ImportedModel model;
  model.graph = std::move(graph);
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_graph(std::move(model), options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(compiled);
  return *std::move(compiled);
}

/// "qdense.dsp_row" and the like: the rows that serve the program's calls.
inline std::set<std::string> rows_of(const Program& program) {
  std::set<std::string> rows;
  for (const Step& step : program.steps) rows.insert(fmt::format("{}.{}", step.call.family, step.call.row->variant));
  return rows;
}

/// Where a model has weights in 16 bits, rows that can read them do.
inline void check_narrow_weights(const Compiled& c) {
  for (const Step& step : c.program.steps)
    for (size_t i = 0; i < step.call.inputs.size(); ++i) {
      const ProgramTensor& operand = c.program.tensor(step.call.inputs[i]);
      if (!operand.constant || !is_float(operand.type.dtype)) continue;
      INFO(step.call.family << "." << step.call.row->variant << " operand " << i);
      CHECK((operand.type.dtype != DType::f32) == (c.imported.has_narrow_weights && (step.call.row->narrow >> i & 1) != 0));
    }
}

/// Compiles the graph, runs it and compares it with its evaluation, within `tolerance` of 1 or of larger numbers. Returns the rows that
/// served it.
inline std::set<std::string> check_float_layers(Graph graph, const CompileOptions& options, const BuildOptions& build, double tolerance) {
  const Compiled c = compiled_layers(std::move(graph), options);
  std::vector<Tensor> inputs;
  for (ValueId v : c.graph.inputs) inputs.push_back(random_tensor(c.graph.type(v), inputs.size() + 1));
  Result<std::vector<Tensor>> expected = evaluate(c.imported, inputs);
  REQUIRE(expected.ok());
  Result<BuiltBundle> built = BuiltBundle::build(c.program, c.target, emit_bundle(c.program, c.target, c.info, {}), build);
  if (!built) FAIL(to_string(built.diagnostic()));
  Result<RunResult> result = built->run({inputs}, {.poison = build.traced});
  if (!result) FAIL(to_string(result.diagnostic()));
  for (size_t i = 0; i < expected->size(); ++i) {
    const std::vector<double> got = result->outputs[0][i].to_doubles(), want = (*expected)[i].to_doubles();
    REQUIRE(got.size() == want.size());
    for (size_t k = 0; k < got.size(); ++k) {
      if (std::abs(got[k] - want[k]) <= tolerance * (1 + std::abs(want[k]))) continue;
      FAIL(fmt::format("{} {}: output {} element {} is {}, expected {}", options.target, options.cpu, c.graph.output_name(i), k, got[k],
                       want[k]));
    }
  }
  check_narrow_weights(c);
  return rows_of(c.program);
}

}  // namespace kiln::test
