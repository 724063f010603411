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

/// An input of a model that is bound to a constant.
struct FrozenInput {
  std::string name;
  size_t place;  ///< among the inputs of the model that are no initializers
  Tensor value;
  std::filesystem::path file = {};  ///< that the value is from; may be empty
};

/// Facts about the model file, for the manifest and reports.
struct ModelInfo {
  std::string file_name;  ///< without folders, so that a bundle does not depend on where the model lies
  std::string sha256;     ///< of the .onnx file
  int64_t opset = 0;      ///< of the default domain
  std::string producer;   ///< producer_name and version, may be empty
  std::vector<std::filesystem::path> read_files;  ///< the model, its external data and values of frozen inputs, for dependency files
  std::vector<FrozenInput> frozen = {};
};

}  // namespace kiln
