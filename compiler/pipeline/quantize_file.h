// SPDX-License-Identifier: Apache-2.0
// Quantization of a model file by calibration data, and the compilation of what comes out.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>

#include "compiler/data/dataset.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/quantize/quantizer.h"
#include "compiler/support/terminal.h"

namespace kiln {

struct CalibrationOptions {
  DataOptions data;
  size_t samples = 256;             ///< at most so many, spread evenly over the data
  std::optional<double> max_drop;   ///< points of accuracy, on `goal_data`
  std::filesystem::path goal_data;  ///< empty: the calibration data
  QuantizeOptions quantize;
};

/// Reads the model and the calibration data, and quantizes. Nothing when there were errors, which are in `diagnostics`.
std::optional<QuantizedModel> quantize_file(const std::filesystem::path& model, const ImportOptions& import,
                                            const CalibrationOptions& options, const Terminal& terminal, Diagnostics& diagnostics);

/// Quantizes `options.model` in memory and compiles the result; the bundle names the float model as its source.
std::optional<Compiled> compile_quantized(const CompileOptions& options, const CalibrationOptions& calibration, const Terminal& terminal,
                                          Diagnostics& diagnostics);

}  // namespace kiln
