// SPDX-License-Identifier: Apache-2.0
// The model file itself, changed for the needs of the reference run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/ir/model_info.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

/// The model as one self-contained serialized ModelProto: external data is moved into it.
Result<std::string> serialized_model(const std::filesystem::path& path);

/// The same without the initializers of inputs that are state, so that these are inputs like others, and with the tensors `names` of the main graph as additional outputs, after the model's own
/// and in the order of `names`. Names that are outputs already are skipped. Errors: those of
/// reading a model, missing_tensor for a name that no node makes.
Result<std::string> model_with_outputs(const std::filesystem::path& path,
                                       const std::vector<std::string>& names, const std::vector<StatePair>& states = {});

}  // namespace kiln
