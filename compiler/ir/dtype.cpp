// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/dtype.h"

#include <cstddef>

namespace kiln {
namespace {

struct Row {
  std::string_view name, c_name, numpy;
  int64_t bytes;
  int64_t onnx;
};

// In the order of DType.
constexpr Row kRows[] = {
    {"f32", "float", "<f4", 4, 1},      {"f64", "double", "<f8", 8, 11},   {"f16", "uint16_t", "<f2", 2, 10},
    {"bf16", "uint16_t", "<u2", 2, 16}, {"i4", "int8_t", "|i1", 1, 22},    {"u4", "uint8_t", "|u1", 1, 21},
    {"i8", "int8_t", "|i1", 1, 3},      {"u8", "uint8_t", "|u1", 1, 2},    {"i16", "int16_t", "<i2", 2, 5},
    {"u16", "uint16_t", "<u2", 2, 4},   {"i32", "int32_t", "<i4", 4, 6},   {"u32", "uint32_t", "<u4", 4, 12},
    {"i64", "int64_t", "<i8", 8, 7},    {"u64", "uint64_t", "<u8", 8, 13}, {"bool", "uint8_t", "|b1", 1, 9},
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

std::optional<DType> dtype_from_onnx(int64_t number) {
  for (size_t i = 0; i < std::size(kRows); ++i)
    if (kRows[i].onnx == number) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace kiln
