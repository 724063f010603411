// SPDX-License-Identifier: Apache-2.0
// Import of ONNX pools.
#pragma once

#include "compiler/ops/spatial.h"

namespace kiln {

/// ONNX MaxPool and AveragePool in one to three dimensions.
ImportResult import_max_pool(const OnnxNode& node, GraphBuilder& b);
ImportResult import_average_pool(const OnnxNode& node, GraphBuilder& b);

}  // namespace kiln
