// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/tensor.h"

namespace kiln {

/// An output of a model that is one of its inputs at the next run. Both by their ONNX names.
struct StatePair {
  std::string output, input;
  std::optional<Tensor> initial = {};  ///< the input's value before the first run; none: zeros
};

/// Facts about the model file, for the manifest and reports.
struct ModelInfo {
  std::string file_name;  ///< without folders, so that a bundle does not depend on where the model lies
  std::string sha256;     ///< of the .onnx file
  int64_t opset = 0;      ///< of the default domain
  std::string producer;   ///< producer_name and version, may be empty
  std::vector<std::filesystem::path> read_files;  ///< the model and its external data, for dependency files
};

}  // namespace kiln
