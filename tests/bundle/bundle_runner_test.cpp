// SPDX-License-Identifier: Apache-2.0
#include "compiler/emit/bundle.h"
#include "compiler/runner/bundle_runner.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/input_sets.h"
#include "tests/skip.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

const fs::path kTiny = KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx";

std::unique_ptr<Compiled> compile(const fs::path& model) {
  CompileOptions options;
  options.model = model;
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(compiled);
  return std::make_unique<Compiled>(*std::move(compiled));
}

BuiltBundle build(const Compiled& c, const BuildOptions& options) {
  Result<BuiltBundle> built = BuiltBundle::build(c.program, c.target, emit_bundle(c.program, c.target, c.info, {}), options);
  if (!built) FAIL(to_string(built.diagnostic()));
  return *std::move(built);
}

RunResult run(const BuiltBundle& program, const std::vector<std::vector<Tensor>>& inputs, const RunOptions& options) {
  Result<RunResult> result = program.run(inputs, options);
  if (!result) FAIL(to_string(result.diagnostic()));
  return *std::move(result);
}

std::vector<std::vector<Tensor>> random_inputs(const Compiled& c, int count) {
  std::vector<std::vector<Tensor>> inputs;
  for (InputSet& set : random_input_sets(c.program, count, 7)) inputs.push_back(std::move(set.inputs));
  return inputs;
}

}  // namespace

TEST_CASE("the host runs emitted code on several sets, traces it and takes its time") {
  std::unique_ptr<Compiled> c = compile(kTiny);
  BuiltBundle program = build(*c, {.traced = true});
  std::vector<std::vector<Tensor>> inputs{{Tensor::floats({1, 4}, {-1, 2, -3, 4})}, {Tensor::floats({1, 4}, {5, -6, 7, NAN})}};
  RunResult result = run(program, inputs, {.traced_sets = 1, .timed_runs = 3});
  REQUIRE(result.outputs.size() == 2);
  CHECK(result.outputs[0][0] == Tensor::floats({1, 4}, {0, 2, 0, 4}));
  CHECK(result.outputs[1][0].as<float>()[2] == 7);
  REQUIRE(result.step_results.size() == 1);
  CHECK(result.step_results[0].back() == result.outputs[0][0]);
  CHECK(result.median_nanoseconds > 0);
  CHECK(program.commands().find("-std=c++17") != std::string::npos);
}

TEST_CASE("an arena that is one byte too small is noticed") {
  std::unique_ptr<Compiled> c = compile(kTiny);
  BuiltBundle program = build(*c, {});
  std::vector<std::vector<Tensor>> inputs{{Tensor::floats({1, 4}, {1, 2, 3, 4})}};
  run(program, inputs, {});
  Result<RunResult> small = program.run(inputs, {.arena_shortfall = 1});
  REQUIRE(!small.ok());
  CHECK(small.diagnostic().id == DiagId::tool_failed);
  CHECK(small.diagnostic().message.find("a byte behind the arena was overwritten") != std::string::npos);
}

TEST_CASE("sanitizers find nothing in a run, and an access beyond the arena where there is one") {
  std::unique_ptr<Compiled> c = compile(kTiny);
  BuiltBundle program = build(*c, {.sanitize = true});
  std::vector<std::vector<Tensor>> inputs{{Tensor::floats({1, 4}, {1, 2, 3, 4})}};
  run(program, inputs, {});
  Result<RunResult> small = program.run(inputs, {.arena_shortfall = 1});
  REQUIRE(!small.ok());
  CHECK(small.diagnostic().message.find("AddressSanitizer") != std::string::npos);
}

TEST_CASE("a compiler that is missing or fails is reported") {
  std::unique_ptr<Compiled> c = compile(kTiny);
  std::vector<OutputFile> bundle = emit_bundle(c->program, c->target, c->info, {});
  Result<BuiltBundle> missing = BuiltBundle::build(c->program, c->target, bundle, {.compiler = "no-such-compiler -m64"});
  REQUIRE(!missing.ok());
  CHECK(missing.diagnostic().id == DiagId::tool_missing);
  Result<BuiltBundle> failing = BuiltBundle::build(c->program, c->target, bundle, {.compiler = "false"});
  REQUIRE(!failing.ok());
  CHECK(failing.diagnostic().id == DiagId::tool_failed);
}

TEST_CASE("overwriting dead bytes between the layers of a real model changes nothing") {
  const char* chosen = getenv("KILN_MODELS");
  fs::path model = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / "mlperf_tiny_kws_float" / "model.onnx";
  if (!fs::exists(model)) {
    KILN_SKIP("there is no mlperf_tiny_kws_float in KILN_MODELS");
    return;
  }
  std::unique_ptr<Compiled> c = compile(model);
  BuiltBundle program = build(*c, {.traced = true});
  std::vector<std::vector<Tensor>> inputs = random_inputs(*c, 2);
  RunResult plain = run(program, inputs, {.traced_sets = 2});
  RunResult poisoned = run(program, inputs, {.traced_sets = 2, .poison = true});
  CHECK(poisoned.outputs == plain.outputs);
  CHECK(poisoned.step_results == plain.step_results);
}
