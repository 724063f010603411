// SPDX-License-Identifier: Apache-2.0
// Options about calibration and evaluation data that several verbs share.
#pragma once

#include <string>

#include "compiler/data/dataset.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kiln {

/// The path, under the name `path_option` ("--data"), and --layout, --mean, --std, --scale, --resize, --sample-rate, --skip, --limit.
/// Returns the path's option.
CLI::Option* add_data_options(CLI::App& app, DataOptions& options, const std::string& path_option);
/// --labels, which is returned.
CLI::Option* add_labels_option(CLI::App& app, DataOptions& options);

}  // namespace kiln
