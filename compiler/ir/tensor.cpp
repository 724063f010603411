// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/tensor.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "nn/half.h"

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

float f16_to_float(uint16_t bits) { return nn::f16_to_float(bits); }
uint16_t float_to_f16(float value) { return nn::float_to_f16(value); }
float bf16_to_float(uint16_t bits) { return nn::bf16_to_float(bits); }
uint16_t float_to_bf16(float value) { return nn::float_to_bf16(value); }

}  // namespace kiln
