// SPDX-License-Identifier: Apache-2.0
// Whole random models with inputs.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln::test {

struct RandomGraph {
  std::string name;   ///< "float-17"; the seed alone makes the graph
  std::string model;  ///< bytes of the ModelProto
  std::vector<std::vector<Tensor>> inputs;  ///< [set][input]
  std::vector<std::string> parts;           ///< operators and patterns it was made of
  bool quantized = false;
};

/// What a run of the generator has made, and what was rejected.
struct Tally {
  std::map<std::string, int> operators, patterns;         ///< how often each is in a graph
  std::map<std::string, std::map<std::string, int>> refused, invalid;  ///< by operator and message
};

RandomGraph random_float_graph(uint32_t seed, Tally& tally);
RandomGraph random_quantized_graph(uint32_t seed, Tally& tally);

/// Writes <folder>/<name>.onnx, and each input set as a folder <name>-<set> of .npy files, as `kiln diff --inputs` takes them. Errors: cannot_write.
Status save_graph(const RandomGraph& graph, const std::filesystem::path& folder);

}  // namespace kiln::test
