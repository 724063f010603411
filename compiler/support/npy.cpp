// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/npy.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

#include "compiler/support/check.h"

namespace kiln {
namespace {

constexpr std::string_view kMagic{"\x93NUMPY", 6};
constexpr size_t kMaxRank = 32;                        // NumPy's own
constexpr uint64_t kMaxDataBytes = uint64_t{4} << 30;  // of one array, and of a whole archive
constexpr zip_int64_t kMaxMembers = 100'000;
// An archive may unpack to so much, or to so many times its size: NumPy's files do, bombs do not.
constexpr uint64_t kUnpackedBytes = uint64_t{64} << 20;
constexpr uint64_t kUnpackedTimes = 50;

Diagnostic bad(std::string message) {
  return error(DiagId::bad_input_data, std::move(message),
               "write it with numpy.save or numpy.savez, with plain number types.");
}

// The header is a Python dictionary literal with exactly the keys 'descr', 'fortran_order' and
// 'shape'.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  struct Header {
    std::string descr;
    bool fortran_order = false;
    std::vector<int64_t> shape;
  };

  std::optional<Header> parse() {
    Header header;
    bool has_descr = false, has_order = false, has_shape = false;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      std::optional<std::string> key = quoted();
      if (!key || !take(':')) return std::nullopt;
      bool good = false;
      if (*key == "descr") good = !std::exchange(has_descr, true) && read_descr(header.descr);
      if (*key == "fortran_order")
        good = !std::exchange(has_order, true) && read_bool(header.fortran_order);
      if (*key == "shape") good = !std::exchange(has_shape, true) && read_shape(header.shape);
      if (!good) return std::nullopt;
      if (!take(',') && !peek('}')) return std::nullopt;
    }
    skip_blanks();
    if (!has_descr || !has_order || !has_shape || !rest_.empty()) return std::nullopt;
    return header;
  }

 private:
  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  bool peek(char c) {
    skip_blanks();
    return !rest_.empty() && rest_.front() == c;
  }
  bool take(char c) {
    if (!peek(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    skip_blanks();
    if (rest_.substr(0, word.size()) != word) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::optional<std::string> quoted() {
    char quote = peek('"') ? '"' : '\'';
    if (!take(quote)) return std::nullopt;
    size_t end = rest_.find(quote);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }
  bool read_descr(std::string& out) {
    std::optional<std::string> text = quoted();
    if (!text) return false;
    out = std::move(*text);
    return true;
  }
  bool read_bool(bool& out) {
    out = take_word("True");
    return out || take_word("False");
  }
  bool read_shape(std::vector<int64_t>& out) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip_blanks();
      int64_t dim = 0;
      auto [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (code != std::errc{} || dim < 0 || out.size() == kMaxRank) return false;
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      out.push_back(dim);
      if (!take(',') && !peek(')')) return false;
    }
    return true;
  }

  std::string_view rest_;
};

// Bytes of an element of one of NumPy's plain little-endian number types, or nothing.
std::optional<uint64_t> bytes_of(std::string_view descr) {
  constexpr std::string_view kWide[] = {"<f2", "<f4", "<f8", "<i2", "<i4",
                                        "<i8", "<u2", "<u4", "<u8"};
  constexpr std::string_view kByte[] = {"|i1", "|u1", "|b1", "<i1", "<u1", "<b1"};
  if (std::find(std::begin(kByte), std::end(kByte), descr) != std::end(kByte)) return 1;
  if (std::find(std::begin(kWide), std::end(kWide), descr) == std::end(kWide)) return std::nullopt;
  return static_cast<uint64_t>(descr[2] - '0');
}

// Column-major data to row-major.
std::string from_fortran(std::string_view data, const std::vector<int64_t>& shape, size_t element) {
  std::string out(data.size(), '\0');
  std::vector<int64_t> at(shape.size(), 0);
  for (size_t to = 0; to < data.size(); to += element) {
    size_t from = 0;
    for (size_t i = shape.size(); i-- > 0;)
      from = from * static_cast<size_t>(shape[i]) + static_cast<size_t>(at[i]);
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(from * element), element,
                out.begin() + static_cast<std::ptrdiff_t>(to));
    for (size_t i = shape.size(); i-- > 0;) {
      if (++at[i] < shape[i]) break;
      at[i] = 0;
    }
  }
  return out;
}

struct CloseZip {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

Result<std::string> read_member(zip_t* archive, zip_uint64_t index, const zip_stat_t& stat) {
  std::unique_ptr<zip_file_t, CloseZip> member(zip_fopen_index(archive, index, 0));
  if (!member)
    return bad(fmt::format("member {} of the archive cannot be opened: {}.", index,
                           zip_strerror(archive)));
  std::string bytes;
  char chunk[1 << 16];
  // The size in the directory is only a claim: grow with what is really there.
  while (bytes.size() <= stat.size) {
    zip_int64_t n = zip_fread(member.get(), chunk, sizeof chunk);
    if (n < 0) return bad(fmt::format("member '{}' of the archive is damaged.", stat.name));
    if (n == 0) break;
    bytes.append(chunk, static_cast<size_t>(n));
  }
  if (bytes.size() != stat.size)
    return bad(fmt::format("member '{}' of the archive has {} bytes where {} are announced.",
                           stat.name, bytes.size(), stat.size));
  return bytes;
}

}  // namespace

Result<NpyArray> read_npy(std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic || bytes.size() < 12)
    return bad("this is not a .npy file.");
  auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(bytes[i])); };
  size_t version = byte(6);
  if (version < 1 || version > 3)
    return bad(fmt::format("the .npy format version is {}, 1 to 3 are known.", version));
  size_t start = version == 1 ? 10 : 12;
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - start) return bad("the .npy header is cut off.");

  auto header = HeaderParser(bytes.substr(start, length)).parse();
  if (!header) return bad("the .npy header cannot be read.");
  std::optional<uint64_t> element = bytes_of(header->descr);
  if (!element)
    return bad(fmt::format(
        "the element type '{}' is not supported, only little-endian numbers of 1 to 8 bytes are.",
        header->descr));
  uint64_t size = *element;
  for (int64_t dim : header->shape)
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(dim), &size) || size > kMaxDataBytes)
      return bad(fmt::format("the array is larger than {} bytes.", kMaxDataBytes));
  std::string_view data = bytes.substr(start + length);
  if (data.size() != size)
    return bad(fmt::format("the .npy file holds {} bytes of data, its shape needs {}.", data.size(),
                           size));
  return NpyArray{
      header->descr, header->shape,
      header->fortran_order ? from_fortran(data, header->shape, *element) : std::string(data)};
}

Result<std::vector<std::pair<std::string, NpyArray>>> read_npz(std::string_view bytes) {
  zip_error_t problem;
  zip_error_init(&problem);
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &problem);
  KILN_CHECK(source, "libzip cannot make a source");
  std::unique_ptr<zip_t, CloseZip> archive(zip_open_from_source(source, ZIP_RDONLY, &problem));
  if (!archive) {
    zip_source_free(source);
    std::string why = zip_error_strerror(&problem);
    zip_error_fini(&problem);
    return bad(fmt::format("this is not a .npz file: {}.", why));
  }
  zip_error_fini(&problem);
  zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  if (count < 1) return bad("the archive holds no arrays.");
  if (count > kMaxMembers)
    return bad(fmt::format("the archive has {} members, the limit is {}.", count, kMaxMembers));
  std::vector<std::pair<std::string, NpyArray>> out;
  uint64_t total = 0;
  for (zip_int64_t i = 0; i < count; ++i) {
    auto at = static_cast<zip_uint64_t>(i);
    zip_stat_t stat;
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE;
    if (zip_stat_index(archive.get(), at, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded)
      return bad(fmt::format("member {} of the archive has no name or size.", i));
    if (stat.size > kMaxDataBytes || (total += stat.size) > kMaxDataBytes)
      return bad(fmt::format("the arrays of the archive are larger than {} bytes.", kMaxDataBytes));
    if (total > std::max(kUnpackedBytes, kUnpackedTimes * bytes.size()))
      return error(DiagId::bad_input_data,
                   fmt::format("the archive of {} bytes unpacks to {} bytes or more; the limit is {}.", bytes.size(), total,
                               std::max(kUnpackedBytes, kUnpackedTimes * bytes.size())),
                   "write it with numpy.savez, which does not compress.");
    Result<std::string> member = read_member(archive.get(), at, stat);
    if (!member) return std::move(member).diagnostic();
    Result<NpyArray> array = read_npy(*member);
    std::string name = stat.name;
    if (!array) return bad(fmt::format("member '{}': {}", name, array.diagnostic().message));
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    out.emplace_back(std::move(name), std::move(*array));
  }
  return out;
}

std::string write_npy(std::string_view descr, std::span<const int64_t> shape,
                      std::string_view data) {
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   descr, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  // The data start at a multiple of 64 bytes; the header ends with a newline.
  size_t length = (10 + header.size() + 1 + 63) / 64 * 64 - 10;
  header.append(length - 1 - header.size(), ' ').push_back('\n');
  std::string bytes(kMagic);
  bytes += '\x01';
  bytes += '\0';
  bytes += static_cast<char>(length & 255);
  bytes += static_cast<char>(length >> 8);
  return bytes.append(header).append(data);
}

}  // namespace kiln
