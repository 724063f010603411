// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/dtype.h"

#include <cstddef>

namespace kiln {
namespace {

struct Row {
  std::string_view name, c_name, numpy;
  int64_t bytes;
};

// In the order of DType.
constexpr Row kRows[] = {
    {"f32", "float", "<f4", 4},     {"f64", "double", "<f8", 8},    {"f16", "uint16_t", "<f2", 2},
    {"bf16", "uint16_t", "<u2", 2}, {"i4", "int8_t", "|i1", 1},     {"u4", "uint8_t", "|u1", 1},
    {"i8", "int8_t", "|i1", 1},     {"u8", "uint8_t", "|u1", 1},    {"i16", "int16_t", "<i2", 2},
    {"u16", "uint16_t", "<u2", 2},  {"i32", "int32_t", "<i4", 4},   {"u32", "uint32_t", "<u4", 4},
    {"i64", "int64_t", "<i8", 8},   {"u64", "uint64_t", "<u8", 8},  {"bool", "uint8_t", "|b1", 1},
};

constexpr const Row& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

}  // namespace

int64_t element_bytes(DType dtype) { return row(dtype).bytes; }
std::string_view dtype_name(DType dtype) { return row(dtype).name; }
std::string_view dtype_c_name(DType dtype) { return row(dtype).c_name; }
std::string_view dtype_numpy(DType dtype) { return row(dtype).numpy; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (kRows[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace kiln
