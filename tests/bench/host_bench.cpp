// SPDX-License-Identifier: Apache-2.0
// host_bench MODEL.onnx...: time of an inference by the emitted code (--cpu native) and by ONNX Runtime on one thread, measured in turns
// in the same run. Wall times depend on the machine; the ratio is what counts.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/emit/bundle.h"
#include "compiler/emit/bundle_writer.h"
#include "compiler/frontend/model_edit.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/report/table.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/input_sets.h"

using namespace kiln;

namespace {

constexpr int kRounds = 7, kRunsPerRound = 200;

struct Times {
  double kiln_us, ort_us;
};

Result<Times> measure(const Compiled& c, const std::filesystem::path& model) {
  std::vector<std::vector<Tensor>> inputs{random_input_sets(c.program, 1, 1).front().inputs};
  Result<BuiltBundle> program = BuiltBundle::build(c.program, c.target, emit_bundle(c.program, c.target, c.info, {}), {});
  if (!program) return program.diagnostic();
  Result<std::string> bytes = serialized_model(model);
  if (!bytes) return bytes.diagnostic();
  Result<OnnxRuntime> runtime = OnnxRuntime::load();
  if (!runtime) return runtime.diagnostic();
  Result<OrtSession> session = runtime->open(*bytes, OrtOptimization::all);
  if (!session) return session.diagnostic();
  std::vector<int64_t> ours, theirs;
  for (int i = 0; i < kRounds; ++i) {
    Result<RunResult> run = program->run(inputs, {.timed_runs = kRunsPerRound});
    if (!run) return run.diagnostic();
    Result<int64_t> ort = session->time_run(inputs.front(), kRunsPerRound);
    if (!ort) return ort.diagnostic();
    ours.push_back(run->median_nanoseconds);
    theirs.push_back(*ort);
  }
  // The least disturbed round of each.
  return Times{static_cast<double>(*std::min_element(ours.begin(), ours.end())) / 1000,
               static_cast<double>(*std::min_element(theirs.begin(), theirs.end())) / 1000};
}

}  // namespace

int main(int argc, char** argv) {
  Table table({"model", "MACs", "arena", "bound", "weights", "kiln us", "ORT us", "kiln/ORT"}, {1, 2, 3, 4, 5, 6, 7});
  for (int i = 1; i < argc; ++i) {
    CompileOptions options;
    options.model = argv[i];
    options.cpu = "native";
    Diagnostics diagnostics;
    std::optional<Compiled> c = compile_model(options, diagnostics);
    for (const Diagnostic& d : diagnostics.all()) fmt::print(stderr, "{}\n", to_string(d));
    if (!c) return 1;
    Result<Times> times = measure(*c, argv[i]);
    if (!times) {
      fmt::print(stderr, "{}\n", to_string(times.diagnostic()));
      return 1;
    }
    std::filesystem::path path = argv[i];
    table.add({path.stem() == "model" ? path.parent_path().filename().string() : path.stem().string(), with_commas(c->program.macs()),
               with_commas(c->program.memory.arena_bytes), with_commas(c->program.memory.live_lower_bound_bytes),
               with_commas(c->program.weights_bytes()), fmt::format("{:.1f}", times->kiln_us), fmt::format("{:.1f}", times->ort_us),
               fmt::format("{:.2f}", times->kiln_us / times->ort_us)});
  }
  fmt::print("{}", table.text());
  return 0;
}
