// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/files.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

namespace kiln {
namespace fs = std::filesystem;
namespace {

struct Closer {
  void operator()(FILE* f) const { std::fclose(f); }
};
using File = std::unique_ptr<FILE, Closer>;

Diagnostic cannot_write(const fs::path& path, const std::string& why) {
  return error(DiagId::cannot_write, fmt::format("cannot write: {}.", why),
               "check that the folder exists, may be written, and has room.")
      .in_file(path.string());
}

Status write_plain(const fs::path& path, std::string_view bytes) {
  FILE* raw = std::fopen(path.c_str(), "wb");
  if (!raw) return cannot_write(path, std::strerror(errno));
  bool good = std::fwrite(bytes.data(), 1, bytes.size(), raw) == bytes.size();
  good = std::fflush(raw) == 0 && good;
  int saved = errno;
  good = std::fclose(raw) == 0 && good;
  if (!good) return cannot_write(path, std::strerror(saved ? saved : EIO));
  return Done{};
}

bool has_content(const fs::path& path, std::string_view bytes) {
  std::error_code ec;
  if (!fs::is_regular_file(path, ec) || fs::file_size(path, ec) != bytes.size()) return false;
  Result<std::string> old = read_file(path);
  return old && *old == bytes;
}

}  // namespace

Result<std::string> read_file(const fs::path& path, uint64_t max_bytes) {
  auto fail = [&](const std::string& why, const char* hint) {
    return error(DiagId::cannot_read, fmt::format("cannot read: {}.", why), hint).in_file(path.string());
  };
  std::error_code ec;
  fs::file_status status = fs::status(path, ec);
  if (status.type() == fs::file_type::not_found) return fail("no such file", "check the path.");
  if (status.type() == fs::file_type::directory) return fail("it is a directory", "name a file.");
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) return fail(std::strerror(errno), "check the file's permissions.");
  std::string bytes;
  char chunk[1 << 16];
  while (size_t n = std::fread(chunk, 1, sizeof chunk, file.get())) {
    bytes.append(chunk, n);
    if (bytes.size() > max_bytes)
      return error(DiagId::limit_exceeded, fmt::format("the file is larger than {} bytes.", max_bytes)).in_file(path.string());
  }
  if (std::ferror(file.get())) return fail(std::strerror(errno), "check the disk.");
  return bytes;
}

Status write_file(const fs::path& path, std::string_view bytes) {
  std::error_code ec;
  if (fs::exists(path, ec) && !fs::is_regular_file(path, ec)) return write_plain(path, bytes);  // /dev/stdout, a pipe
  fs::path temporary = path;
  temporary += fmt::format(".{}.tmp", getpid());
  Status written = write_plain(temporary, bytes);
  if (written) {
    fs::rename(temporary, path, ec);
    if (ec) written = cannot_write(path, ec.message());
  }
  if (!written) {
    fs::remove(temporary, ec);
    return std::move(written).diagnostic().in_file(path.string());
  }
  return written;
}

Status write_folder(const fs::path& directory, const std::vector<OutputFile>& files) {
  std::error_code ec;
  fs::path target = fs::weakly_canonical(fs::absolute(directory), ec);
  if (ec) return cannot_write(directory, ec.message());
  if (fs::exists(target, ec) && !fs::is_directory(target, ec)) return cannot_write(directory, "it exists and is not a directory");
  // Remember the first missing parent, so that a failed run can remove what it created.
  fs::path created;
  for (fs::path p = target.parent_path(); !p.empty() && !fs::exists(p, ec); p = p.parent_path()) created = p;
  fs::create_directories(target.parent_path(), ec);
  if (ec) return cannot_write(directory, ec.message());

  fs::path staging = target;
  staging += fmt::format(".{}.tmp", getpid());
  auto undo = [&](Diagnostic why) -> Status {
    std::error_code ignored;
    fs::remove_all(staging, ignored);
    if (!created.empty()) fs::remove_all(created, ignored);
    return std::move(why).in_file(directory.string());
  };
  for (const OutputFile& file : files) {
    fs::path path = staging / file.path;
    fs::create_directories(path.parent_path(), ec);
    if (ec) return undo(cannot_write(directory, ec.message()));
    if (Status s = write_plain(path, file.bytes); !s) return undo(std::move(s).diagnostic());
  }
  if (!fs::exists(target, ec)) {
    fs::rename(staging, target, ec);
    if (ec) return undo(cannot_write(directory, ec.message()));
    return Done{};
  }
  for (const OutputFile& file : files) {
    fs::path path = target / file.path;
    if (has_content(path, file.bytes)) continue;
    fs::create_directories(path.parent_path(), ec);
    if (!ec) fs::rename(staging / file.path, path, ec);
    if (ec) return undo(cannot_write(path, ec.message()));
  }
  fs::remove_all(staging, ec);
  return Done{};
}

Result<TemporaryFolder> TemporaryFolder::create() {
  std::error_code ec;
  fs::path base = fs::temp_directory_path(ec);
  if (ec) base = "/tmp";
  std::string name = (base / "kiln-XXXXXX").string();
  if (!mkdtemp(name.data())) return cannot_write(base, std::strerror(errno));
  return TemporaryFolder(name);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ec;
  if (!path_.empty()) fs::remove_all(path_, ec);
}

}  // namespace kiln
