// SPDX-License-Identifier: Apache-2.0
// Weights that a model keeps in files beside it.
//
// A model file may come from anywhere, and the location it names is under its author's control. So
// only regular files beneath the model's folder are opened: no absolute path, no "..", no symbolic
// link on the way (the kernel checks that while it opens, by openat2), no second hard link. Offsets
// and lengths must lie within the file. libonnx's own loader is not used; its history is
// CVE-2022-25882, CVE-2024-27318, CVE-2026-27489 and others. The optional key "checksum" is not
// verified, as in ONNX Runtime.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <set>
#include <string>

#include "compiler/support/diagnostics.h"

namespace kiln {

class ExternalData {
 public:
  /// `folder`: that of the model.
  explicit ExternalData(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// The bytes that `entries` (TensorProto.external_data) point to; `bytes` of them. Errors:
  /// bad_external_data, limit_exceeded.
  [[nodiscard]] Result<std::string> read(
      const google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& entries,
      uint64_t bytes) const;

  /// The files that were read so far, for dependency files.
  [[nodiscard]] const std::set<std::filesystem::path>& files() const { return files_; }

 private:
  std::filesystem::path folder_;
  mutable std::set<std::filesystem::path> files_;  // a log; what read() returns does not depend on it
};

}  // namespace kiln
