// SPDX-License-Identifier: Apache-2.0
// kiln opt: graph passes over a model or over IR text; for looking at what they do and for writing tests of them.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/options.h"
#include "compiler/ir/dot.h"
#include "compiler/ir/parse.h"
#include "compiler/ir/print.h"
#include "compiler/ops/ops.h"
#include "compiler/support/files.h"
#include "passes/graph_passes.h"
#include "targets/targets.h"

namespace kiln {
namespace {

struct OptArguments {
  CompileOptions common;
  std::vector<std::string> passes = {"all"};
  std::filesystem::path output;
  PrintOptions print;
};

/// Golden tests have the expected text behind this line.
constexpr std::string_view kEndOfInput = "\n; ---\n";

/// The graph of an .onnx file, or of IR text in a file of another name.
std::optional<Graph> read_graph(const CompileOptions& options, Diagnostics& diagnostics) {
  if (options.model.extension() == ".onnx") {
    std::optional<ImportedModel> model = import_model(options.model, options.import, diagnostics);
    if (!model || diagnostics.has_errors()) return std::nullopt;
    return std::move(model->graph);
  }
  Result<std::string> text = read_file(options.model);
  if (!text) {
    diagnostics.report(text.diagnostic());
    return std::nullopt;
  }
  Result<Graph> graph = parse_graph(std::string_view(*text).substr(0, text->find(kEndOfInput)), op_table());
  if (graph) return *std::move(graph);
  diagnostics.report(std::move(graph).diagnostic().in_file(options.model.string()));
  return std::nullopt;
}

/// The passes that `--passes` names, in its order.
Result<std::vector<GraphPass>> chosen_passes(const std::vector<std::string>& names) {
  std::vector<GraphPass> passes;
  for (const std::string& name : names) {
    if (name == "none") continue;
    size_t before = passes.size();
    for (const GraphPass& pass : graph_passes())
      if (name == "all" || name == pass.name) passes.push_back(pass);
    if (passes.size() > before) continue;
    GraphPassOptions wanted;
    wanted.stop_after = name;
    if (Status s = check_pass_names(wanted, graph_passes()); !s) return std::move(s).diagnostic();
  }
  return passes;
}

Status optimize(Graph& graph, const OptArguments& options, Diagnostics& diagnostics) {
  Result<std::vector<GraphPass>> passes = chosen_passes(options.passes);
  if (!passes) return std::move(passes).diagnostic();
  if (Status s = check_pass_names(options.common.passes, graph_passes()); !s) return s;
  Result<Target> target = make_target(options.common.target, options.common.cpu, options.common.goal);
  if (!target) return std::move(target).diagnostic();
  PassContext context{*target, diagnostics};
  Result<bool> stopped = run_graph_passes(graph, context, *passes, options.common.passes);
  if (!stopped) return std::move(stopped).diagnostic();
  if (!options.common.dot.empty())
    if (Status s = write_file(options.common.dot, graph_to_dot(graph)); !s) return s;
  std::string text = print_graph(graph, options.print);
  if (!options.output.empty()) return write_file(options.output, text);
  fmt::print("{}", text);
  return Done{};
}

ExitCode opt(const OptArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<Graph> graph = read_graph(options.common, diagnostics);
  Status done = graph ? optimize(*graph, options, diagnostics) : Status(Done{});
  ExitCode code = terminal.report(diagnostics);
  return done ? code : terminal.fail(done.diagnostic());
}

VerbAction add_opt(CLI::App& sub) {
  auto options = std::make_shared<OptArguments>();
  add_common_options(sub, options->common);
  sub.add_option("--passes", options->passes, "Passes to run, in this order; 'all' or 'none'")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("PASS,...");
  sub.add_option("-o,--output", options->output, "Write the IR here instead of to stdout")->type_name("FILE");
  sub.add_flag("--elide", options->print.elide_constants, "Leave out the elements of larger constants");
  sub.add_flag("--onnx", options->print.onnx_tensors, "Show which ONNX tensor a value holds");
  return [options](const Terminal& terminal) { return opt(*options, terminal); };
}

}  // namespace

extern const Verb opt_verb;
const Verb opt_verb = {"opt", "Run graph passes and print the IR",
                       "kiln opt kws.onnx --elide                                  # after all graph passes\n"
                       "kiln opt kws.onnx --elide --passes none                    # as imported\n"
                       "kiln opt graph.txt --passes fold-batchnorm,dead-code       # IR text in, IR text out\n"
                       "kiln opt kws.onnx --elide --print-after all --dot kws.dot  # every step, and a drawing",
                       add_opt};

}  // namespace kiln
