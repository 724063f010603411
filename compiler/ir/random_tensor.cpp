// SPDX-License-Identifier: Apache-2.0
// The generator is splitmix64 (G. Steele, D. Lea, C. Flood: Fast splittable pseudorandom number generators, 2014).
#include "compiler/ir/random_tensor.h"

#include <utility>

namespace kiln {
namespace {

struct Generator {
  uint64_t state;

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// Uniform in [-1, 1), a multiple of 2^-23: exact in float.
  float unit() { return static_cast<float>(static_cast<int32_t>(next() >> 40) - (1 << 23)) * 0x1p-23f; }
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1)); }
};

std::pair<int64_t, int64_t> integer_range(DType dtype) {
  switch (dtype) {
    case DType::boolean: return {0, 1};
    case DType::i4: return {-8, 7};
    case DType::u4: return {0, 15};
    case DType::i8: return {-128, 127};
    case DType::u8: return {0, 255};
    default: return {is_signed_integer(dtype) ? -100 : 0, 100};
  }
}

}  // namespace

Tensor random_tensor(TensorType type, uint64_t seed) {
  Tensor tensor(std::move(type));
  Generator random{seed};
  DType dtype = tensor.type.dtype;
  with_storage_type(dtype, [&]<class T>() {
    for (T& element : tensor.as<T>()) {
      if (dtype == DType::f16) element = static_cast<T>(float_to_f16(random.unit()));
      else if (dtype == DType::bf16) element = static_cast<T>(float_to_bf16(random.unit()));
      else if (is_float(dtype)) element = static_cast<T>(random.unit());
      else element = static_cast<T>(random.between(integer_range(dtype).first, integer_range(dtype).second));
    }
  });
  return tensor;
}

}  // namespace kiln
