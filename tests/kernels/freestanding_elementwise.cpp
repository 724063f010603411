// SPDX-License-Identifier: Apache-2.0
// Instances of the elementwise kernels, for freestanding_check.sh: templates show their warnings only when instantiated.
#include "nn/functors_math.h"
#include "nn/math_f64.h"
#include "nn/ref/cast.h"
#include "nn/ref/elementwise.h"

namespace instances {

struct D1 {
  static constexpr int32_t count = 7;
  static constexpr float alpha = 0.5f;
  static constexpr float beta = 2.0f;
};

struct D3 {
  static constexpr int32_t rank = 3;
  static constexpr int32_t dims[] = {2, 3, 4};
  static constexpr int32_t a_strides[] = {12, 4, 1};
  static constexpr int32_t b_strides[] = {0, 1, 0};
  static constexpr int32_t c_strides[] = {4, 0, 1};
  static constexpr float alpha = 0.5f;
  static constexpr float beta = 2.0f;
};

template <class U, class T, class... F>
void unaries(const T* x, U* y) {
  (nn::ref::unary<F>(D1{}, x, y), ...);
}

template <class U, class T, class... F>
void binaries(const T* a, const T* b, U* y) {
  (nn::ref::binary<F, nn::fn::none>(D3{}, a, b, y), ...);
}

template <class T>
void floats(const T* a, const T* b, T* y, uint8_t* flags) {
  using namespace nn;
  unaries<T, T, fn::relu, fn::leaky_relu, fn::clip, fn::hard_sigmoid, fn::hard_swish, fn::thresholded_relu, fn::shrink, fn::neg, fn::sign,
          fn::reciprocal>(a, y);
  unaries<T, T, fn::sigmoid, fn::tanh, fn::softplus, fn::softsign, fn::elu, fn::selu, fn::celu, fn::swish, fn::mish, fn::gelu,
          fn::gelu_tanh>(a, y);
  unaries<T, T, fn::abs, fn::sqrt, fn::floor, fn::ceil, fn::round, fn::exp, fn::log, fn::erf, fn::sin, fn::cos, fn::tan, fn::asin, fn::acos,
          fn::atan, fn::sinh, fn::cosh, fn::asinh, fn::acosh, fn::atanh>(a, y);
  unaries<uint8_t, T, fn::is_nan, fn::is_inf>(a, flags);
  binaries<T, T, fn::add, fn::sub, fn::mul, fn::div, fn::max, fn::min, fn::prelu, fn::pow, fn::fmod>(a, b, y);
  binaries<uint8_t, T, fn::equal, fn::less, fn::less_equal, fn::greater, fn::greater_equal>(a, b, flags);
  ref::binary<fn::add, fn::relu>(D3{}, a, b, y);
  ref::where(D3{}, flags, a, b, y);
}

template <class T>
void integers(const T* a, const T* b, T* y, uint8_t* flags) {
  using namespace nn;
  unaries<T, T, fn::relu, fn::neg, fn::sign, fn::abs, fn::bitwise_not, fn::logical_not>(a, y);
  binaries<T, T, fn::add, fn::sub, fn::mul, fn::div, fn::modulo, fn::remainder, fn::max, fn::min, fn::prelu, fn::pow, fn::bitwise_and,
           fn::bitwise_or, fn::bitwise_xor>(a, b, y);
  if constexpr (T(-1) > T(0)) binaries<T, T, fn::shift_left, fn::shift_right>(a, b, y);
  binaries<uint8_t, T, fn::equal, fn::less, fn::less_equal, fn::greater, fn::greater_equal>(a, b, flags);
  ref::where(D3{}, flags, a, b, y);
}

template <class From, class T>
void casts(const T* x, void* y) {
  using namespace nn;
  ref::cast<From, fn::plain>(D1{}, x, static_cast<float*>(y));
  ref::cast<From, fn::plain>(D1{}, x, static_cast<double*>(y));
  ref::cast<From, fn::plain>(D1{}, x, static_cast<int8_t*>(y));
  ref::cast<From, fn::plain>(D1{}, x, static_cast<uint16_t*>(y));
  ref::cast<From, fn::plain>(D1{}, x, static_cast<int32_t*>(y));
  ref::cast<From, fn::plain>(D1{}, x, static_cast<uint64_t*>(y));
  ref::cast<From, fn::f16>(D1{}, x, static_cast<uint16_t*>(y));
  ref::cast<From, fn::bf16>(D1{}, x, static_cast<uint16_t*>(y));
  ref::cast<From, fn::i4>(D1{}, x, static_cast<int8_t*>(y));
  ref::cast<From, fn::u4>(D1{}, x, static_cast<uint8_t*>(y));
  ref::cast<From, fn::boolean>(D1{}, x, static_cast<uint8_t*>(y));
}

}  // namespace instances

void elementwise_instances(const void* a, const void* b, void* y, uint8_t* flags);
void elementwise_instances(const void* a, const void* b, void* y, uint8_t* flags) {
  using namespace instances;
  const auto of_float = [&](auto zero) {
    using T = decltype(zero);
    floats(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(y), flags);
    casts<nn::fn::plain>(static_cast<const T*>(a), y);
  };
  const auto of_integer = [&](auto zero) {
    using T = decltype(zero);
    integers(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(y), flags);
    casts<nn::fn::plain>(static_cast<const T*>(a), y);
  };
  of_float(float{});
  of_float(double{});
  of_integer(int8_t{});
  of_integer(uint8_t{});
  of_integer(int16_t{});
  of_integer(uint16_t{});
  of_integer(int32_t{});
  of_integer(uint32_t{});
  of_integer(int64_t{});
  of_integer(uint64_t{});
  casts<nn::fn::f16>(static_cast<const uint16_t*>(a), y);
  casts<nn::fn::bf16>(static_cast<const uint16_t*>(a), y);
  casts<nn::fn::i4>(static_cast<const int8_t*>(a), y);
  casts<nn::fn::u4>(static_cast<const uint8_t*>(a), y);
  casts<nn::fn::boolean>(static_cast<const uint8_t*>(a), y);
}
