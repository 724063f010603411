// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kiln {

/// Facts about the model file, for the manifest and reports.
struct ModelInfo {
  std::string file_name;  ///< without folders, so that a bundle does not depend on where the model lies
  std::string sha256;     ///< of the .onnx file
  int64_t opset = 0;      ///< of the default domain
  std::string producer;   ///< producer_name and version, may be empty
  std::vector<std::filesystem::path> read_files;  ///< the model and its external data, for dependency files
};

}  // namespace kiln
