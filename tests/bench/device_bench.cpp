// SPDX-License-Identifier: Apache-2.0
// device_bench: instructions, modelled cycles, arena, flash and stack of real models on microcontrollers in QEMU, beside TensorFlow Lite
// Micro's. Counts are exact, so the results of one run serve as bounds for the next: more than 2 % above the committed ones is an error.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>

#include "compiler/emit/bundle.h"
#include "compiler/emit/bundle_writer.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/report/table.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/footprint.h"
#include "compiler/runner/input_sets.h"
#include "tests/bench/cycle_model.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

constexpr double kTolerance = 1.02;
/// So that the clock of a Cortex-M resolves a few instructions.
constexpr uint32_t kRuns = 2;
constexpr const char* kCommitted = KILN_SOURCE_DIR "/tests/bench/device_results.csv";
constexpr const char* kHeader = "model,target,goal,build,instructions,arena,flash,stack";

struct Options {
  fs::path models = std::getenv("KILN_MODELS") ? std::getenv("KILN_MODELS") : KILN_SOURCE_DIR "/../shared/models";
  fs::path baseline = KILN_SOURCE_DIR "/../shared/baselines/tflm.csv";
  std::vector<std::string> names{"kws", "ic", "vww", "ad"};
  std::vector<std::string> targets{"cortex-m0",  "cortex-m3",  "cortex-m4", "cortex-m7", "cortex-m33",
                                   "cortex-m55", "cortex-m85", "rv32imc",   "rv32gcv"};
  std::vector<std::string> levels{"-O2", "-O3"};
  bool update = false;
  int inputs = 1;
};

/// What identifies a measurement.
struct Key {
  std::string model, target, goal;
  auto operator<=>(const Key&) const = default;
};

struct Measurement {
  std::string build;  ///< compiler and level: "gcc -O2"
  int64_t instructions = 0, arena = 0, stack = 0;
  int64_t flash = 0;   ///< code, constants and the compiler's routines, without weights
  int64_t spread = 0;  ///< between the inputs with the most and the fewest instructions
  int64_t macs = 0;
  std::optional<int64_t> cycles;  ///< as modelled, where the core's timing is published
};

std::vector<std::vector<std::string>> read_csv(const fs::path& path) {
  std::vector<std::vector<std::string>> rows;
  Result<std::string> text = read_file(path);
  std::istringstream lines(text ? *text : "");
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string>& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
  }
  return rows;
}

/// The committed rows.
std::map<Key, std::vector<std::string>> committed_results() {
  std::map<Key, std::vector<std::string>> out;
  for (const std::vector<std::string>& row : read_csv(kCommitted))
    if (row.size() == 8 && row[0] != "model") out[{row[0], row[1], row[2]}] = row;
  return out;
}

/// The fewest instructions of any of the competitor's builds, by its names of core ("m4") and model.
std::map<std::pair<std::string, std::string>, int64_t> baseline_results(const fs::path& path) {
  std::map<std::pair<std::string, std::string>, int64_t> out;
  for (const std::vector<std::string>& row : read_csv(path)) {
    if (row.size() < 4 || row[0] == "core") continue;
    auto [it, is_new] = out.emplace(std::pair(row[0], row[2]), std::stoll(row[3]));
    if (!is_new) it->second = std::min(it->second, static_cast<int64_t>(std::stoll(row[3])));
  }
  return out;
}

/// The same input for every target and build.
std::vector<std::vector<Tensor>> make_inputs(const Program& program, int count) {
  std::vector<std::vector<Tensor>> sets;
  for (const InputSet& set : random_input_sets(program, count, 1)) sets.push_back(set.inputs);
  return sets;
}

/// Everything that a run of the image with `runs` further inferences executes.
Result<bench::CycleCount> count_cycles(const BuiltBundle& image, const std::string& target, const std::vector<std::vector<Tensor>>& inputs,
                                       uint32_t runs) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder) return folder.diagnostic();
  fs::path counts = folder->path() / "counts";
  RunOptions options{.timed_runs = runs};
  options.emulator_arguments = {"-plugin", fmt::format("{},out={}", KILN_COUNT_PLUGIN, counts.string())};
  if (Result<RunResult> run = image.run({inputs.front()}, options); !run) return run.diagnostic();
  Result<std::string> text = read_file(counts);
  if (!text) return text.diagnostic();
  return bench::model_cycles(target, *text);
}

/// Of one inference: what one more adds. It includes reading its inputs, about 100 cycles.
Result<int64_t> cycles_of_run(const BuiltBundle& image, const std::string& target, const std::vector<std::vector<Tensor>>& inputs) {
  Result<bench::CycleCount> once = count_cycles(image, target, inputs, 1);
  if (!once) return once.diagnostic();
  Result<bench::CycleCount> twice = count_cycles(image, target, inputs, 2);
  if (!twice) return twice.diagnostic();
  return twice->cycles - once->cycles;
}

Result<Measurement> measure_build(const Compiled& c, const BuildOptions& build, int input_sets) {
  const std::vector<OutputFile> bundle = emit_bundle(c.program, c.target, c.info, {});
  Result<BuiltBundle> image = BuiltBundle::build(c.program, c.target, bundle, build);
  if (!image) return image.diagnostic();
  Result<Footprint> footprint = measure_footprint(c.program, c.target, bundle, build);
  if (!footprint) return footprint.diagnostic();
  std::vector<std::vector<Tensor>> inputs = make_inputs(c.program, input_sets);
  Result<RunResult> run = image->run(inputs, {.timed_runs = kRuns});
  if (!run) return run.diagnostic();
  auto [least, most] = std::minmax_element(run->instructions.begin(), run->instructions.end());
  Measurement m{fmt::format("{} {}", build.compiler, fmt::join(build.flags, " ")),
                run->instructions.front(),
                c.program.memory.arena_bytes,
                run->stack_bytes,
                footprint->flash_bytes() - footprint->code.weight_bytes,
                *most - *least,
                c.program.macs(),
                std::nullopt};
  if (bench::has_cycle_model(c.target.name)) {
    Result<int64_t> cycles = cycles_of_run(*image, c.target.name, inputs);
    if (!cycles) return cycles.diagnostic();
    m.cycles = *cycles;
  }
  return m;
}

/// Of all builds the one with the fewest instructions.
Result<Measurement> measure(const Options& options, const Key& key) {
  CompileOptions common;
  common.model = options.models / fmt::format("mlperf_tiny_{}_int8io", key.model) / "model.onnx";
  common.target = key.target;
  common.goal = key.goal == "size" ? Goal::size : Goal::speed;
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(common, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) fmt::print(stderr, "{}\n", to_string(d));
  if (!compiled) return error(DiagId::bad_usage, fmt::format("{} does not compile for {}.", common.model.string(), key.target));
  std::optional<Measurement> best;
  const std::vector<std::string> levels = common.goal == Goal::size ? std::vector<std::string>{"-Os"} : options.levels;
  for (const CrossCompiler& compiler : compiled->target.compilers) {
    for (const std::string& level : levels) {
      Result<Measurement> one = measure_build(*compiled, {.compiler = compiler.name, .flags = {level}}, options.inputs);
      if (!one) return one;
      fmt::print(stderr, "{} {} {} {} {}: {}\n", key.model, key.target, key.goal, compiler.name, level, with_commas(one->instructions));
      if (!best || one->instructions < best->instructions) best = *one;
    }
  }
  return *best;
}

/// "m4" of cortex-m4; M85 and rv64 have no figures.
std::string baseline_core(const std::string& target) { return target.starts_with("cortex-") ? target.substr(7) : target; }

void compare(const Key& key, const char* what, int64_t now, int64_t before, std::vector<std::string>& regressions) {
  const double ratio = static_cast<double>(now) / static_cast<double>(before);
  if (ratio <= kTolerance) return;
  regressions.push_back(fmt::format("{} on {} for {}: {} {}, {} before ({:+.1f} %)", key.model, key.target, key.goal, with_commas(now),
                                    what, with_commas(before), 100 * (ratio - 1)));
}

/// Puts a result into the committed ones at once, so that long runs may be ended.
bool store(const Key& key, const Measurement& m) {
  std::map<Key, std::vector<std::string>> rows = committed_results();
  rows[key] = {key.model,
               key.target,
               key.goal,
               m.build,
               fmt::format("{}", m.instructions),
               fmt::format("{}", m.arena),
               fmt::format("{}", m.flash),
               fmt::format("{}", m.stack)};
  std::string text = std::string(kHeader) + "\n";
  for (const auto& [_, row] : rows) text += fmt::format("{}\n", fmt::join(row, ","));
  return write_file(kCommitted, text).ok();
}

bool run(const Options& options) {
  const auto committed = committed_results();
  const auto baseline = baseline_results(options.baseline);
  std::vector<std::string> regressions;
  std::vector<std::string> head{"model", "target", "goal",    "build", "instructions", "per MAC", "TFLM",
                                "ratio", "cycles", "per MAC", "arena", "flash",        "stack"};
  if (options.inputs > 1) head.emplace_back("spread");
  Table table(head, {4, 5, 6, 7, 8, 9, 10, 11, 12, 13});
  for (const std::string& target : options.targets) {
    for (const std::string& model : options.names) {
      for (const char* goal : {"speed", "size"}) {
        Key key{model, target, goal};
        Result<Measurement> m = measure(options, key);
        if (!m) {
          fmt::print(stderr, "{}\n", to_string(m.diagnostic()));
          return false;
        }
        if (options.update && !store(key, *m)) return false;
        auto theirs = baseline.find({baseline_core(target), model});
        auto bound = committed.find(key);
        const auto count = static_cast<double>(m->instructions);
        std::vector<std::string> row{model,
                                     target,
                                     goal,
                                     m->build,
                                     with_commas(m->instructions),
                                     fmt::format("{:.2f}", count / static_cast<double>(m->macs)),
                                     theirs == baseline.end() ? "" : with_commas(theirs->second),
                                     theirs == baseline.end() ? "" : fmt::format("{:.3f}", count / static_cast<double>(theirs->second)),
                                     m->cycles ? with_commas(*m->cycles) : "",
                                     m->cycles ? fmt::format("{:.2f}", static_cast<double>(*m->cycles) / static_cast<double>(m->macs)) : "",
                                     with_commas(m->arena),
                                     with_commas(m->flash),
                                     with_commas(m->stack)};
        if (options.inputs > 1) row.push_back(with_commas(m->spread));
        table.add(row);
        if (bound != committed.end() && !options.update) {
          compare(key, "instructions", m->instructions, std::stoll(bound->second[4]), regressions);
          compare(key, "bytes of arena", m->arena, std::stoll(bound->second[5]), regressions);
          compare(key, "bytes of flash", m->flash, std::stoll(bound->second[6]), regressions);
        }
      }
    }
  }
  fmt::print("{}", table.text());
  for (const std::string& r : regressions) fmt::print(stderr, "regression: {}\n", r);
  return regressions.empty();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Instructions of the MLPerf Tiny models on microcontrollers in QEMU, the best of gcc and clang; fails on results 2 % worse than "
      "tests/bench/device_results.csv.");
  app.add_option("--models", options.models, "Folder of the models; default $KILN_MODELS, else ../shared/models")->type_name("DIR");
  app.add_option("--baseline", options.baseline, "CSV of the competitor: core,variant,model,instructions,...")->type_name("FILE");
  app.add_option("--model", options.names, "kws, ic, vww, ad")->type_name("NAME");
  app.add_option("--target", options.targets, "Targets with a board")->type_name("NAME");
  app.add_option("--level", options.levels, "Of the compiler, for speed: the best counts")->type_name("FLAG");
  app.add_option("--inputs", options.inputs, "Random inputs; shows how far their counts lie apart")->check(CLI::Range(1, 1000));
  app.add_flag("--update", options.update, "Write the results into tests/bench/device_results.csv");
  CLI11_PARSE(app, argc, argv);
  return run(options) ? 0 : 1;
}
