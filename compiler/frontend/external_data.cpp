// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/external_data.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "compiler/ir/limits.h"
#include "compiler/frontend/proto.h"

namespace kiln {
namespace {

Diagnostic bad_location(std::string message, std::string hint = {}) {
  return error(DiagId::bad_external_data, std::move(message), std::move(hint));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct Range {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

Result<Range> read_entries(
    const google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& entries) {
  Range range;
  std::set<std::string> seen;
  for (const onnx::StringStringEntryProto& entry : entries) {
    const std::string& key = entry.key();
    if (!is_plain_text(key) || !is_plain_text(entry.value()))
      return bad_location("an entry of the external data is not plain text.");
    if (!seen.insert(key).second)
      return bad_location(fmt::format("key '{}' of the external data is given twice.", key));
    if (key == "location")
      range.location = entry.value();
    else if (key == "offset" || key == "length") {
      uint64_t number = 0;
      const char* end = entry.value().data() + entry.value().size();
      auto [stop, code] = std::from_chars(entry.value().data(), end, number);
      if (code != std::errc{} || stop != end)
        return bad_location(
            fmt::format("the {} of the external data is '{}', it must be a number from 0 on.", key,
                        entry.value()));
      if (key == "offset")
        range.offset = number;
      else
        range.length = number;
    } else if (key != "checksum") {
      return bad_location(fmt::format("key '{}' of the external data is unknown.", key),
                 "known keys are location, offset, length and checksum.");
    }
  }
  if (range.location.empty()) return bad_location("the external data have no location.");
  return range;
}

// The parts of a relative path that stays below where it starts, or nothing.
std::optional<std::vector<std::string>> safe_parts(const std::string& location) {
  std::vector<std::string> parts;
  std::filesystem::path path(location);
  if (path.is_absolute()) return std::nullopt;
  for (const std::filesystem::path& part : path) {
    if (part == ".." || part.empty()) return std::nullopt;
    if (part != ".") parts.push_back(part.string());
  }
  if (parts.empty()) return std::nullopt;
  return parts;
}

// O_NONBLOCK: opening a pipe that nobody writes must not hang.
constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

// For kernels before 5.6 and sandboxes without openat2: one folder after the other, none of them a
// link.
Descriptor open_by_parts(const Descriptor& folder, const std::vector<std::string>& parts) {
  Descriptor at(::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0));
  for (size_t i = 0; at.ok() && i < parts.size(); ++i) {
    bool last = i + 1 == parts.size();
    at = Descriptor(::openat(at.get(), parts[i].c_str(),
                             last ? kFileFlags : O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

Descriptor open_beneath(const Descriptor& folder, const std::vector<std::string>& parts) {
  std::string path = fmt::format("{}", fmt::join(parts, "/"));
  open_how how{};
  how.flags = static_cast<uint64_t>(kFileFlags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long fd = ::syscall(SYS_openat2, folder.get(), path.c_str(), &how, sizeof how);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return open_by_parts(folder, parts);
  return Descriptor(static_cast<int>(fd));
}

}  // namespace

Result<std::string> ExternalData::read(
    const google::protobuf::RepeatedPtrField<onnx::StringStringEntryProto>& entries,
    uint64_t bytes) const {
  Result<Range> range = read_entries(entries);
  if (!range) return std::move(range).diagnostic();
  const std::string& location = range->location;
  std::optional<std::vector<std::string>> parts = safe_parts(location);
  if (!parts)
    return bad_location(fmt::format("the external data are at '{}', outside the model's folder.", location),
               "put the data file beside the model.");
  if (range->length && *range->length != bytes)
    return bad_location(fmt::format("the external data have length {}, the tensor needs {} bytes.",
                           *range->length, bytes));
  if (bytes > limits::kTensorBytes)
    return error(DiagId::limit_exceeded, fmt::format("the tensor has {} bytes, the limit is {}.",
                                                     bytes, limits::kTensorBytes));

  std::string folder = folder_.empty() ? "." : folder_.string();
  Descriptor base(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!base.ok())
    return bad_location(fmt::format("the model's folder cannot be opened: {}.", std::strerror(errno)));
  Descriptor file = open_beneath(base, *parts);
  if (!file.ok()) {
    int why = errno;
    return bad_location(
        fmt::format("the external data file '{}' cannot be opened: {}.", location,
                    why == ELOOP ? "there is a symbolic link on the way" : std::strerror(why)),
        "put the data file itself, no link, beside the model.");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0)
    return bad_location(fmt::format("the external data file '{}': {}.", location, std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    return bad_location(fmt::format("the external data '{}' are not in a regular file.", location));
  if (info.st_nlink > 1)
    return bad_location(fmt::format("the external data file '{}' has {} hard links, only one is accepted.",
                           location, info.st_nlink),
               "copy the file instead of linking it.");
  auto size = static_cast<uint64_t>(info.st_size);
  if (range->offset > size || bytes > size - range->offset)
    return bad_location(fmt::format("the external data are bytes {} and {} on of '{}', which has {} bytes.",
                           range->offset, bytes, location, size),
               "check that the data file was copied completely.");

  std::string data(bytes, '\0');
  for (size_t done = 0; done < data.size();) {
    ssize_t n = ::pread(file.get(), data.data() + done, data.size() - done,
                        static_cast<off_t>(range->offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      return bad_location(fmt::format("the external data file '{}' cannot be read: {}.", location,
                             n < 0 ? std::strerror(errno) : "it became shorter"));
    done += static_cast<size_t>(n);
  }
  files_.insert(folder_ / location);
  return data;
}

}  // namespace kiln
