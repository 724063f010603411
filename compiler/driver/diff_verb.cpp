// SPDX-License-Identifier: Apache-2.0
// kiln diff: emitted code and ONNX Runtime on the same inputs.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/number_checks.h"
#include "compiler/driver/options.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/report/diff_report.h"
#include "compiler/support/files.h"
#include "compiler/support/problems.h"

namespace kiln {
namespace {

struct DiffArguments {
  CompileOptions common;
  DiffOptions diff;
  std::string json;
};

/// What of the comparison ends the run with exit code 5.
Status verdict(const DiffReport& report) {
  const OutputDiff* worst = report.worst_failure();
  if (!worst) return Done{};
  const Comparison& c = worst->comparison;
  return error(
      DiagId::results_differ,
      fmt::format("output '{}' differs from {} in {} of {} elements of {}; the worst, {}, is {:.9g}, expected {:.9g}.", worst->output,
                  worst->reference, c.wrong, c.elements, worst->set, index_text(c.worst, worst->type.shape), c.worst_got, c.worst_expected),
      report.layers.empty() ? "--layers shows where it begins." : "");
}

Status write_report(const DiffArguments& options, const DiffReport& report, const Terminal& terminal) {
  if (options.json != "-") fmt::print("{}", diff_text(report, terminal.color_out));
  if (options.json == "-")
    fmt::print("{}", diff_json(report));
  else if (!options.json.empty())
    return write_file(options.json, diff_json(report));
  return Done{};
}

ExitCode diff(const DiffArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options.common, diagnostics);
  terminal.report(diagnostics);
  if (!compiled) return write_problems(options.json, diagnostics, terminal);
  Result<DiffReport> report = diff_model(options.common.model, *compiled, options.diff, terminal);
  if (!report) return terminal.fail(report.diagnostic());
  if (Status s = write_report(options, *report, terminal); !s) return terminal.fail(s.diagnostic());
  if (Status s = verdict(*report); !s) return terminal.fail(s.diagnostic());
  return ExitCode::ok;
}

VerbAction add_diff(CLI::App& sub) {
  auto options = std::make_shared<DiffArguments>();
  add_common_options(sub, options->common);
  CLI::Option* inputs = sub.add_option("--inputs", options->diff.inputs,
                                       "ONNX test_data_set folders, a folder of .npy, a .npz, .npy or .pb file; "
                                       "default: test_data_set_* beside the model")
                            ->type_name("PATH");
  sub.add_option("--random", options->diff.random, "Random input sets instead; 3 when there are no stored ones")
      ->type_name("N")
      ->check(whole_number(1, 10000))
      ->excludes(inputs);
  sub.add_option("--steps", options->diff.steps,
                 "With --state: runs of a sequence, of the stored sets in order, or at random; default: all sets, or 8")
      ->type_name("N")
      ->check(whole_number(1, 10000));
  sub.add_option("--seed", options->diff.seed, "Of the random inputs")
      ->capture_default_str()
      ->type_name("N")
      ->check(whole_number(0))
      ->excludes(inputs);
  auto add_tolerance = [&](const char* name, double& value, const char* help, bool of_integers) {
    sub.add_option_function<double>(
           name,
           [&diff = options->diff, &value, of_integers](double given) {
             value = given;
             diff.explicit_rule = true;
             if (of_integers) diff.rule.steps = given;
           },
           help)
        ->default_str(fmt::format("{:g}", value))
        ->type_name("X")
        ->check(real_number(0));
  };
  add_tolerance("--atol", options->diff.rule.absolute, "Absolute tolerance; given, it holds for integers too. Nothing is allowed beyond it", true);
  add_tolerance("--rtol", options->diff.rule.relative, "Relative tolerance of floats; given, nothing is allowed beyond it", false);
  CLI::Option* layers = sub.add_flag("--layers", options->diff.layers, "Compare the result of every layer and name the first that diverges");
  sub.add_flag("--optimize-ort", options->diff.optimize_ort, "Let ONNX Runtime fuse and reorder as it likes");
  add_build_options(sub, options->diff.build);
  sub.add_flag("--sanitize", options->diff.build.sanitize, "Build the emitted code with address and undefined behaviour sanitizers");
  sub.add_option("--time", options->diff.timed_runs, "Also time so many inferences of both")
      ->type_name("RUNS")
      ->check(whole_number(1, 1000000))
      ->excludes(layers);  // whose results the code would hand over at each step
  sub.add_option("--json", options->json, "Write the findings as JSON; '-' for stdout")->type_name("FILE");
  return [options](const Terminal& terminal) { return diff(*options, terminal); };
}

}  // namespace

extern const Verb diff_verb;
const Verb diff_verb = {"diff", "Compare the emitted code with ONNX Runtime",
                        "kiln diff kws.onnx                          # stored test data beside the model, else random inputs\n"
                        "kiln diff kws.onnx --layers                 # which layer is the first that diverges?\n"
                        "kiln diff kws.onnx --inputs samples.npz --atol 1e-6\n"
                        "kiln diff vww.onnx --cpu native --time 100  # and how fast are they?\n"
                        "kiln diff vad.onnx --state hn=h --steps 50  # 50 runs, the state fed back on both sides",
                        add_diff};

}  // namespace kiln
