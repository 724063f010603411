// SPDX-License-Identifier: Apache-2.0
// kiln run: the emitted code, built and run on this machine or on a board in QEMU.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "compiler/driver/budget_options.h"
#include "compiler/driver/cli.h"
#include "compiler/driver/options.h"
#include "compiler/emit/bundle.h"
#include "compiler/emit/bundle_writer.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/report/table.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/input_sets.h"

namespace kiln {
namespace {

constexpr size_t kShownElements = 32;
/// Of a board: enough for the clock of a Cortex-M to resolve single instructions of a run.
constexpr uint32_t kCountedRuns = 8;

struct RunArguments {
  CompileOptions common;
  BuildOptions build;
  Budgets budgets;
  std::vector<std::string> inputs;
  std::filesystem::path output;
  bool profile = false;
};

void print_tensor(const std::string& name, const Tensor& tensor) {
  fmt::print("{} {}\n", name, to_string(tensor.type));
  std::vector<double> values = tensor.to_doubles();
  std::string line = " ";
  for (size_t i = 0; i < std::min(values.size(), kShownElements); ++i)
    line += is_float(tensor.type.dtype) ? fmt::format(" {:.7g}", values[i]) : fmt::format(" {:.0f}", values[i]);
  if (values.size() > kShownElements) line += fmt::format(" ... ({} elements; -o DIR writes them all)", values.size());
  fmt::print("{}\n", line);
}

/// The outputs of one step as they are, of several with a leading dimension of steps.
std::vector<Tensor> stacked(const std::vector<std::vector<Tensor>>& steps) {
  if (steps.size() == 1) return steps.front();
  std::vector<Tensor> out;
  for (size_t i = 0; i < steps.front().size(); ++i) {
    TensorType type = steps.front()[i].type;
    type.shape.insert(type.shape.begin(), static_cast<int64_t>(steps.size()));
    std::vector<std::byte> bytes;
    for (const std::vector<Tensor>& step : steps) bytes.insert(bytes.end(), step[i].bytes().begin(), step[i].bytes().end());
    out.emplace_back(std::move(type), std::move(bytes));
  }
  return out;
}

Status write_outputs(const RunArguments& options, const Program& program, const std::vector<Tensor>& outputs) {
  std::vector<OutputFile> files;
  for (size_t i = 0; i < outputs.size(); ++i) files.push_back({program.outputs[i].c_name + ".npy", save_npy(outputs[i])});
  return write_folder(options.output, files);
}

/// Instructions of each step and of the whole run, as a table.
std::string profile_text(const Program& program, const RunResult& plain, const RunResult& traced, const Target& target) {
  Table table({"#", "layer", "onnx", "MACs", "instructions", "per MAC", "share"}, {3, 4, 5, 6});
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    auto count = static_cast<double>(traced.step_instructions[i]);
    table.add({fmt::format("{}", i + 1), step.label, step.origin.front(), step.macs ? with_commas(step.macs) : "",
               with_commas(traced.step_instructions[i]), step.macs ? fmt::format("{:.2f}", count / static_cast<double>(step.macs)) : "",
               fmt::format("{:.1f} %", 100 * count / static_cast<double>(std::max<int64_t>(plain.instructions.front(), 1)))});
  }
  return fmt::format("{}\n{} instructions per inference, {} bytes of stack on {}\n", table.text(), with_commas(plain.instructions.front()),
                     with_commas(plain.stack_bytes), target.name);
}

/// Counts instructions in a build that reports each step, which costs a few itself, and in a plain one.
Result<std::string> profile(const RunArguments& options, const Compiled& c, const std::vector<OutputFile>& bundle,
                            const std::vector<Tensor>& inputs, const RunResult& plain) {
  Result<BuiltBundle> traced =
      BuiltBundle::build(c.program, c.target, bundle, {.compiler = options.build.compiler, .flags = options.build.flags, .traced = true});
  if (!traced) return std::move(traced).diagnostic();
  Result<RunResult> counted = traced->run({inputs}, {.timed_runs = kCountedRuns});
  if (!counted) return std::move(counted).diagnostic();
  return profile_text(c.program, plain, *counted, c.target);
}

ExitCode run(const RunArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options.common, diagnostics);
  ExitCode code = terminal.report(diagnostics);
  if (!compiled) return code;
  const Program& program = compiled->program;
  if (options.profile && !compiled->target.board)
    return terminal.fail(error(DiagId::bad_usage,
                               fmt::format("--profile counts instructions on a board in QEMU; {} has none.", compiled->target.name),
                               "choose a microcontroller, such as --target cortex-m4; `kiln diff --time` times this machine."));
  Result<std::vector<std::vector<Tensor>>> inputs = load_named_inputs(options.inputs, program);
  if (!inputs) return terminal.fail(inputs.diagnostic());

  std::vector<OutputFile> bundle = emit_bundle(program, compiled->target, compiled->info, {});
  std::optional<Footprint> footprint;
  BuildOptions measured = options.build;  // budgets are about the code that runs
  if (measured.compiler.empty() && can_measure(compiled->target)) measured.compiler = compiled->target.compilers.front().name;
  if (code = enforce_budgets(options.budgets, *compiled, bundle, measured, footprint, terminal); code != ExitCode::ok) return code;
  terminal.show_progress("building the emitted code ...");
  Result<BuiltBundle> host = BuiltBundle::build(program, compiled->target, bundle, options.build);
  if (!host) return terminal.fail(host.diagnostic());
  terminal.say(host->commands());
  const auto steps = static_cast<uint32_t>(inputs->size());
  Result<RunResult> result = host->run(*inputs, {.sequence_steps = steps, .timed_runs = compiled->target.board ? kCountedRuns : 0});
  terminal.show_progress({});
  if (!result) return terminal.fail(result.diagnostic());
  const std::vector<Tensor> outputs = stacked(result->outputs);
  if (options.output.empty()) {
    for (size_t i = 0; i < outputs.size(); ++i) print_tensor(program.outputs[i].name, outputs[i]);
  } else if (Status s = write_outputs(options, program, outputs); !s) {
    return terminal.fail(s.diagnostic());
  }
  if (!options.profile) return ExitCode::ok;
  Result<std::string> text = profile(options, *compiled, bundle, inputs->front(), *result);
  if (!text) return terminal.fail(text.diagnostic());
  fmt::print("\n{}", *text);
  return ExitCode::ok;
}

VerbAction add_run(CLI::App& sub) {
  auto options = std::make_shared<RunArguments>();
  add_common_options(sub, options->common);
  sub.add_option("--input", options->inputs,
                 "Data of an input, .npy or .pb; NAME= may be left out when there is one input. With --state a further leading dimension "
                 "holds steps")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  sub.add_option("-o,--output", options->output, "Folder for OUTPUT.npy files; without it outputs are printed")->type_name("DIR");
  add_build_options(sub, options->build);
  add_budget_options(sub, options->budgets);
  sub.add_flag("--profile", options->profile, "Count the instructions of each layer, on a board in QEMU");
  return [options](const Terminal& terminal) { return run(*options, terminal); };
}

}  // namespace

extern const Verb run_verb;
const Verb run_verb = {"run", "Run the emitted code of a model, here or in QEMU",
                       "kiln run kws.onnx --input features=yes.npy           # prints the outputs\n"
                       "kiln run kws.onnx --input yes.npy -o results         # writes results/scores.npy\n"
                       "kiln run kws.onnx --input yes.npy --target cortex-m4 --profile\n"
                       "kiln run vad.onnx --state hn=h --input chunks.npy    # [steps,...]: one run after the other",
                       add_run};

}  // namespace kiln
