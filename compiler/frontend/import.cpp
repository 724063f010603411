// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/import.h"

#include <fmt/format.h>

#include "compiler/frontend/freeze.h"
#include "compiler/frontend/importer.h"
#include "compiler/ir/limits.h"
#include "compiler/frontend/states.h"
#include "compiler/ir/folding.h"
#include "compiler/support/files.h"
#include "compiler/support/hash.h"

namespace kiln {
namespace {

std::string plain_or_empty(const std::string& text) {
  return is_plain_text(text) ? text : std::string();
}

ModelInfo model_info(const onnx::ModelProto& model, const Opsets& opsets,
                     const std::filesystem::path& path, const std::string& bytes) {
  ModelInfo info;
  info.file_name = path.filename().string();
  info.sha256 = sha256(bytes);
  if (auto it = opsets.find(""); it != opsets.end()) info.opset = it->second;
  info.producer = plain_or_empty(model.producer_name());
  std::string version = plain_or_empty(model.producer_version());
  if (!info.producer.empty() && !version.empty()) info.producer += " " + version;
  return info;
}

Result<ImportedModel> import_bytes(const std::string& bytes, const std::filesystem::path& path,
                                   const ImportOptions& options, Diagnostics& found) {
  return guarded([&]() -> Result<ImportedModel> {
    Result<onnx::ModelProto> model = parse_model(bytes);
    if (!model) return std::move(model).diagnostic();
    Result<Opsets> opsets = read_opsets(model->opset_import());
    if (!opsets) return std::move(opsets).diagnostic();
    ImportedModel imported;
    imported.info = model_info(*model, *opsets, path, bytes);
    if (!model->graph().name().empty() && is_plain_text(model->graph().name()))
      imported.graph.name = model->graph().name();
    Result<std::vector<FrozenInput>> frozen = read_frozen(options, model->graph());
    if (!frozen) return std::move(frozen).diagnostic();
    freeze(*frozen, *model->mutable_graph());
    const std::vector<onnx::TensorProto> initial = take_initial_values(options.states, *model->mutable_graph());
    ModelInputs inputs = bind_inputs(model->graph(), options, found);
    // Without the shapes of all inputs nothing can be said about the nodes.
    if (found.has_errors()) return imported;
    ExternalData external(path.parent_path());
    const FoldingBudget budget({limits::kFoldedBytes, limits::kFoldedWork});
    Importer(*model, std::move(*opsets), external, imported.graph, found).run(inputs);
    if (!found.has_errors()) imported.states = bind_states(options.states, initial, external, imported.graph, found);
    imported.info.read_files = {path};
    imported.info.read_files.insert(imported.info.read_files.end(), external.files().begin(), external.files().end());
    for (const FrozenInput& input : *frozen)
      if (!input.file.empty()) imported.info.read_files.push_back(input.file);
    imported.info.frozen = *std::move(frozen);
    return imported;
  });
}

}  // namespace

std::optional<ImportedModel> import_model_bytes(const std::string& bytes, const std::filesystem::path& path,
                                                const ImportOptions& options, Diagnostics& diagnostics) {
  Diagnostics found;
  std::optional<ImportedModel> imported;
  if (Result<ImportedModel> result = import_bytes(bytes, path, options, found); result) {
    imported = std::move(*result);
  } else {
    found.report(std::move(result).diagnostic());
  }
  for (const Diagnostic& d : found.all()) diagnostics.report(Diagnostic(d).in_file(path.string()));
  if (found.has_errors()) return std::nullopt;
  return imported;
}

std::optional<ImportedModel> import_model(const std::filesystem::path& path,
                                          const ImportOptions& options, Diagnostics& diagnostics) {
  if (Result<std::string> bytes = read_file(path, limits::kModelBytes); bytes) {
    return import_model_bytes(*bytes, path, options, diagnostics);
  } else {
    diagnostics.report(std::move(bytes).diagnostic().in_file(path.string()));
    return std::nullopt;
  }
}

}  // namespace kiln
