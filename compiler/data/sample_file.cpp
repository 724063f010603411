// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/sample_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "compiler/data/audio.h"
#include "compiler/data/csv.h"
#include "compiler/data/image.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/support/files.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

using Arrays = std::vector<StoredArray>;

Result<Arrays> one_array(const fs::path& path, Result<Tensor> values, StoredArray::Kind kind) {
  if (!values) return std::move(values).diagnostic().in_file(path.string());
  return Arrays{{path.stem().string(), *std::move(values), kind}};
}

Result<Arrays> read_tensors(const fs::path& path) {
  Result<std::vector<NamedTensor>> tensors = load_tensors(path);
  if (!tensors) return std::move(tensors).diagnostic();
  Arrays arrays;
  for (NamedTensor& t : *tensors) arrays.push_back({std::move(t.name), std::move(t.tensor)});
  return arrays;
}

Result<Arrays> read_csv(const fs::path& path) {
  Result<std::string> text = read_file(path);
  if (!text) return std::move(text).diagnostic();
  Result<std::vector<CsvRow>> rows = parse_csv(*text);
  if (!rows) return std::move(rows).diagnostic().in_file(path.string());
  return one_array(path, numbers_of_csv(*rows), StoredArray::Kind::array);
}

template <auto decode>
Result<Arrays> read_image(const fs::path& path) {
  Result<std::string> bytes = read_file(path);
  if (!bytes) return std::move(bytes).diagnostic();
  return one_array(path, decode(*bytes), StoredArray::Kind::image);
}

Result<Arrays> read_audio(const fs::path& path) {
  Result<std::string> bytes = read_file(path);
  if (!bytes) return std::move(bytes).diagnostic();
  Result<Audio> audio = decode_wav(*bytes);
  if (!audio) return std::move(audio).diagnostic().in_file(path.string());
  return Arrays{{path.stem().string(), std::move(audio->mono), StoredArray::Kind::audio, audio->sample_rate}};
}

struct FileType {
  const char* extension;
  bool many;
  Result<Arrays> (*read)(const fs::path& path);
};

constexpr std::array kTypes = {FileType{".npy", true, read_tensors},
                               FileType{".npz", true, read_tensors},
                               FileType{".pb", true, read_tensors},
                               FileType{".csv", true, read_csv},
                               FileType{".png", false, read_image<decode_png>},
                               FileType{".jpg", false, read_image<decode_jpeg>},
                               FileType{".jpeg", false, read_image<decode_jpeg>},
                               FileType{".wav", false, read_audio}};

const FileType* type_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  auto type = std::find_if(kTypes.begin(), kTypes.end(), [&](const FileType& t) { return t.extension == extension; });
  return type == kTypes.end() ? nullptr : &*type;
}

}  // namespace

bool is_sample_file(const fs::path& path) { return type_of(path) != nullptr; }

bool may_hold_many(const fs::path& path) {
  const FileType* type = type_of(path);
  return type && type->many;
}

Result<Arrays> read_sample_file(const fs::path& path) {
  const FileType* type = type_of(path);
  if (!type)
    return error(DiagId::bad_input_data, "files of this type are not read.",
                 "use .npy, .npz, an ONNX tensor in .pb, .csv, .png, .jpg or .wav.")
        .in_file(path.string());
  return type->read(path);
}

}  // namespace kiln
