// SPDX-License-Identifier: Apache-2.0
// Integer forms of binary operators on quantized bytes: nn::ref::qbinary_integer with the factors that the compiler found, against the independent
// evaluator for all pairs of operands.
#include <catch2/catch.hpp>
#include <cmath>

#include "targets/kernels/qbinary_form.h"
#include "nn/functors.h"
#include "nn/ref/qbinary.h"
#include "tests/kernels/integer_layers.h"
#include "tests/kernels/integer_oracle.h"

using namespace kiln;

namespace {

struct Formed : QBinary {
  int32_t a_factor = 0, b_factor = 0, offset = 0, shift = 0;
};

/// Operands with zero points, scales as in real layers: the result covers about the range of the operands.
template <class A, class B, class Y>
QBinary random_operator(LayerNumbers& n, bool product) {
  QBinary d;
  d.rank = 2;
  d.dims = Dims(std::vector<int64_t>{256, 256});
  d.a_strides = Dims(std::vector<int64_t>{1, 0});
  d.b_strides = Dims(std::vector<int64_t>{0, 1});
  n.result_grid<Y>(d);
  d.a_zero_point = n.element<A>(), d.b_zero_point = n.element<B>();
  d.a_scale = n.scale(1e-3, 1), d.b_scale = d.a_scale * n.scale(0.2, 5);
  d.y_scale = product ? d.a_scale * d.b_scale * n.scale(30, 300) : std::max(d.a_scale, d.b_scale) * n.scale(0.7, 2);
  return d;
}

/// Whether there is a form; it must be right for all pairs.
template <class F, class A, class B, class Y, class OracleF>
bool check_form(const QBinary& d, std::string_view functor, OracleF f) {
  std::optional<kernels::IntegerForm> form = kernels::integer_form(d, functor, dtype_of<A>(), dtype_of<B>());
  if (!form) return false;
  Formed formed{d, form->a_factor, form->b_factor, form->offset, form->shift};
  std::vector<A> a;
  std::vector<B> b;
  for (int i = 0; i < 256; ++i) {
    a.push_back(static_cast<A>(i));
    b.push_back(static_cast<B>(i));
  }
  std::vector<Y> y(65536), want;
  nn::ref::qbinary_integer<F, nn::fn::none>(formed, a.data(), b.data(), y.data());
  for (A left : a)
    for (B right : b) {
      float real = f(oracle::product(static_cast<float>(left - d.a_zero_point), d.a_scale), oracle::product(static_cast<float>(right - d.b_zero_point), d.b_scale));
      want.push_back(static_cast<Y>(oracle::saturate(oracle::quotient(real, d.y_scale), d.y_zero_point, d.low, d.high)));
    }
  REQUIRE(y == want);
  return true;
}

}  // namespace

TEST_CASE("integer forms of sums and products give the float formula's result for all pairs") {
  LayerNumbers n(31);
  int sums = 0, products = 0;
  for (int i = 0; i < 20; ++i) {
    sums += check_form<nn::fn::add, int8_t, int8_t, int8_t>(random_operator<int8_t, int8_t, int8_t>(n, false), "add", oracle::sum);
    sums += check_form<nn::fn::sub, uint8_t, int8_t, uint8_t>(random_operator<uint8_t, int8_t, uint8_t>(n, false), "sub", [](float a, float b) { return oracle::sum(a, -b); });
    products += check_form<nn::fn::mul, int8_t, uint8_t, int8_t>(random_operator<int8_t, uint8_t, int8_t>(n, true), "mul", oracle::product);
  }
  CAPTURE(sums, products);
  CHECK(sums >= 32);
  CHECK(products >= 16);
}

TEST_CASE("operators whose float formula rounds ties have no integer form") {
  LayerNumbers n(32);
  QBinary d = random_operator<int8_t, int8_t, int8_t>(n, false);
  d.low = -128, d.high = 127;
  d.a_zero_point = d.b_zero_point = d.y_zero_point = 0;
  d.a_scale = d.b_scale = 0.25f, d.y_scale = 0.5f;
  CHECK_FALSE(kernels::integer_form(d, "add", DType::i8, DType::i8).has_value());
  CHECK_FALSE(kernels::integer_form(d, "max", DType::i8, DType::i8).has_value());
  d.y_scale = 0.25f;
  CHECK(check_form<nn::fn::add, int8_t, int8_t, int8_t>(d, "add", oracle::sum));
}
