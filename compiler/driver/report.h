// SPDX-License-Identifier: Apache-2.0
// What `compile` and `inspect` say about a compiled model: one set of facts, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "compiler/driver/pipeline.h"

namespace kiln {

/// One line of the layer table.
struct LayerRow {
  size_t index;  ///< from 0
  std::string label, kernel;
  std::vector<std::string> onnx_nodes;
  Shape output_shape;
  int64_t macs, weights_bytes;
  int64_t live_bytes;  ///< sum of the buffers alive while the layer runs
  bool peak;           ///< live_bytes is the largest of all
};
std::vector<LayerRow> layer_rows(const Program& program);

/// A few aligned lines: layers, RAM, weights, inputs and outputs with their functions.
std::string summary_text(const Compiled& compiled);
/// The layer table; `color` marks the peak.
std::string layer_table(const Compiled& compiled, bool color);
/// schema_version 1; keys as in manifest.json plus live_bytes per step.
std::string report_json(const Compiled& compiled);

}  // namespace kiln
