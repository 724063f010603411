// SPDX-License-Identifier: Apache-2.0
// Tensor types and constant tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/dtype.h"
#include "compiler/ir/shape.h"
#include "compiler/support/check.h"

namespace kiln {

/// The grid real = (stored - zero_point) * scale. One entry of each: the whole tensor; more: one per index of `axis`.
/// On an integer tensor it says what the elements mean. On a float tensor it says that every element lies on the grid, with
/// `stored` a `dtype`: such a tensor is the dequantized form of an integer one and can be turned back without loss.
struct Quant {
  std::vector<float> scale;
  std::vector<int32_t> zero_point;
  int64_t axis = 0;
  DType dtype = DType::i8;  ///< of the stored integers
  [[nodiscard]] bool per_axis() const { return scale.size() > 1; }
  bool operator==(const Quant&) const = default;
};

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;
  std::optional<Quant> quant;

  [[nodiscard]] int64_t elements() const { return element_count(shape); }
  [[nodiscard]] int64_t bytes() const { return elements() * element_bytes(dtype); }
  [[nodiscard]] int64_t rank() const { return static_cast<int64_t>(shape.size()); }
  bool operator==(const TensorType&) const = default;
};

/// "f32[1,25,5,64]".
std::string to_string(const TensorType& type);

/// A dense row-major tensor with its bytes in host order (little endian).
class Tensor {
 public:
  Tensor() = default;
  /// All bytes zero.
  explicit Tensor(TensorType type);
  Tensor(TensorType type, std::vector<std::byte> bytes);

  /// A tensor of the DType that stores T.
  template <class T>
  static Tensor of(Shape shape, std::span<const T> values) {
    Tensor t(TensorType{dtype_of<T>(), std::move(shape), {}});
    KILN_CHECK(static_cast<int64_t>(values.size()) == t.type.elements(), "values do not fill the shape");
    for (size_t i = 0; i < values.size(); ++i) t.as<T>()[i] = values[i];
    return t;
  }
  static Tensor floats(Shape shape, const std::vector<float>& values) { return of<float>(std::move(shape), values); }
  static Tensor int64s(const std::vector<int64_t>& values) { return of<int64_t>({static_cast<int64_t>(values.size())}, values); }

  /// The stored elements; sizeof(T) must be the element size (see with_storage_type).
  template <class T>
  [[nodiscard]] std::span<T> as() {
    KILN_CHECK(static_cast<int64_t>(sizeof(T)) == element_bytes(type.dtype), "tensor read with a wrong element size");
    return {reinterpret_cast<T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    KILN_CHECK(static_cast<int64_t>(sizeof(T)) == element_bytes(type.dtype), "tensor read with a wrong element size");
    return {reinterpret_cast<const T*>(bytes_.data()), bytes_.size() / sizeof(T)};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }

  /// The same bytes under another shape of as many elements.
  [[nodiscard]] Tensor reshaped(Shape shape) const;
  /// Each element converted to double (i64 and u64 may round).
  [[nodiscard]] std::vector<double> to_doubles() const;
  /// Elements of an integer or boolean tensor; for shapes, axes and the like. Fails on other types.
  [[nodiscard]] std::optional<std::vector<int64_t>> to_int64s() const;
  bool operator==(const Tensor&) const = default;

  TensorType type;

 private:
  std::vector<std::byte> bytes_;
};

/// IEEE binary16 and bfloat16, round to nearest even.
float f16_to_float(uint16_t bits);
uint16_t float_to_f16(float value);
float bf16_to_float(uint16_t bits);
uint16_t float_to_bf16(float value);

}  // namespace kiln
