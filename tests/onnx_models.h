// SPDX-License-Identifier: Apache-2.0
// ONNX models for tests: written in ONNX's text syntax, changed through protobuf, imported from a
// file of their own.
#pragma once

#include <fmt/format.h>
#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/support/files.h"

namespace kiln::test {

inline onnx::ModelProto parse_onnx(const std::string& text) {
  onnx::ModelProto model;
  onnx::OnnxParser parser(text.c_str());
  auto status = parser.Parse(model);
  INFO(status.ErrorMessage());
  REQUIRE(status.IsOK());
  return model;
}

/// A model of one graph at opset 13: "agraph (float[1,4] x) => (float[1,4] y) { y = Relu(x) }".
inline onnx::ModelProto graph_model(const std::string& graph, int opset = 13) {
  return parse_onnx("<ir_version: 8, opset_import: [\"\" : " + std::to_string(opset) + "]>\n" +
                    graph);
}

struct Imported {
  std::optional<ImportedModel> model;
  Diagnostics diagnostics;

  [[nodiscard]] const Graph& graph() const { return model->graph; }
  /// All messages, one a line, for CHECKs.
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const Diagnostic& d : diagnostics.all()) out += to_string(d) + "\n";
    return out;
  }
  [[nodiscard]] std::vector<DiagId> errors() const {
    std::vector<DiagId> ids;
    for (const Diagnostic& d : diagnostics.all())
      if (d.severity == Severity::error) ids.push_back(d.id);
    return ids;
  }
};

inline Imported import_file(const std::filesystem::path& path, const ImportOptions& options = {}) {
  Imported result;
  result.model = import_model(path, options, result.diagnostics);
  CHECK(result.model.has_value() != result.diagnostics.has_errors());
  return result;
}

inline Imported import_bytes(const std::string& bytes, const ImportOptions& options = {}) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  std::filesystem::path path = folder->path() / "model.onnx";
  REQUIRE(write_file(path, bytes).ok());
  return import_file(path, options);
}

inline Imported import_proto(const onnx::ModelProto& model, const ImportOptions& options = {}) {
  return import_bytes(model.SerializeAsString(), options);
}

inline Imported import_graph(const std::string& graph, const ImportOptions& options = {},
                             int opset = 13) {
  return import_proto(graph_model(graph, opset), options);
}

/// The operators of the graph, in order.
inline std::string ops_of(const Graph& graph) {
  std::string text;
  for (NodeId id : graph.order())
    text += fmt::format("{}{}", text.empty() ? "" : " ", graph.node(id).op->name);
  return text;
}

}  // namespace kiln::test
