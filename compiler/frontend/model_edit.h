// SPDX-License-Identifier: Apache-2.0
// The model file itself, changed for the needs of the reference run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/frontend/import.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// The values of the inputs that `options` freeze (see freeze.h). Errors: those of reading a model, and of values that do not fit.
Result<std::vector<FrozenInput>> frozen_inputs(const std::filesystem::path& path, const ImportOptions& options);

/// What the reference has to see otherwise than the file says.
struct ModelEdits {
  std::vector<StatePair> states = {};    ///< their initializers are taken away, so that they are inputs like others
  std::vector<FrozenInput> frozen = {};  ///< become initializers
};

/// The model as one self-contained serialized ModelProto: external data is moved into it.
Result<std::string> serialized_model(const std::filesystem::path& path, const ModelEdits& edits = {});

/// The same with the tensors `names` of the main graph as additional outputs, after the model's own and in the order of `names`. Names that
/// are outputs already are skipped. Errors: those of reading a model, missing_tensor for a name that no node makes.
Result<std::string> model_with_outputs(const std::filesystem::path& path, const std::vector<std::string>& names,
                                       const ModelEdits& edits = {});

}  // namespace kiln
