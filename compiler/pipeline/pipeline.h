// SPDX-License-Identifier: Apache-2.0
// ONNX file -> Program: the whole compiler up to emission.
#pragma once

#include <optional>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/pipeline/compile_options.h"
#include "compiler/program/program.h"
#include "compiler/program/target.h"

namespace kiln {

/// What a compilation produced.
struct Compiled {
  ModelInfo info;
  Target target;
  Graph imported;  ///< as the model says it, before any pass
  Graph graph;     ///< after the graph passes
  Program program;
  std::vector<StatePair> states = {};  ///< the states of the program, by the names of the model
};

/// Imports, optimises, lowers and plans. Nothing when `diagnostics` has errors. IR listings and timings asked for by the options
/// go to stdout.
std::optional<Compiled> compile_model(const CompileOptions& options, Diagnostics& diagnostics);

/// From the point where the Graph exists; for graphs that are not ONNX files.
std::optional<Compiled> compile_graph(ImportedModel model, const CompileOptions& options, Diagnostics& diagnostics);

}  // namespace kiln
