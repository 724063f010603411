// SPDX-License-Identifier: Apache-2.0
// kiln inspect: what a model becomes, layer by layer, without writing anything.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "compiler/driver/budget_options.h"
#include "compiler/driver/cli.h"
#include "compiler/driver/options.h"
#include "compiler/emit/bundle.h"
#include "compiler/frontend/state_proposals.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/report/report.h"
#include "compiler/support/files.h"
#include "compiler/support/problems.h"

namespace kiln {
namespace {

struct InspectArguments {
  CompileOptions common;
  BuildOptions build;
  Budgets budgets;
  std::string json;
};

/// The footprint on a microcontroller; nothing for this machine, and, unless a budget asks for it, without a compiler.
Result<std::optional<Footprint>> measure(const InspectArguments& options, const Compiled& compiled, const std::vector<OutputFile>& bundle,
                                         const Terminal& terminal) {
  if (!can_measure(compiled.target)) return std::optional<Footprint>();
  terminal.show_progress("compiling the emitted code ...");
  Result<Footprint> footprint = measure_footprint(compiled.program, compiled.target, bundle, options.build);
  terminal.show_progress({});
  if (footprint) return std::optional(*std::move(footprint));
  const Diagnostic& problem = footprint.diagnostic();
  if (problem.id != DiagId::tool_missing || options.budgets.need_footprint()) return problem;
  terminal.report(Diagnostic{DiagId::not_measured, Severity::note, problem.message, problem.hint, {}, {}});
  return std::optional<Footprint>();
}

ExitCode inspect(const InspectArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options.common, diagnostics);
  terminal.report(diagnostics);
  if (!compiled) return write_problems(options.json, diagnostics, terminal);
  Diagnostics notes;
  propose_states(compiled->imported, compiled->states, notes);
  terminal.report(notes);
  if (Status s = check_budgets_apply(options.budgets, compiled->target); !s) return terminal.fail(s.diagnostic());
  if (options.build.is_given())
    if (Status s = check_measurable(options.build.compiler.empty() ? "--cflags" : "--compiler", compiled->target); !s)
      return terminal.fail(s.diagnostic());
  const std::vector<OutputFile> bundle = emit_bundle(compiled->program, compiled->target, compiled->info, {});
  Result<std::optional<Footprint>> measured = measure(options, *compiled, bundle, terminal);
  if (!measured) return terminal.fail(measured.diagnostic());
  const Footprint* footprint = *measured ? &**measured : nullptr;
  if (options.json != "-") fmt::print("{}\n{}", summary_text(*compiled, footprint), layer_table(*compiled, footprint, terminal.color_out));
  if (options.json == "-")
    fmt::print("{}", report_json(*compiled, footprint));
  else if (!options.json.empty())
    if (Status s = write_file(options.json, report_json(*compiled, footprint)); !s) return terminal.fail(s.diagnostic());
  return enforce_budgets(options.budgets, *compiled, bundle, options.build, *measured, terminal);
}

VerbAction add_inspect(CLI::App& sub) {
  auto options = std::make_shared<InspectArguments>();
  add_common_options(sub, options->common);
  add_build_options(sub, options->build);
  add_budget_options(sub, options->budgets);
  sub.add_option("--json", options->json, "Write the report as JSON; '-' for stdout")->type_name("FILE");
  return [options](const Terminal& terminal) { return inspect(*options, terminal); };
}

}  // namespace

extern const Verb inspect_verb;
const Verb inspect_verb = {"inspect", "Show layers, memory and MACs of a model",
                           "kiln inspect kws.onnx                    # the layer table; the peak of RAM is marked\n"
                           "kiln inspect kws.onnx --target cortex-m4        # flash and stack too, from object code\n"
                           "kiln inspect kws.onnx --target cortex-m4 --flash 64K --ram 32K --stack 512\n"
                           "kiln inspect kws.onnx --json - | jq .macs",
                           add_inspect};

}  // namespace kiln
