// SPDX-License-Identifier: Apache-2.0
// An ONNX model as plain structs that can be changed and written back, for what rewrites models instead of compiling them.
//
// Only the main graph is shown. What the structs do not show (subgraphs within attributes, local functions, metadata) stays in the
// protobuf message behind it and is written again as it was.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/ir/attr.h"
#include "compiler/ir/model_info.h"
#include "compiler/support/diagnostics.h"

namespace onnx {
class ModelProto;
}

namespace kiln {

struct OnnxGraphNode {
  std::string name;  ///< unique in the graph, never empty
  std::string domain, type;
  Attrs attrs;                               ///< without subgraphs
  std::vector<std::string> inputs, outputs;  ///< "" for omitted ones
  int source = -1;                           ///< the node of `OnnxGraph::model` that it was; -1 for new nodes

  /// Operator `t` of the default domain.
  [[nodiscard]] bool is(std::string_view t) const { return domain.empty() && type == t; }
};

struct OnnxGraph {
  std::vector<std::string> inputs;  ///< without those that are initializers
  std::vector<std::string> outputs;
  std::vector<OnnxGraphNode> nodes;            ///< those that outputs depend on, each after those it depends on
  std::map<std::string, Tensor> initializers;  ///< also what nodes make of initializers alone, Constant nodes first
  std::map<std::string, int64_t> opsets;       ///< by domain; "" is ai.onnx
  std::shared_ptr<const onnx::ModelProto> model;

  [[nodiscard]] const Tensor* initializer(const std::string& name) const;
  /// `wish`, or `wish` with a number, so that no tensor or node has that name.
  [[nodiscard]] std::string unique_name(const std::string& wish) const;
};

/// Reads a model, with some inputs as initializers; data in files beside it are taken in. Errors: those of reading a model.
Result<OnnxGraph> read_onnx_graph(const std::filesystem::path& path, const std::vector<FrozenInput>& frozen = {});

/// The bytes of the model, the same for the same graph. Names keep their order, initializers that nothing reads are left out, types of
/// intermediate tensors (value_info) as well. Errors: cyclic_graph, duplicate_tensor, limit_exceeded.
Result<std::string> onnx_graph_bytes(const OnnxGraph& graph);

}  // namespace kiln
