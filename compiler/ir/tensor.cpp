// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/tensor.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

namespace kiln {

std::string to_string(const TensorType& type) {
  return fmt::format("{}{}", dtype_name(type.dtype), to_string(std::span<const int64_t>(type.shape)));
}

Tensor::Tensor(TensorType t) : type(std::move(t)), bytes_(static_cast<size_t>(type.bytes())) {}

Tensor::Tensor(TensorType t, std::vector<std::byte> bytes) : type(std::move(t)), bytes_(std::move(bytes)) {
  KILN_CHECK(static_cast<int64_t>(bytes_.size()) == type.bytes(), "bytes do not fill the tensor");
}

Tensor Tensor::reshaped(Shape shape) const {
  Tensor t = *this;
  t.type.shape = std::move(shape);
  KILN_CHECK(t.type.elements() == type.elements(), "reshape changes the number of elements");
  return t;
}

std::vector<double> Tensor::to_doubles() const {
  std::vector<double> out;
  out.reserve(static_cast<size_t>(type.elements()));
  with_storage_type(type.dtype, [&]<class T>() {
    for (T value : as<T>()) {
      if (type.dtype == DType::f16) out.push_back(static_cast<double>(f16_to_float(static_cast<uint16_t>(value))));
      else if (type.dtype == DType::bf16) out.push_back(static_cast<double>(bf16_to_float(static_cast<uint16_t>(value))));
      else out.push_back(static_cast<double>(value));
    }
  });
  return out;
}

std::optional<std::vector<int64_t>> Tensor::to_int64s() const {
  if (is_float(type.dtype)) return std::nullopt;
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(type.elements()));
  with_storage_type(type.dtype, [&]<class T>() {
    for (T value : as<T>()) out.push_back(static_cast<int64_t>(value));
  });
  return out;
}

float f16_to_float(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  int exponent = (bits >> 10) & 31;
  uint32_t fraction = bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) {
    float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (static_cast<uint32_t>(exponent + 112) << 23) | (fraction << 13));
}

uint16_t float_to_f16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  float magnitude = std::fabs(value);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x1p-14f)  // subnormal: an integer number of 2^-24, rounded to even
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24f)));
  uint32_t m = bits & 0x7fffffffu;
  uint32_t rounded = m + 0xfffu + ((m >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t float_to_bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace kiln
