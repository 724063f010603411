// SPDX-License-Identifier: Apache-2.0
// Quantization as `quantize` and `compile --quantize` do it: options, calibration data, progress.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "compiler/data/dataset.h"
#include "compiler/driver/cli.h"
#include "compiler/quantize/quantizer.h"

namespace CLI {
class App;
}

namespace kiln {

struct CalibrationOptions {
  DataOptions data;
  size_t samples = 256;             ///< at most so many, spread evenly over the data
  std::optional<double> max_drop;   ///< points of accuracy, on `goal_data`
  std::filesystem::path goal_data;  ///< empty: the calibration data
  QuantizeOptions quantize;
};

/// --calibration, --samples, --method, --percentile, --per-tensor, --equalize, --no-bias-correction, --adaround,
/// --activations, --keep-float, --max-drop with --data and --labels, and those of reading data. --calibration is not required.
void add_calibration_options(CLI::App& app, CalibrationOptions& options);

/// Reads the model and the calibration data, and quantizes. Nothing when there were errors, which are in `diagnostics`.
std::optional<QuantizedModel> quantize_file(const std::filesystem::path& model, const ImportOptions& import,
                                            const CalibrationOptions& options, const Terminal& terminal, Diagnostics& diagnostics);

}  // namespace kiln
