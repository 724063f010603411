// SPDX-License-Identifier: Apache-2.0
// kiln run: the emitted code, built and run on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/host_runner.h"
#include "compiler/driver/input_sets.h"
#include "compiler/driver/pipeline.h"

namespace kiln {
namespace {

constexpr size_t kShownElements = 32;

struct Options {
  CommonOptions common;
  std::vector<std::string> inputs;
  std::filesystem::path output;
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

Status write_outputs(const Options& options, const Program& program, const std::vector<Tensor>& outputs) {
  std::vector<OutputFile> files;
  for (size_t i = 0; i < outputs.size(); ++i) files.push_back({program.outputs[i].c_name + ".npy", save_npy(outputs[i])});
  return write_folder(options.output, files);
}

ExitCode run(const Options& options, const Terminal& terminal) {
  if (Status s = check_runs_here(options.common, "run"); !s) return terminal.fail(s.diagnostic());
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options.common, diagnostics);
  ExitCode code = terminal.report(diagnostics);
  if (!compiled) return code;
  const Program& program = compiled->program;
  Result<std::vector<Tensor>> inputs = load_named_inputs(options.inputs, program);
  if (!inputs) return terminal.fail(inputs.diagnostic());

  terminal.show_progress("building the emitted code ...");
  Result<HostProgram> host = HostProgram::build(program, compiled->target, emit_bundle(program, compiled->target, compiled->info, {}), {});
  if (!host) return terminal.fail(host.diagnostic());
  terminal.say(host->commands());
  Result<HostResult> result = host->run({*inputs}, {});
  terminal.show_progress({});
  if (!result) return terminal.fail(result.diagnostic());
  const std::vector<Tensor>& outputs = result->outputs.front();
  if (options.output.empty()) {
    for (size_t i = 0; i < outputs.size(); ++i) print_tensor(program.outputs[i].name, outputs[i]);
  } else if (Status s = write_outputs(options, program, outputs); !s) {
    return terminal.fail(s.diagnostic());
  }
  return ExitCode::ok;
}

VerbAction add(CLI::App& sub) {
  auto options = std::make_shared<Options>();
  add_common_options(sub, options->common);
  sub.add_option("--input", options->inputs, "Data of an input, .npy or .pb; NAME= may be left out when there is one input")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  sub.add_option("-o,--output", options->output, "Folder for OUTPUT.npy files; without it outputs are printed")->type_name("DIR");
  return [options](const Terminal& terminal) { return run(*options, terminal); };
}

}  // namespace

extern const Verb run_verb;
const Verb run_verb = {"run", "Run the emitted code of a model on this machine",
                       "kiln run kws.onnx --input features=yes.npy           # prints the outputs\n"
                       "kiln run kws.onnx --input yes.npy -o results         # writes results/scores.npy",
                       add};

}  // namespace kiln
