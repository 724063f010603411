// SPDX-License-Identifier: Apache-2.0
// Whole-file reading, and writing that either happens completely or leaves nothing behind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// The bytes of a regular file (or of a pipe). Errors: cannot_read, limit_exceeded above `max_bytes`.
Result<std::string> read_file(const std::filesystem::path& path, uint64_t max_bytes = uint64_t{4} << 30);

/// Writes through a temporary file in the same folder and a rename. Errors: cannot_write.
Status write_file(const std::filesystem::path& path, std::string_view bytes);

/// A file of a folder that is written as a whole; `path` is relative to the folder and uses '/'.
struct OutputFile {
  std::string path;
  std::string bytes;
};

/// Puts `files` into folder `directory`, creating it and its parents. All files are written to a temporary folder beside it
/// first. If `directory` exists, the files listed replace those there and all others stay. Errors: cannot_write; then
/// nothing of the run is left behind. Files whose bytes do not change keep their modification time.
Status write_folder(const std::filesystem::path& directory, const std::vector<OutputFile>& files);

/// A folder below the system's temporary folder, deleted with the object.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace kiln
