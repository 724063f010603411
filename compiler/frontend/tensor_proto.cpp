// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/tensor_proto.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <utility>

#include "compiler/ir/limits.h"

namespace kiln {
namespace {

// Numbers of TensorProto.DataType, also those younger than the installed onnx.proto.
struct OnnxType {
  int32_t number;
  std::string_view name;
  std::optional<DType> dtype;
};
constexpr OnnxType kTypes[] = {
    {1, "float", DType::f32},    {2, "uint8", DType::u8},
    {3, "int8", DType::i8},      {4, "uint16", DType::u16},
    {5, "int16", DType::i16},    {6, "int32", DType::i32},
    {7, "int64", DType::i64},    {8, "string", {}},
    {9, "bool", DType::boolean}, {10, "float16", DType::f16},
    {11, "double", DType::f64},  {12, "uint32", DType::u32},
    {13, "uint64", DType::u64},  {14, "complex64", {}},
    {15, "complex128", {}},      {16, "bfloat16", DType::bf16},
    {17, "float8e4m3fn", {}},    {18, "float8e4m3fnuz", {}},
    {19, "float8e5m2", {}},      {20, "float8e5m2fnuz", {}},
    {21, "uint4", DType::u4},    {22, "int4", DType::i4},
    {23, "float4e2m1", {}},      {24, "float8e8m0", {}},
    {25, "uint2", {}},           {26, "int2", {}},
};

const OnnxType* find_type(int32_t number) {
  for (const OnnxType& type : kTypes)
    if (type.number == number) return &type;
  return nullptr;
}

Diagnostic bad_initializer(std::string message, std::string hint = {}) {
  return error(DiagId::bad_initializer, std::move(message), std::move(hint));
}

bool is_packed(DType dtype) { return dtype == DType::i4 || dtype == DType::u4; }

// One byte per element, from two elements a byte, the first in the low half.
void unpack_nibbles(const uint8_t* packed, Tensor& tensor) {
  bool is_signed = tensor.type.dtype == DType::i4;
  std::span<std::byte> out = tensor.bytes();
  for (size_t i = 0; i < out.size(); ++i) {
    int value = (packed[i / 2] >> (i % 2 * 4)) & 15;
    if (is_signed && value > 7) value -= 16;
    out[i] = static_cast<std::byte>(value);
  }
}

// Stored booleans are 0 or 1; files may have any byte.
void normalize_booleans(Tensor& tensor) {
  for (std::byte& b : tensor.bytes()) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
}

// Bytes of raw or external data; only the elements, without the padding of an odd number of
// nibbles.
uint64_t raw_bytes(const TensorType& type) {
  auto elements = static_cast<uint64_t>(type.elements());
  return is_packed(type.dtype) ? (elements + 1) / 2
                               : elements * static_cast<uint64_t>(element_bytes(type.dtype));
}

Result<Tensor> from_raw(TensorType type, const std::string& raw) {
  if (raw.size() != raw_bytes(type))
    return bad_initializer(fmt::format("it holds {} bytes, {} needs {}.", raw.size(), to_string(type),
                           raw_bytes(type)));
  Tensor tensor(std::move(type));
  if (is_packed(tensor.type.dtype))
    unpack_nibbles(reinterpret_cast<const uint8_t*>(raw.data()), tensor);
  else if (!raw.empty())
    std::memcpy(tensor.bytes().data(), raw.data(), raw.size());
  if (tensor.type.dtype == DType::boolean) normalize_booleans(tensor);
  return tensor;
}

// One field entry per element, or, for 4-bit types, per two elements.
template <class T, class Field>
Result<Tensor> from_field(TensorType type, const Field& field) {
  auto entries = static_cast<uint64_t>(field.size());
  uint64_t needed =
      is_packed(type.dtype) ? raw_bytes(type) : static_cast<uint64_t>(type.elements());
  if (entries != needed)
    return bad_initializer(fmt::format("it holds {} entries, {} needs {}.", entries, to_string(type), needed));
  std::vector<T> values;
  values.reserve(entries);
  for (auto entry : field) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, decltype(entry)>) {
      if (type.dtype == DType::boolean) entry = entry != 0;
      if (!std::in_range<T>(entry))
        return bad_initializer(fmt::format("the entry {} does not fit {}.", entry, dtype_name(type.dtype)));
    }
    values.push_back(static_cast<T>(entry));
  }
  Tensor tensor(std::move(type));
  if constexpr (sizeof(T) == 1) {
    if (is_packed(tensor.type.dtype)) {
      unpack_nibbles(reinterpret_cast<const uint8_t*>(values.data()), tensor);
      return tensor;
    }
  }
  if (!values.empty()) std::memcpy(tensor.bytes().data(), values.data(), values.size() * sizeof(T));
  return tensor;
}

Result<Tensor> from_typed_fields(TensorType type, const onnx::TensorProto& proto) {
  switch (type.dtype) {
    case DType::f32:
      return from_field<float>(std::move(type), proto.float_data());
    case DType::f64:
      return from_field<double>(std::move(type), proto.double_data());
    case DType::i64:
      return from_field<int64_t>(std::move(type), proto.int64_data());
    case DType::u64:
      return from_field<uint64_t>(std::move(type), proto.uint64_data());
    case DType::u32:
      return from_field<uint32_t>(std::move(type), proto.uint64_data());
    case DType::i32:
      return from_field<int32_t>(std::move(type), proto.int32_data());
    case DType::i16:
      return from_field<int16_t>(std::move(type), proto.int32_data());
    case DType::i8:
      return from_field<int8_t>(std::move(type), proto.int32_data());
    case DType::f16:
    case DType::bf16:
    case DType::u16:
      return from_field<uint16_t>(std::move(type), proto.int32_data());
    case DType::boolean:
    case DType::i4:
    case DType::u4:
    case DType::u8:
      break;
  }
  return from_field<uint8_t>(std::move(type), proto.int32_data());
}

int filled_fields(const onnx::TensorProto& p) {
  return (p.float_data_size() > 0) + (p.int32_data_size() > 0) + (p.string_data_size() > 0) +
         (p.int64_data_size() > 0) + (p.double_data_size() > 0) + (p.uint64_data_size() > 0) +
         (p.raw_data().empty() ? 0 : 1);
}

Result<TensorType> type_from_proto(const onnx::TensorProto& proto) {
  std::optional<DType> dtype = dtype_from_onnx(proto.data_type());
  if (!dtype)
    return error(DiagId::unsupported_tensor,
                 fmt::format("its element type is {}, which is not supported.",
                             onnx_type_name(proto.data_type())));
  if (proto.has_segment())
    return error(DiagId::unsupported_tensor, "it is stored in segments, which is not supported.");
  TensorType type{*dtype, Shape(proto.dims().begin(), proto.dims().end()), {}};
  if (Status s = check_shape(type.shape); !s) return std::move(s).diagnostic();
  if (static_cast<uint64_t>(type.bytes()) > limits::kTensorBytes)
    return error(DiagId::limit_exceeded,
                 fmt::format("{} takes {} bytes, the limit is {}.", to_string(type), type.bytes(),
                             limits::kTensorBytes));
  return type;
}

}  // namespace

std::optional<DType> dtype_from_onnx(int32_t data_type) {
  const OnnxType* type = find_type(data_type);
  return type ? type->dtype : std::nullopt;
}

int32_t onnx_number(DType dtype) {
  for (const OnnxType& type : kTypes)
    if (type.dtype == dtype) return type.number;
  KILN_CHECK(false, "a dtype that ONNX has no number for");
}

std::string onnx_type_name(int32_t data_type) {
  const OnnxType* type = find_type(data_type);
  return type ? std::string(type->name) : fmt::format("number {}", data_type);
}

Result<Tensor> tensor_from_proto(const onnx::TensorProto& proto, const ExternalData* external) {
  Result<TensorType> type = type_from_proto(proto);
  if (!type) return std::move(type).diagnostic();
  int filled = filled_fields(proto);
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    if (!external)
      return error(DiagId::bad_external_data,
                   "external data are not supported in a file that is a single tensor.");
    Result<std::string> raw = raw_external_data(proto, *external);
    if (!raw) return std::move(raw).diagnostic();
    return from_raw(std::move(*type), *raw);
  }
  if (filled > 1) return bad_initializer("it has data in more than one field.");
  if (!proto.raw_data().empty()) return from_raw(std::move(*type), proto.raw_data());
  return from_typed_fields(std::move(*type), proto);
}

onnx::TensorProto tensor_to_proto(const Tensor& tensor, const std::string& name) {
  KILN_CHECK(!is_packed(tensor.type.dtype), "a tensor of 4-bit elements is written to ONNX");
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(onnx_number(tensor.type.dtype));
  for (int64_t dim : tensor.type.shape) proto.add_dims(dim);
  proto.set_raw_data(reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size());
  return proto;
}

Result<std::string> raw_external_data(const onnx::TensorProto& proto,
                                      const ExternalData& external) {
  Result<TensorType> type = type_from_proto(proto);
  if (!type) return std::move(type).diagnostic();
  if (filled_fields(proto) > 0) return bad_initializer("it has data of its own and external data.");
  return external.read(proto.external_data(), raw_bytes(*type));
}

}  // namespace kiln
