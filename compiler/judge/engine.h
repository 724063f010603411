// SPDX-License-Identifier: Apache-2.0
// What runs a model on samples: the emitted code, or ONNX Runtime.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "compiler/data/dataset.h"
#include "compiler/pipeline/compile_options.h"
#include "compiler/support/terminal.h"

namespace kiln {

struct ModelOutput {
  std::string name;
  TensorType type;  ///< quant is set where it is known
};

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual const std::vector<ModelInput>& inputs() const = 0;
  [[nodiscard]] virtual const std::vector<ModelOutput>& outputs() const = 0;
  /// [sample][output] for [sample][input]. Errors: tool_missing, tool_failed, onnxruntime_failed.
  virtual Result<std::vector<std::vector<Tensor>>> run(const std::vector<std::vector<Tensor>>& samples) = 0;
};

/// The emitted code of `options.model`, built when it is first run. Nothing when the model cannot be compiled; `diagnostics` says why.
std::unique_ptr<Engine> make_emitted_engine(const CompileOptions& options, Diagnostics& diagnostics, const Terminal& terminal);

/// ONNX Runtime with the model of `options` and what they freeze of it. Inputs and the types of outputs are those of `like`, which compiles the same model (inputs that it does not
/// have are fed with zeros); where it is null they are the model's own, with open dimensions as 1. `optimize` lets it fuse and
/// reorder. Errors: onnxruntime_missing, onnxruntime_failed, and those of reading a model.
Result<std::unique_ptr<Engine>> make_ort_engine(const CompileOptions& options, const Engine* like, bool optimize);

}  // namespace kiln
