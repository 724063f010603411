// SPDX-License-Identifier: Apache-2.0
// Element types of tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace kiln {

/// f16 and bf16 are stored as their 16 bits, boolean as a byte of 0 or 1, i4 and u4 as one byte per element.
enum class DType : uint8_t { f32, f64, f16, bf16, i4, u4, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

/// Bytes of one stored element.
int64_t element_bytes(DType dtype);
/// "f32", "i8", "bool", ...: the spelling of the IR text and of messages.
std::string_view dtype_name(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);
/// The C++ type in emitted code: "float", "int8_t", ...
std::string_view dtype_c_name(DType dtype);
/// The type that ONNX numbers so (TensorProto.DataType), if kiln has it.
std::optional<DType> dtype_from_onnx(int64_t number);
/// NumPy's descriptor for the stored form ("<f4", "|i1"); f16 is "<f2", bf16 has none and gives "<u2".
std::string_view dtype_numpy(DType dtype);

constexpr bool is_float(DType d) { return d == DType::f32 || d == DType::f64 || d == DType::f16 || d == DType::bf16; }
constexpr bool is_signed_integer(DType d) {
  return d == DType::i4 || d == DType::i8 || d == DType::i16 || d == DType::i32 || d == DType::i64;
}
constexpr bool is_unsigned_integer(DType d) {
  return d == DType::u4 || d == DType::u8 || d == DType::u16 || d == DType::u32 || d == DType::u64;
}
constexpr bool is_integer(DType d) { return is_signed_integer(d) || is_unsigned_integer(d); }

/// The DType that stores exactly C++ type T.
template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  else if constexpr (std::is_same_v<T, double>) return DType::f64;
  else if constexpr (std::is_same_v<T, int8_t>) return DType::i8;
  else if constexpr (std::is_same_v<T, uint8_t>) return DType::u8;
  else if constexpr (std::is_same_v<T, int16_t>) return DType::i16;
  else if constexpr (std::is_same_v<T, uint16_t>) return DType::u16;
  else if constexpr (std::is_same_v<T, int32_t>) return DType::i32;
  else if constexpr (std::is_same_v<T, uint32_t>) return DType::u32;
  else if constexpr (std::is_same_v<T, int64_t>) return DType::i64;
  else if constexpr (std::is_same_v<T, uint64_t>) return DType::u64;
  else {
    static_assert(std::is_same_v<T, bool>, "no DType stores this type");
    return DType::boolean;
  }
}

/// Calls `f.template operator()<T>()` with the C++ type that stores `dtype`: uint16_t for f16 and bf16, int8_t for i4,
/// uint8_t for u4 and boolean. For code that moves or compares stored elements.
template <class F>
decltype(auto) with_storage_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
    case DType::i4:
    case DType::i8: return f.template operator()<int8_t>();
    case DType::u4:
    case DType::boolean:
    case DType::u8: return f.template operator()<uint8_t>();
    case DType::i16: return f.template operator()<int16_t>();
    case DType::f16:
    case DType::bf16:
    case DType::u16: return f.template operator()<uint16_t>();
    case DType::i32: return f.template operator()<int32_t>();
    case DType::u32: return f.template operator()<uint32_t>();
    case DType::i64: return f.template operator()<int64_t>();
    case DType::u64: break;
  }
  return f.template operator()<uint64_t>();
}

}  // namespace kiln
