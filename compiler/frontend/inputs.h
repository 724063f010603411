// SPDX-License-Identifier: Apache-2.0
// The model's inputs with every dimension bound to a number.
#pragma once

#include <onnx/onnx_pb.h>

#include <string_view>
#include <utility>
#include <vector>

#include "compiler/frontend/import.h"

namespace kiln {

/// The names are strings of the model.
using ModelInputs = std::vector<std::pair<std::string_view, TensorType>>;

/// Inputs that are initializers as well are left out: they are constants. Everything wrong is
/// reported in one run: unbound_dimension, bad_dimensions, bad_shape_option, unknown_input_name,
/// unsupported_type, duplicate_tensor; note batch_assumed.
ModelInputs bind_inputs(const onnx::GraphProto& graph, const ImportOptions& options,
                        Diagnostics& diagnostics);

}  // namespace kiln
