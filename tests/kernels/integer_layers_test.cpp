// SPDX-License-Identifier: Apache-2.0
// Generated integer convolutions, dense layers and matrix products by the reference kernels against the independent evaluator, exactly.
#include <catch2/catch.hpp>
#include <cmath>

#include "nn/ref/qconv2d.h"
#include "nn/ref/qdense.h"
#include "tests/kernels/integer_layers.h"
#include "tests/kernels/integer_oracle.h"

using namespace kiln;

namespace {

constexpr int kLayers = 500;

template <class X, class W, class Y>
void check_conv2d(LayerNumbers& n) {
  QConv2d d = random_window(n);
  d.groups = n.pick(0, 2) == 0 ? n.pick(1, 4) : 1;
  int32_t per_group = n.pick(1, 9);
  d.in_c = d.groups * per_group, d.out_c = d.groups * n.pick(1, 6);
  auto o = operands<X, W, Y>(n, d, int64_t{d.batch} * d.in_h * d.in_w * d.in_c, d.out_c, d.kernel_h * d.kernel_w * per_group);
  std::vector<Y> y(static_cast<size_t>(d.batch * d.out_h * d.out_w * d.out_c));
  nn::ref::qconv2d(d, o.x.data(), o.w.data(), o.folded.data(), o.m.data(), y.data());
  REQUIRE(y == oracle::conv2d<Y>(d, o.x, o.w, o.bias, o.m));
}

template <class X, class W, class Y>
void check_depthwise2d(LayerNumbers& n) {
  QConv2d as_conv = random_window(n);
  as_conv.in_c = as_conv.out_c = as_conv.groups = n.pick(1, 12);
  int32_t taps = as_conv.kernel_h * as_conv.kernel_w;
  auto o = operands<X, W, Y>(n, as_conv, int64_t{as_conv.batch} * as_conv.in_h * as_conv.in_w * as_conv.in_c, as_conv.out_c, taps);
  QDepthwise2d d = depthwise_of(as_conv);
  std::vector<W> by_tap = by_taps(o.w, d.channels);
  std::vector<Y> y(static_cast<size_t>(d.batch * d.out_h * d.out_w * d.channels));
  nn::ref::qdepthwise2d(d, o.x.data(), by_tap.data(), o.folded.data(), o.m.data(), y.data());
  REQUIRE(y == oracle::conv2d<Y>(as_conv, o.x, o.w, o.bias, o.m));
}

template <class X, class W, class Y>
void check_dense(LayerNumbers& n) {
  QConv2d c = dense_as_conv(n.pick(1, 9), n.pick(1, 70), n.pick(1, 40));
  auto o = operands<X, W, Y>(n, c, int64_t{c.in_w} * c.in_c, c.out_c, c.in_c);
  QDense d = dense_of(c);
  std::vector<Y> y(static_cast<size_t>(d.rows * d.out));
  nn::ref::qdense(d, o.x.data(), o.w.data(), o.folded.data(), o.m.data(), y.data());
  REQUIRE(y == oracle::conv2d<Y>(c, o.x, o.w, o.bias, o.m));
}

template <class A, class B, class Y>
void check_matmul(LayerNumbers& n) {
  QMatmul d;
  int32_t outer = n.pick(1, 3), inner = n.pick(1, 3);
  d.m = n.pick(1, 6), d.n = n.pick(1, 9), d.k = n.pick(1, 30);
  bool a_repeats = n.pick(0, 1) != 0, b_repeats = n.pick(0, 1) != 0;  // along the outer batch dimension
  d.rank = 2;
  d.batch = Dims(std::vector<int64_t>{outer, inner});
  d.a_strides = Dims(std::vector<int64_t>{a_repeats ? 0 : inner * d.m * d.k, d.m * d.k});
  d.b_strides = Dims(std::vector<int64_t>{b_repeats ? 0 : inner * d.k * d.n, d.k * d.n});
  d.a_zero_point = n.element<A>(), d.b_zero_point = n.element<B>();
  n.result_grid<Y>(d);
  bool fits = std::exp2(8.0 * sizeof(A)) * std::exp2(8.0 * sizeof(B)) * d.k < std::exp2(31.0);
  d.wide = fits ? n.pick(0, 1) : 1;
  double spread = std::max(d.high - d.low, 1) / (std::exp2(8.0 * (sizeof(A) + sizeof(B)) - 3) * std::sqrt(d.k));
  d.multiplier = static_cast<float>(spread * n.scale(0.1, 2));
  std::vector<A> a = n.elements<A>((a_repeats ? 1 : outer) * inner * d.m * d.k);
  std::vector<B> b = n.elements<B>((b_repeats ? 1 : outer) * inner * d.k * d.n);
  std::vector<Y> y(static_cast<size_t>(outer * inner * d.m * d.n)), want;
  nn::ref::qmatmul(d, a.data(), b.data(), y.data());
  for (int32_t batch = 0; batch < outer * inner; ++batch)
    for (int32_t row = 0; row < d.m; ++row)
      for (int32_t column = 0; column < d.n; ++column) {
        int64_t acc = 0;
        for (int32_t k = 0; k < d.k; ++k) {
          int32_t of_a = a_repeats ? batch % inner : batch, of_b = b_repeats ? batch % inner : batch;
          acc += int64_t{a[static_cast<size_t>((of_a * d.m + row) * d.k + k)] - d.a_zero_point} * (b[static_cast<size_t>((of_b * d.k + k) * d.n + column)] - d.b_zero_point);
        }
        want.push_back(oracle::result<Y>(d, acc, d.multiplier));
      }
  REQUIRE(y == want);
}

}  // namespace

TEST_CASE("generated integer convolutions equal the independent evaluator") {
  LayerNumbers numbers(1);
  for (int i = 0; i < kLayers; ++i) with_layer_types(i % kLayerTypes, [&]<class X, class W, class Y>() { check_conv2d<X, W, Y>(numbers); });
}

TEST_CASE("generated integer depthwise convolutions equal the independent evaluator") {
  LayerNumbers numbers(2);
  for (int i = 0; i < kLayers; ++i) with_layer_types(i % kLayerTypes, [&]<class X, class W, class Y>() { check_depthwise2d<X, W, Y>(numbers); });
}

TEST_CASE("generated integer dense layers equal the independent evaluator") {
  LayerNumbers numbers(3);
  for (int i = 0; i < kLayers; ++i) with_layer_types(i % kLayerTypes, [&]<class X, class W, class Y>() { check_dense<X, W, Y>(numbers); });
}

TEST_CASE("generated integer matrix products equal the independent evaluator") {
  LayerNumbers numbers(4);
  for (int i = 0; i < kLayers; ++i) with_layer_types(i % kLayerTypes, [&]<class X, class W, class Y>() { check_matmul<X, W, Y>(numbers); });
}
