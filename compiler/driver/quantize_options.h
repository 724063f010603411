// SPDX-License-Identifier: Apache-2.0
// Options of quantization that `quantize` and `compile --quantize` share.
#pragma once

#include "compiler/pipeline/quantize_file.h"

namespace CLI {
class App;
}

namespace kiln {

/// --calibration, --samples, --method, --percentile, --per-tensor, --equalize, --no-bias-correction, --adaround,
/// --activations, --keep-float, --max-drop with --data and --labels, and those of reading data. --calibration is not required.
void add_calibration_options(CLI::App& app, CalibrationOptions& options);

}  // namespace kiln
