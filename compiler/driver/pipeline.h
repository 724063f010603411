// SPDX-License-Identifier: Apache-2.0
// ONNX file -> Program: the whole compiler up to emission.
#pragma once

#include <optional>
#include <vector>

#include "compiler/driver/options.h"
#include "compiler/emit/bundle.h"
#include "compiler/frontend/import.h"
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
std::optional<Compiled> compile_model(const CommonOptions& options, Diagnostics& diagnostics);

/// From the point where the Graph exists; for graphs that are not ONNX files.
std::optional<Compiled> compile_graph(ImportedModel model, const CommonOptions& options, Diagnostics& diagnostics);

/// `count` test vectors: reproducible random inputs and what the reference evaluation makes of them: of the imported graph, or of
/// the final one where the model is quantized. Those of a model that keeps state are the steps of one sequence. Errors: limit_exceeded, and
/// those of operators without a reference evaluation.
Result<std::vector<TestVector>> make_test_vectors(const Compiled& compiled, int count);

}  // namespace kiln
