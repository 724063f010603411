// SPDX-License-Identifier: Apache-2.0
// kiln compile: ONNX model -> bundle.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "compiler/driver/budget_options.h"
#include "compiler/driver/cli.h"
#include "compiler/driver/number_checks.h"
#include "compiler/driver/options.h"
#include "compiler/driver/quantize_options.h"
#include "compiler/emit/bundle.h"
#include "compiler/frontend/state_proposals.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/pipeline/test_vectors.h"
#include "compiler/report/report.h"
#include "compiler/support/files.h"
#include "compiler/support/problems.h"

namespace kiln {
namespace {

struct CompileArguments {
  CompileOptions common;
  bool quantize = false;
  CalibrationOptions calibration;
  std::filesystem::path output;
  std::string json;
  int vectors = 1;
  Budgets budgets;
  BuildOptions build;
  bool report = false;
  std::filesystem::path depfile;
};

Status check_options(const CompileArguments& options) {
  if (options.quantize && options.calibration.data.path.empty())
    return error(DiagId::bad_usage, "--quantize needs calibration data.", "add `--calibration PATH` with samples of real inputs.");
  if (options.build.is_given() && !options.report && !options.budgets.need_footprint())
    return error(DiagId::bad_usage, "--compiler and --cflags are about object code, of which nothing is asked.",
                 "add --report, --flash or --stack.");
  return Done{};
}

/// "a\ b" for make and ninja.
std::string make_escaped(const std::string& path) {
  std::string out;
  for (char ch : path) {
    if (ch == ' ' || ch == '#') out += '\\';
    if (ch == '$') out += '$';
    out += ch;
  }
  return out;
}

/// The files that decide what is emitted, in the format of a compiler's -MD. manifest.json is the target of that rule and so gets
/// a new time, whereas other files that stay the same keep theirs: what is built from them stays up to date.
Status write_depfile(const CompileArguments& options, const Compiled& compiled) {
  if (options.depfile.empty()) return Done{};
  const std::filesystem::path manifest = std::filesystem::absolute(options.output / "manifest.json");
  std::string text = make_escaped(manifest.string()) + ":";
  for (const std::filesystem::path& file : compiled.info.read_files)
    text += " \\\n  " + make_escaped(std::filesystem::absolute(file).string());
  if (Status s = write_file(options.depfile, text + "\n"); !s) return s;
  std::error_code failed;
  std::filesystem::last_write_time(manifest, std::filesystem::file_time_type::clock::now(), failed);
  if (failed) return error(DiagId::cannot_write, fmt::format("cannot set the time: {}.", failed.message())).in_file(manifest.string());
  return Done{};
}

ExitCode compile(CompileArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  if (Status s = check_options(options); !s) return terminal.fail(s.diagnostic());
  std::optional<Compiled> compiled = options.quantize ? compile_quantized(options.common, options.calibration, terminal, diagnostics)
                                                      : compile_model(options.common, diagnostics);
  ExitCode code = terminal.report(diagnostics);
  if (!compiled) return write_problems(options.json, diagnostics, terminal);
  if (options.report)
    if (Status s = check_measurable("--report", compiled->target); !s) return terminal.fail(s.diagnostic());
  Diagnostics notes;
  propose_states(compiled->imported, compiled->states, notes);
  terminal.report(notes);
  BundleOptions bundle;
  if (Result<std::vector<TestVector>> vectors = make_test_vectors(*compiled, options.vectors))
    bundle.vectors = *std::move(vectors);
  else
    terminal.report(Diagnostic{vectors.diagnostic().id,
                               Severity::note,
                               "the self-test is left out: " + vectors.diagnostic().message,
                               "`kiln diff` compares the emitted code with ONNX Runtime.",
                               {},
                               options.common.model.string()});
  if (options.output.empty()) options.output = compiled->program.name;
  std::vector<OutputFile> files = emit_bundle(compiled->program, compiled->target, compiled->info, bundle);
  std::optional<Footprint> measured;
  if (options.report) {
    Result<Footprint> result = measure_footprint(compiled->program, compiled->target, files, options.build);
    if (!result) return terminal.fail(result.diagnostic());
    measured = *std::move(result);
  }
  if (code = enforce_budgets(options.budgets, *compiled, files, options.build, measured, terminal); code != ExitCode::ok) return code;
  const Footprint* footprint = measured ? &*measured : nullptr;
  if (Status s = write_folder(options.output, files); !s) return terminal.fail(s.diagnostic());
  if (Status s = write_depfile(options, *compiled); !s) return terminal.fail(s.diagnostic());
  if (!options.json.empty()) {
    std::string text = report_json(*compiled, footprint);
    if (options.json == "-")
      fmt::print("{}", text);
    else if (Status s = write_file(options.json, text); !s)
      return terminal.fail(s.diagnostic());
  }
  if (options.json != "-" && !terminal.quiet) {
    fmt::print("{}", summary_text(*compiled, footprint));
    fmt::print("wrote {} files to {}\n", files.size(), options.output.string());
  }
  return ExitCode::ok;
}

VerbAction add_compile(CLI::App& sub) {
  auto options = std::make_shared<CompileArguments>();
  add_common_options(sub, options->common);
  sub.add_option("-o,--output", options->output, "Folder of the bundle; default: the bundle's name")->type_name("DIR");
  sub.add_flag("--report", options->report, "Say what the bundle takes of a microcontroller, from object code, as `kiln inspect` does");
  add_build_options(sub, options->build);
  add_budget_options(sub, options->budgets);
  sub.add_option("--vectors", options->vectors, "Test vectors of the self-test")->capture_default_str()->check(whole_number(0, 100));
  sub.add_flag("--reference-kernels", options->common.reference_kernels, "Use only the plain reference kernels");
  sub.add_option("--json", options->json, "Write the report as JSON; '-' for stdout")->type_name("FILE");
  sub.add_option("--depfile", options->depfile, "Write the files read, for make and ninja")->type_name("FILE");
  CLI::Option* quantize = sub.add_option_function<std::string>(
         "--quantize", [options = options.get()](const std::string&) { options->quantize = true; },
         "Quantize a float model first, as `kiln quantize` does: int8");
  quantize->type_name("TYPE")
      ->check(CLI::IsMember({"int8"}))
      ->group("Quantization");
  const std::vector<CLI::Option*> others = sub.get_options();
  add_calibration_options(sub, options->calibration);
  for (CLI::Option* option : sub.get_options())
    if (std::find(others.begin(), others.end(), option) == others.end()) option->needs(quantize);
  return [options](const Terminal& terminal) { return compile(*options, terminal); };
}

}  // namespace

extern const Verb compile_verb;
const Verb compile_verb = {"compile", "Turn a model into a C++ source bundle",
                           "kiln compile kws.onnx -o kws                        # writes kws/kws.h, kws/kws.cpp, ...\n"
                           "kiln compile vww.onnx --target host --cpu native    # fastest on this machine\n"
                           "kiln compile kws.onnx --quantize int8 --calibration samples/\n"
                           "kiln compile det.onnx --dim batch=1 --ram 64K       # bind a dimension, check a budget\n"
                           "kiln compile kws.onnx --target cortex-m4 --flash 64K --stack 512",
                           add_compile};

}  // namespace kiln
