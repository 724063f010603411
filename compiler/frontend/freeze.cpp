// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/freeze.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "compiler/frontend/tensor_file.h"
#include "compiler/frontend/tensor_proto.h"

namespace kiln {
namespace {

Diagnostic bad_value(const std::string& name, const std::string& text, const std::string& what, std::string hint = {}) {
  return error(DiagId::bad_input_data, fmt::format("--freeze {}={}: {}", name, text, what), std::move(hint));
}

/// "1,2,3", also in brackets, as words.
std::vector<std::string_view> split_numbers(std::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<std::string_view> words;
  while (true) {
    const size_t comma = text.find(',');
    words.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return words;
    text.remove_prefix(comma + 1);
  }
}

template <class T>
std::optional<T> parse_number(std::string_view word) {
  T value{};
  auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (code != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

/// The word as an element of `tensor`.
bool set_element(Tensor& tensor, size_t i, std::string_view word) {
  const DType dtype = tensor.type.dtype;
  if (is_float(dtype)) {
    std::optional<double> value = parse_number<double>(word);
    if (!value) return false;
    if (dtype == DType::f64) tensor.as<double>()[i] = *value;
    if (dtype == DType::f32) tensor.as<float>()[i] = static_cast<float>(*value);
    if (dtype == DType::f16) tensor.as<uint16_t>()[i] = float_to_f16(static_cast<float>(*value));
    if (dtype == DType::bf16) tensor.as<uint16_t>()[i] = float_to_bf16(static_cast<float>(*value));
    return true;
  }
  if (word == "true" || word == "false") word = word == "true" ? "1" : "0";
  if (dtype == DType::boolean && word != "0" && word != "1") return false;
  return with_storage_type(dtype, [&]<class T>() {
    std::optional<T> value = parse_number<T>(word);
    if (value) tensor.as<T>()[i] = *value;
    return value.has_value() && (dtype != DType::i4 || (*value >= T(-8) && *value <= T(7))) && (dtype != DType::u4 || *value <= T(15));
  });
}

/// The shape of an input that `count` numbers are given for, or nothing where they do not fit or it is not clear.
std::optional<Shape> shape_for(const onnx::TypeProto::Tensor& declared, const ImportOptions& options, int64_t count) {
  if (!declared.has_shape()) return count == 1 ? Shape{} : Shape{count};
  Shape shape;
  int64_t known = 1;
  std::optional<size_t> open;
  for (const auto& dim : declared.shape().dim()) {
    int64_t size = dim.dim_value();
    if (auto bound = options.dims.find(dim.dim_param()); size <= 0 && bound != options.dims.end()) size = bound->second;
    if (size > 0) {
      if (known > limits::kElements / size) return std::nullopt;
      known *= size;
    } else {
      if (open) return std::nullopt;  // which of them the numbers are for is not said
      open = shape.size();
    }
    shape.push_back(size);
  }
  if (open) {
    if (count % known != 0) return std::nullopt;
    shape[*open] = count / known;
  } else if (count != 1 && count != known) {
    return std::nullopt;
  }
  if (!check_shape(shape)) return std::nullopt;
  return shape;
}

std::string declared_text(const onnx::TypeProto::Tensor& declared, DType dtype) {
  std::string text(dtype_name(dtype));
  if (!declared.has_shape()) return text + " of any shape";
  text += '[';
  for (int i = 0; i < declared.shape().dim_size(); ++i) {
    const auto& dim = declared.shape().dim(i);
    text += i ? "," : "";
    text += dim.dim_value() > 0 ? fmt::format("{}", dim.dim_value()) : dim.dim_param().empty() ? "?" : dim.dim_param();
  }
  return text + "]";
}

bool fits_input(const Tensor& value, const onnx::TypeProto::Tensor& declared, DType dtype) {
  if (value.type.dtype != dtype) return false;
  if (!declared.has_shape()) return true;
  if (declared.shape().dim_size() != value.type.rank()) return false;
  for (int i = 0; i < declared.shape().dim_size(); ++i)
    if (int64_t size = declared.shape().dim(i).dim_value(); size > 0 && size != value.type.shape[static_cast<size_t>(i)]) return false;
  return true;
}

Result<Tensor> value_of(const std::string& name, const std::string& text, const onnx::TypeProto::Tensor& declared,
                        const ImportOptions& options, std::filesystem::path& file) {
  std::optional<DType> dtype = dtype_from_onnx(declared.elem_type());
  if (!dtype)
    return error(DiagId::unsupported_type, fmt::format("--freeze {}: the input has element type {}, which is not supported.", name,
                                                       onnx_type_name(declared.elem_type())));
  const std::string wanted = declared_text(declared, *dtype);
  if (text.ends_with(".npy") || text.ends_with(".pb")) {
    file = text;
    Result<Tensor> value = load_tensor(file);
    if (!value || fits_input(*value, declared, *dtype)) return value;
    return bad_value(name, text, fmt::format("the input is {}, the data is {}.", wanted, to_string(value->type)), "convert the data.");
  }
  const std::vector<std::string_view> words = split_numbers(text);
  std::optional<Shape> shape = shape_for(declared, options, static_cast<int64_t>(words.size()));
  if (!shape)
    return bad_value(name, text, fmt::format("the input is {}, {} number{} {} given.", wanted, words.size(), words.size() == 1 ? "" : "s",
                                             words.size() == 1 ? "is" : "are"),
                     fmt::format("give one for each element, or `--freeze {}=FILE.npy`.", name));
  Tensor value(TensorType{*dtype, *std::move(shape), {}});
  for (size_t i = 0; i < static_cast<size_t>(value.type.elements()); ++i)
    if (std::string_view word = words[words.size() == 1 ? 0 : i]; !set_element(value, i, word))
      return bad_value(name, text, fmt::format("'{}' is no number of the input's type {}.", word, dtype_name(*dtype)),
                       "give numbers separated by commas, or a .npy or .pb file.");
  return value;
}

}  // namespace

Result<std::vector<FrozenInput>> read_frozen(const ImportOptions& options, const onnx::GraphProto& graph) {
  std::vector<FrozenInput> all;
  if (options.frozen.empty()) return all;
  std::set<std::string> constants;
  for (const onnx::TensorProto& tensor : graph.initializer()) constants.insert(tensor.name());
  for (const auto& [name, text] : options.frozen) {
    size_t place = 0;
    std::string names;
    const onnx::ValueInfoProto* found = nullptr;
    for (const onnx::ValueInfoProto& input : graph.input()) {
      names += fmt::format("{}'{}'", names.empty() ? "" : ", ", input.name());
      if (input.name() == name) found = &input;
      if (!found && !constants.count(input.name())) ++place;
    }
    if (!found)
      return error(DiagId::unknown_input_name, fmt::format("--freeze names '{}', which is no input of the model.", name),
                   names.empty() ? "it has none." : fmt::format("its inputs are {}.", names));
    if (std::any_of(options.states.begin(), options.states.end(), [&](const StatePair& s) { return s.input == name; }))
      return error(DiagId::bad_state_option, fmt::format("--freeze {}: the input is state by --state as well.", name), "leave one of them out.");
    if (!found->type().has_tensor_type())
      return error(DiagId::unsupported_type, fmt::format("--freeze {}: the input is no tensor.", name));
    FrozenInput frozen{name, place, Tensor(TensorType{}), {}};
    Result<Tensor> value = value_of(name, text, found->type().tensor_type(), options, frozen.file);
    if (!value) return std::move(value).diagnostic();
    frozen.value = *std::move(value);
    all.push_back(std::move(frozen));
  }
  std::stable_sort(all.begin(), all.end(), [](const FrozenInput& a, const FrozenInput& b) { return a.place < b.place; });
  return all;
}

void freeze(const std::vector<FrozenInput>& frozen, onnx::GraphProto& graph) {
  for (const FrozenInput& input : frozen) {
    auto named = [&](const auto& it) { return it.name() == input.name; };
    auto* inputs = graph.mutable_input();
    inputs->erase(std::remove_if(inputs->begin(), inputs->end(), named), inputs->end());
    auto* initializers = graph.mutable_initializer();
    initializers->erase(std::remove_if(initializers->begin(), initializers->end(), named), initializers->end());
    *graph.add_initializer() = tensor_to_proto(input.value, input.name);
  }
}

}  // namespace kiln
