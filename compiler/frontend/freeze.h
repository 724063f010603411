// SPDX-License-Identifier: Apache-2.0
// Inputs of a model that the user binds to constants.
#pragma once

#include <onnx/onnx_pb.h>

#include <vector>

#include "compiler/frontend/import.h"

namespace kiln {

/// The values of `options.frozen` with the types and shapes of the inputs of `graph`. A text is a .npy or .pb file, or numbers separated by
/// commas: one for each element, or one for all; "true" and "false" are 1 and 0. Errors: unknown_input_name, bad_input_data, bad_state_option
/// for an input that is state as well, unsupported_type, and those of reading a file.
Result<std::vector<FrozenInput>> read_frozen(const ImportOptions& options, const onnx::GraphProto& graph);

/// Makes initializers of these inputs.
void freeze(const std::vector<FrozenInput>& frozen, onnx::GraphProto& graph);

}  // namespace kiln
