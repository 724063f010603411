// SPDX-License-Identifier: Apache-2.0
// Options that several verbs share.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/driver/bundle_runner.h"
#include "compiler/frontend/import.h"
#include "passes/pass_runner.h"

namespace CLI {
class App;
}

namespace kiln {

struct CommonOptions {
  std::filesystem::path model;
  ImportOptions import;
  bool integer_io = false;  ///< --io-dtype int8: quantized inputs and outputs are handed over as integers
  std::string name;  ///< --name: prefix of the API; empty: made from the file name
  std::string target = "host";
  std::string cpu;                   ///< --cpu or --march; empty: the target's default
  Goal goal = Goal::speed;           ///< --optimize
  GraphPassOptions passes;           ///< how the passes are run and what they show
  std::filesystem::path dot;         ///< --dot: the graph after the graph passes; empty: not written
  std::vector<std::string> explain;  ///< --explain: "kernels"
  bool reference_kernels = false;    ///< only `ref` rows of the kernel catalogue
  bool wide_weights = false;         ///< --wide-weights: those of 16-bit models are stored as f32
};

/// MODEL, --dim, --input-shape.
void add_model_options(CLI::App& app, CommonOptions& options);
/// --state.
void add_state_option(CLI::App& app, CommonOptions& options);
/// --target, --cpu, --march, --optimize, --wide-weights, --name.
void add_target_options(CLI::App& app, CommonOptions& options);
/// --disable-pass, --print-after, --stop-after, --time-passes, --dot, --dump-dir, --explain.
void add_pass_options(CLI::App& app, CommonOptions& options);
/// --compiler, --cflags: of the verbs that build what they emit.
void add_build_options(CLI::App& app, BuildOptions& options);
/// Model, states, target and passes.
void add_common_options(CLI::App& app, CommonOptions& options);

/// "1,3,96,96" or "[1,3,96,96]". Errors: bad_shape_option.
Result<Shape> parse_shape(const std::string& text);

/// Splits "name=value" at the last '=' (ONNX names may contain one). Errors: bad_usage, naming `option`.
Result<std::pair<std::string, std::string>> split_assignment(const std::string& option, const std::string& text);

}  // namespace kiln
