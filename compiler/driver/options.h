// SPDX-License-Identifier: Apache-2.0
// Options that several verbs share.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/ir/shape.h"
#include "compiler/pipeline/compile_options.h"
#include "compiler/runner/harness_image.h"

namespace CLI {
class App;
}

namespace kiln {

/// MODEL, --dim, --input-shape, --freeze.
void add_model_options(CLI::App& app, CompileOptions& options);
/// --state.
void add_state_option(CLI::App& app, CompileOptions& options);
/// --target, --cpu, --march, --optimize, --wide-weights, --name.
void add_target_options(CLI::App& app, CompileOptions& options);
/// --disable-pass, --print-after, --stop-after, --time-passes, --dot, --dump-dir, --explain.
void add_pass_options(CLI::App& app, CompileOptions& options);
/// --compiler, --cflags: of the verbs that build what they emit.
void add_build_options(CLI::App& app, BuildOptions& options);
/// Model, states, target and passes.
void add_common_options(CLI::App& app, CompileOptions& options);

/// "1,3,96,96" or "[1,3,96,96]". Errors: bad_shape_option.
Result<Shape> parse_shape(const std::string& text);

/// Splits "name=value" at the last '=' (ONNX names may contain one). Errors: bad_usage, naming `option`.
Result<std::pair<std::string, std::string>> split_assignment(const std::string& option, const std::string& text);

}  // namespace kiln
