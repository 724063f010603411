// SPDX-License-Identifier: Apache-2.0
// kiln inspect: what a model becomes, layer by layer, without writing anything.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/pipeline.h"
#include "compiler/driver/report.h"
#include "compiler/support/files.h"

namespace kiln {
namespace {

struct Options {
  CommonOptions common;
  std::string json;
};

ExitCode run(const Options& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options.common, diagnostics);
  ExitCode code = terminal.report(diagnostics);
  if (!compiled) return code;
  if (options.json != "-") fmt::print("{}\n{}", summary_text(*compiled), layer_table(*compiled, terminal.color_out));
  if (options.json.empty()) return ExitCode::ok;
  std::string text = report_json(*compiled);
  if (options.json == "-") fmt::print("{}", text);
  else if (Status s = write_file(options.json, text); !s) return terminal.fail(s.diagnostic());
  return ExitCode::ok;
}

VerbAction add(CLI::App& sub) {
  auto options = std::make_shared<Options>();
  add_common_options(sub, options->common);
  sub.add_option("--json", options->json, "Write the report as JSON; '-' for stdout")->type_name("FILE");
  return [options](const Terminal& terminal) { return run(*options, terminal); };
}

}  // namespace

extern const Verb inspect_verb;
const Verb inspect_verb = {"inspect", "Show layers, memory and MACs of a model",
                           "kiln inspect kws.onnx                    # the layer table; the peak of RAM is marked\n"
                           "kiln inspect kws.onnx --json - | jq .macs",
                           add};

}  // namespace kiln
