// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>

#include "compiler/frontend/proto.h"
#include "compiler/frontend/tensor_proto.h"
#include "compiler/support/files.h"
#include "compiler/support/npy.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

Diagnostic bad_file(std::string message, std::string hint = {}) {
  return error(DiagId::bad_input_data, std::move(message), std::move(hint));
}

// NumPy writes the types of one byte with '|', but '<' is legal as well.
std::optional<DType> dtype_of_descr(std::string_view descr) {
  constexpr DType kPlain[] = {DType::f32, DType::f64, DType::f16, DType::i8,
                              DType::u8,  DType::i16, DType::u16, DType::i32,
                              DType::u32, DType::i64, DType::u64, DType::boolean};
  for (DType dtype : kPlain)
    if (dtype_numpy(dtype).substr(1) == descr.substr(1)) return dtype;
  return std::nullopt;
}

Result<Tensor> tensor_of(const NpyArray& array) {
  std::optional<DType> dtype = dtype_of_descr(array.descr);
  if (!dtype) return bad_file(fmt::format("element type '{}' is not supported.", array.descr));
  if (Status s = check_shape(array.shape); !s) return bad_file(s.diagnostic().message);
  Tensor tensor(TensorType{*dtype, array.shape, {}});
  if (!array.data.empty()) std::memcpy(tensor.bytes().data(), array.data.data(), array.data.size());
  return tensor;
}

Result<std::vector<NamedTensor>> tensors_of_npz(const std::string& bytes) {
  auto arrays = read_npz(bytes);
  if (!arrays) return std::move(arrays).diagnostic();
  std::vector<NamedTensor> out;
  for (auto& [name, array] : *arrays) {
    Result<Tensor> tensor = tensor_of(array);
    if (!tensor) return bad_file(fmt::format("member '{}': {}", name, tensor.diagnostic().message));
    out.push_back({std::move(name), std::move(*tensor)});
  }
  return out;
}

Result<std::vector<NamedTensor>> tensors_of_pb(const std::string& bytes, const std::string& stem) {
  Result<onnx::TensorProto> proto = parse_tensor(bytes);
  if (!proto) return bad_file(proto.diagnostic().message, "it must be a serialized ONNX TensorProto.");
  Result<Tensor> tensor = tensor_from_proto(*proto, nullptr);
  if (!tensor && tensor.diagnostic().id == DiagId::unsupported_tensor)
    return std::move(tensor).diagnostic();
  if (!tensor) return bad_file(tensor.diagnostic().message);
  bool named = !proto->name().empty() && is_plain_text(proto->name());
  return std::vector<NamedTensor>{{named ? proto->name() : stem, std::move(*tensor)}};
}

Result<std::vector<NamedTensor>> parse(const fs::path& path, const std::string& bytes) {
  std::string extension = path.extension().string();
  if (extension == ".npz") return tensors_of_npz(bytes);
  if (extension == ".pb") return tensors_of_pb(bytes, path.stem().string());
  if (extension != ".npy")
    return bad_file(fmt::format("files of type '{}' are not read.", extension),
               "use .npy, .npz or an ONNX tensor in .pb.");
  Result<NpyArray> array = read_npy(bytes);
  if (!array) return std::move(array).diagnostic();
  Result<Tensor> tensor = tensor_of(*array);
  if (!tensor) return std::move(tensor).diagnostic();
  return std::vector<NamedTensor>{{path.stem().string(), std::move(*tensor)}};
}

// N of "input_N.pb" and the like, or nothing.
std::optional<unsigned> number_in(std::string_view name, std::string_view prefix,
                                  std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
      name.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  std::string_view digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  unsigned number = 0;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (code != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

using Numbered = std::map<unsigned, fs::path>;

Numbered numbered_entries(const fs::path& folder, std::string_view prefix,
                          std::string_view suffix) {
  Numbered out;
  std::error_code ec;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ec))
    if (auto number = number_in(entry.path().filename().string(), prefix, suffix))
      out.emplace(*number, entry.path());
  return out;
}

Result<std::vector<NamedTensor>> load_numbered(const Numbered& files) {
  std::vector<NamedTensor> out;
  for (const auto& [number, path] : files) {
    if (number != out.size())
      return bad_file(fmt::format("there is '{}' but no file number {}.", path.filename().string(),
                             out.size()))
          .in_file(path.parent_path().string());
    Result<std::vector<NamedTensor>> tensors = load_tensors(path);
    if (!tensors) return std::move(tensors).diagnostic();
    out.push_back(std::move(tensors->front()));
    if (out.back().name == path.stem()) out.back().name.clear();  // the file says no name
  }
  return out;
}

Result<TestSet> load_test_set(const fs::path& folder) {
  TestSet set;
  set.name = folder.filename().string();
  Result<std::vector<NamedTensor>> inputs =
      load_numbered(numbered_entries(folder, "input_", ".pb"));
  if (!inputs) return std::move(inputs).diagnostic();
  Result<std::vector<NamedTensor>> outputs =
      load_numbered(numbered_entries(folder, "output_", ".pb"));
  if (!outputs) return std::move(outputs).diagnostic();
  set.inputs = std::move(*inputs);
  set.outputs = std::move(*outputs);
  return set;
}

}  // namespace

Result<std::vector<NamedTensor>> load_tensors(const fs::path& path) {
  Result<std::string> bytes = read_file(path);
  if (!bytes) return std::move(bytes).diagnostic();
  return guarded([&]() -> Result<std::vector<NamedTensor>> {
    Result<std::vector<NamedTensor>> tensors = parse(path, *bytes);
    if (!tensors) return std::move(tensors).diagnostic().in_file(path.string());
    return tensors;
  });
}

Result<Tensor> load_tensor(const fs::path& path) {
  Result<std::vector<NamedTensor>> tensors = load_tensors(path);
  if (!tensors) return std::move(tensors).diagnostic();
  if (tensors->size() != 1)
    return bad_file(fmt::format("the file holds {} tensors, one is expected.", tensors->size()))
        .in_file(path.string());
  return std::move(tensors->front().tensor);
}

std::string save_npy(const Tensor& tensor) {
  std::span<const std::byte> bytes = tensor.bytes();
  return write_npy(dtype_numpy(tensor.type.dtype), tensor.type.shape,
                   {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<std::vector<TestSet>> load_test_sets(const fs::path& folder) {
  std::error_code ec;
  if (!fs::is_directory(folder, ec))
    return error(DiagId::cannot_read, "this is no folder.",
                 "name a folder with input_0.pb, or one with test_data_set_0.")
        .in_file(folder.string());
  std::vector<TestSet> sets;
  Numbered folders = numbered_entries(folder, "test_data_set_", "");
  if (folders.empty() && !numbered_entries(folder, "input_", ".pb").empty())
    folders.emplace(0, folder);
  for (const auto& [number, path] : folders) {
    Result<TestSet> set = load_test_set(path);
    if (!set) return std::move(set).diagnostic();
    sets.push_back(std::move(*set));
  }
  if (sets.empty())
    return bad_file("the folder has neither input_0.pb nor test_data_set_0.",
               "the layout is that of the ONNX backend tests.")
        .in_file(folder.string());
  return sets;
}

}  // namespace kiln
