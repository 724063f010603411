// SPDX-License-Identifier: Apache-2.0
// What `compile` and `inspect` say about a compiled model: one set of facts, as text and as JSON.
#pragma once

#include <string>
#include <vector>

#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/footprint.h"

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

// `footprint` is null where the object code has not been measured.

/// A few aligned lines: layers, RAM, flash, stack, inputs and outputs with their functions.
std::string summary_text(const Compiled& compiled, const Footprint* footprint);
/// The layer table; `color` marks the peak.
std::string layer_table(const Compiled& compiled, const Footprint* footprint, bool color);
/// schema_version 1; keys as in manifest.json, live_bytes per step, and the footprint.
std::string report_json(const Compiled& compiled, const Footprint* footprint);

/// "vww_run 24 > layer3_pointwise 80 > nn::dsp::add_tile 44": functions without the bundle's namespace, and their frames in bytes.
std::string stack_chain_text(const StackBound& stack, const std::string& bundle);

}  // namespace kiln
