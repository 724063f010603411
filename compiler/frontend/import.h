// SPDX-License-Identifier: Apache-2.0
// ONNX file -> Graph. Every tensor of the Graph has a static shape: dimensions are bound first, and
// whatever of the model computes shapes folds away while it is imported.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "compiler/ir/graph.h"
#include "compiler/ir/model_info.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct ImportOptions {
  std::map<std::string, int64_t> dims;        ///< --dim N=1: values of named dimensions
  std::map<std::string, Shape> input_shapes;  ///< --input-shape x=1,3,96,96
  std::vector<StatePair> states = {};         ///< --state out=in
  std::map<std::string, std::string> frozen = {};  ///< --freeze sr=16000, or a file; what read_frozen takes
};

struct ImportedModel {
  Graph graph;
  ModelInfo info;
  std::vector<StatePair> states = {};  ///< with the values that the model gives to the inputs
};

/// Nothing when `diagnostics` has errors; all unsupported nodes are listed in one run. Unnamed or
/// batch-like leading dimensions become 1 with a note; any other unbound dimension is an error that
/// names the flag to add.
std::optional<ImportedModel> import_model(const std::filesystem::path& path,
                                          const ImportOptions& options, Diagnostics& diagnostics);

/// The same for a model that is in memory; `path` names it and is where its external data are looked for.
std::optional<ImportedModel> import_model_bytes(const std::string& bytes, const std::filesystem::path& path,
                                                const ImportOptions& options, Diagnostics& diagnostics);

}  // namespace kiln
