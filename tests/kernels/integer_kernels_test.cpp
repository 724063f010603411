// SPDX-License-Identifier: Apache-2.0
// Generated elementwise operators, pools, sums, softmax, resizing and normalization on integers by the reference kernels against the
// independent evaluator, exactly.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "nn/ref/layer_norm.h"
#include "nn/ref/qelementwise.h"
#include "nn/ref/qpool2d.h"
#include "nn/ref/qreduce.h"
#include "nn/ref/qresize2d.h"
#include "nn/ref/qsoftmax.h"
#include "tests/kernels/integer_layers.h"
#include "tests/kernels/integer_oracle.h"

using namespace kiln;

namespace {

constexpr int kLayers = 500;

template <class F>
void with_two_types(int32_t which, F&& f) {
  switch (which % 6) {
    case 0: return f.template operator()<int8_t, int8_t>();
    case 1: return f.template operator()<uint8_t, uint8_t>();
    case 2: return f.template operator()<int16_t, int16_t>();
    case 3: return f.template operator()<uint16_t, uint8_t>();
    case 4: return f.template operator()<int8_t, uint16_t>();
    default: return f.template operator()<uint8_t, int8_t>();
  }
}

Dims dims(const std::vector<int64_t>& list) { return Dims(list); }
float identity(const QBinary&, float x) { return x; }
float relu(const QBinary&, float x) { return x < 0 ? 0 : x; }
float clip(const QBinary& d, float x) { return std::min(std::max(x, d.alpha), d.beta); }

template <class F, class Act, class A, class B, class Y, class OracleF, class OracleAct>
void check_binary(LayerNumbers& n, OracleF f, OracleAct act) {
  QBinary d;
  int32_t outer = n.pick(1, 5), inner = n.pick(1, 40);
  bool row_a = n.pick(0, 2) == 0, column_b = !row_a && n.pick(0, 1) == 0;  // operands that repeat along one dimension
  d.rank = 2;
  d.dims = dims({outer, inner});
  d.a_strides = row_a ? dims({0, 1}) : dims({inner, 1});
  d.b_strides = column_b ? dims({1, 0}) : dims({inner, 1});
  d.a_zero_point = n.element<A>(), d.b_zero_point = n.element<B>();
  n.result_grid<Y>(d);
  d.a_scale = n.scale(1e-4, 10), d.b_scale = d.a_scale * n.scale(0.1, 10), d.y_scale = d.a_scale * n.scale(0.1, 10);
  d.alpha = -2.5f * d.y_scale, d.beta = 30.25f * d.y_scale;
  std::vector<A> a = n.elements<A>(int64_t{outer} * inner);
  std::vector<B> b = n.elements<B>(int64_t{outer} * inner);
  std::vector<Y> y(a.size()), want;
  nn::ref::qbinary<F, Act>(d, a.data(), b.data(), y.data());
  for (int32_t i = 0; i < outer; ++i)
    for (int32_t k = 0; k < inner; ++k) {
      float left = oracle::product(static_cast<float>(a[static_cast<size_t>(row_a ? k : i * inner + k)] - d.a_zero_point), d.a_scale);
      float right = oracle::product(static_cast<float>(b[static_cast<size_t>(column_b ? i : i * inner + k)] - d.b_zero_point), d.b_scale);
      want.push_back(static_cast<Y>(oracle::saturate(oracle::quotient(act(d, f(left, right)), d.y_scale), d.y_zero_point, d.low, d.high)));
    }
  REQUIRE(y == want);
}

template <class X, class Y>
void check_average_pool(LayerNumbers& n) {
  AveragePool pool = random_average_pool<X, Y>(n, n.pick(1, 9));
  const QPool2d& d = pool.d;
  std::vector<X> x = n.elements<X>(int64_t{d.batch} * d.in_h * d.in_w * d.channels);
  std::vector<Y> y(static_cast<size_t>(d.batch * d.out_h * d.out_w * d.channels));
  nn::ref::qaverage_pool2d(d, x.data(), pool.m.data(), y.data());
  REQUIRE(y == oracle::average_pool2d<Y>(d, x, pool.x_scale, pool.y_scale));
}

/// Sums of [a, b, c] over some of its dimensions.
template <class X, class Y>
void check_reduce(LayerNumbers& n, int32_t last_dim) {
  const int32_t sizes[] = {n.pick(1, 5), n.pick(1, 6), last_dim}, strides[] = {sizes[1] * sizes[2], sizes[2], 1};
  int32_t reduced_mask = n.pick(1, 7);
  std::vector<int64_t> kept, kept_strides, reduced, reduced_strides;
  for (int32_t k = 0; k < 3; ++k) {
    bool is_reduced = (reduced_mask >> k & 1) != 0;
    (is_reduced ? reduced : kept).push_back(sizes[k]);
    (is_reduced ? reduced_strides : kept_strides).push_back(strides[k]);
  }
  if (kept.empty()) kept = {1}, kept_strides = {0};
  QReduce d;
  d.kept_rank = static_cast<int32_t>(kept.size()), d.kept = dims(kept), d.kept_strides = dims(kept_strides);
  d.reduced_rank = static_cast<int32_t>(reduced.size()), d.reduced = dims(reduced), d.reduced_strides = dims(reduced_strides);
  d.x_zero_point = n.element<X>();
  n.result_grid<Y>(d);
  d.multiplier = n.scale(0.01, 0.5) * (sizeof(X) > sizeof(Y) ? 1.0f / 256 : 1.0f);
  std::vector<X> x = n.elements<X>(int64_t{sizes[0]} * sizes[1] * sizes[2]);
  int64_t results = 1;
  for (int64_t k : kept) results *= k;
  std::vector<int64_t> sums(static_cast<size_t>(results));
  for (int32_t i = 0; i < sizes[0]; ++i)
    for (int32_t j = 0; j < sizes[1]; ++j)
      for (int32_t k = 0; k < sizes[2]; ++k) {
        int64_t at = 0;
        const int32_t index[] = {i, j, k};
        for (int32_t axis = 0; axis < 3; ++axis)
          if ((reduced_mask >> axis & 1) == 0) at = at * sizes[axis] + index[axis];
        sums[static_cast<size_t>(at)] += x[static_cast<size_t>(i * strides[0] + j * strides[1] + k)] - d.x_zero_point;
      }
  std::vector<Y> y(sums.size()), want;
  nn::ref::qreduce_sum(d, x.data(), y.data());
  for (int64_t acc : sums) want.push_back(static_cast<Y>(oracle::requantize(acc, d.multiplier, d.y_zero_point, d.low, d.high)));
  REQUIRE(y == want);
}

template <class X, class Y>
void check_softmax(LayerNumbers& n) {
  QSoftmax d;
  d.outer = n.pick(1, 4), d.axis_dim = n.pick(1, 30), d.inner = n.pick(0, 1) == 0 ? 1 : n.pick(1, 4);
  n.result_grid<Y>(d);
  d.y_scale = n.scale(1.0 / 1024, 1.0 / 64);
  float x_scale = n.scale(0.01, 0.5);
  std::vector<float> table;
  for (int32_t k = 0; k < 256; ++k) table.push_back(static_cast<float>(std::exp(-k * static_cast<double>(x_scale))));
  std::vector<X> x = n.elements<X>(int64_t{d.outer} * d.axis_dim * d.inner);
  std::vector<Y> y(x.size()), want(x.size());
  nn::ref::qsoftmax(d, x.data(), table.data(), y.data());
  for (int32_t outer = 0; outer < d.outer; ++outer)
    for (int32_t inner = 0; inner < d.inner; ++inner) {
      auto at = [&](int32_t k) { return static_cast<size_t>((outer * d.axis_dim + k) * d.inner + inner); };
      int32_t top = x[at(0)];
      for (int32_t k = 0; k < d.axis_dim; ++k) top = std::max<int32_t>(top, x[at(k)]);
      float sum = 0;
      for (int32_t k = 0; k < d.axis_dim; ++k) sum = oracle::sum(sum, table[static_cast<size_t>(top - x[at(k)])]);
      for (int32_t k = 0; k < d.axis_dim; ++k)
        want[at(k)] = static_cast<Y>(oracle::saturate(oracle::quotient(oracle::quotient(table[static_cast<size_t>(top - x[at(k)])], sum), d.y_scale), d.y_zero_point, d.low, d.high));
    }
  REQUIRE(y == want);
}

template <class X, class Y>
void check_resize(LayerNumbers& n) {
  QResize2d d;
  d.batch = n.pick(1, 2), d.in_h = n.pick(1, 6), d.in_w = n.pick(1, 6), d.channels = n.pick(1, 5), d.out_h = n.pick(1, 9), d.out_w = n.pick(1, 9);
  d.x_zero_point = n.element<X>();
  n.result_grid<Y>(d);
  d.multiplier = n.scale(0.3, 1.5) * (sizeof(X) > sizeof(Y) ? 1.0f / 256 : 1.0f);
  std::vector<int32_t> rows, columns;
  for (int32_t i = 0; i < d.out_h; ++i) rows.push_back(n.pick(0, d.in_h - 1));
  for (int32_t i = 0; i < d.out_w; ++i) columns.push_back(n.pick(0, d.in_w - 1));
  std::vector<float> row_weights = n.reals(d.out_h, 0, 1), column_weights = n.reals(d.out_w, 0, 1);
  std::vector<X> x = n.elements<X>(int64_t{d.batch} * d.in_h * d.in_w * d.channels);
  std::vector<Y> y(static_cast<size_t>(d.batch * d.out_h * d.out_w * d.channels));
  nn::ref::qresize_linear2d(d, x.data(), rows.data(), row_weights.data(), columns.data(), column_weights.data(), y.data());
  REQUIRE(y == oracle::resize_linear2d<Y>(d, x, rows, row_weights, columns, column_weights));
}

template <class X, class Y>
void check_layer_norm(LayerNumbers& n) {
  QLayerNorm d;
  d.rows = n.pick(1, 4), d.count = n.pick(2, 50);
  d.x_zero_point = n.element<X>();
  n.result_grid<Y>(d);
  d.epsilon = n.pick(0, 3) == 0 ? 1e-3f : 1e-5f, d.x_scale = n.scale(0.001, 0.2), d.y_scale = n.scale(0.01, 0.05) * (sizeof(Y) > 1 ? 1.0f / 256 : 1.0f);
  std::vector<float> scale = n.reals(d.count, -2, 2), bias = n.reals(d.count, -1, 1);
  std::vector<X> x = n.elements<X>(int64_t{d.rows} * d.count);
  std::vector<Y> y(x.size()), want;
  std::vector<float> real, real_y(x.size()), real_want;
  nn::ref::qlayer_norm(d, x.data(), scale.data(), bias.data(), y.data());
  for (X v : x) real.push_back(oracle::product(static_cast<float>(v - d.x_zero_point), d.x_scale));
  nn::ref::layer_norm(LayerNorm{d.rows, d.count, d.epsilon}, real.data(), scale.data(), bias.data(), real_y.data());
  for (int32_t row = 0; row < d.rows; ++row) {
    std::vector<float> one(real.begin() + row * d.count, real.begin() + (row + 1) * d.count);
    for (float v : oracle::layer_norm(one, d.epsilon, scale, bias)) {
      real_want.push_back(v);
      want.push_back(static_cast<Y>(oracle::saturate(oracle::quotient(v, d.y_scale), d.y_zero_point, d.low, d.high)));
    }
  }
  REQUIRE(real_y == real_want);
  REQUIRE(y == want);
}

template <class X, class Y>
void check_conversions(LayerNumbers& n) {
  const int32_t outer = n.pick(1, 3), channels = n.pick(1, 5), inner = n.pick(1, 9);
  Dequantize of{outer, channels, inner};
  Quantize to{outer, channels, inner, std::numeric_limits<Y>::min(), std::numeric_limits<Y>::max()};
  std::vector<float> x_scale, y_scale;
  std::vector<int32_t> x_zero, y_zero;
  for (int32_t c = 0; c < channels; ++c) {
    x_scale.push_back(n.scale(1e-3, 1)), y_scale.push_back(x_scale.back() * n.scale(0.5, 2) * (sizeof(X) > sizeof(Y) ? 256.0f : 1.0f));
    x_zero.push_back(n.element<X>()), y_zero.push_back(n.element<Y>());
  }
  std::vector<X> x = n.elements<X>(int64_t{outer} * channels * inner);
  std::vector<float> real(x.size()), real_want;
  std::vector<Y> y(x.size()), want;
  nn::ref::dequantize(of, x.data(), x_scale.data(), x_zero.data(), real.data());
  nn::ref::quantize(to, real.data(), y_scale.data(), y_zero.data(), y.data());
  for (size_t i = 0; i < x.size(); ++i) {
    size_t c = i / static_cast<size_t>(inner) % static_cast<size_t>(channels);
    real_want.push_back(oracle::product(static_cast<float>(x[i] - x_zero[c]), x_scale[c]));
    want.push_back(static_cast<Y>(oracle::saturate(oracle::quotient(real_want[i], y_scale[c]), y_zero[c], to.low, to.high)));
  }
  REQUIRE(real == real_want);
  REQUIRE(y == want);
}

}  // namespace

TEST_CASE("generated integer binary operators equal the independent evaluator") {
  LayerNumbers n(11);
  auto larger = [](float a, float b) { return std::max(a, b); };
  for (int i = 0; i < kLayers; ++i) {
    switch (i % 8) {
      case 0: check_binary<nn::fn::add, nn::fn::none, int8_t, int8_t, int8_t>(n, oracle::sum, identity); break;
      case 1: check_binary<nn::fn::add, nn::fn::relu, uint8_t, int8_t, uint8_t>(n, oracle::sum, relu); break;
      case 2: check_binary<nn::fn::mul, nn::fn::clip, int8_t, uint8_t, int8_t>(n, oracle::product, clip); break;
      case 3: check_binary<nn::fn::sub, nn::fn::none, uint8_t, uint8_t, uint8_t>(n, [](float a, float b) { return oracle::sum(a, -b); }, identity); break;
      case 4: check_binary<nn::fn::div, nn::fn::clip, int8_t, int8_t, int8_t>(n, oracle::quotient, clip); break;
      case 5: check_binary<nn::fn::max, nn::fn::none, int16_t, int8_t, int16_t>(n, larger, identity); break;
      case 6: check_binary<nn::fn::mul, nn::fn::none, uint16_t, uint8_t, uint16_t>(n, oracle::product, identity); break;
      default: check_binary<nn::fn::add, nn::fn::clip, int16_t, uint16_t, int8_t>(n, oracle::sum, clip); break;
    }
  }
}

TEST_CASE("generated conversions from and to quantized tensors equal the independent evaluator") {
  LayerNumbers n(12);
  for (int i = 0; i < kLayers; ++i) with_two_types(i, [&]<class X, class Y>() { check_conversions<X, Y>(n); });
}

TEST_CASE("generated integer average pools equal the independent evaluator") {
  LayerNumbers n(13);
  for (int i = 0; i < kLayers; ++i) with_two_types(i, [&]<class X, class Y>() { check_average_pool<X, Y>(n); });
}

TEST_CASE("generated integer sums equal the independent evaluator") {
  LayerNumbers n(14);
  for (int i = 0; i < kLayers; ++i) with_two_types(i, [&]<class X, class Y>() { check_reduce<X, Y>(n, n.pick(1, 40)); });
  check_reduce<uint16_t, int8_t>(n, 40000);  // more than fits 32 bits
}

TEST_CASE("generated integer softmax equals the independent evaluator") {
  LayerNumbers n(15);
  for (int i = 0; i < kLayers; ++i) {
    switch (i % 3) {
      case 0: check_softmax<int8_t, int8_t>(n); break;
      case 1: check_softmax<uint8_t, uint8_t>(n); break;
      default: check_softmax<int8_t, int16_t>(n); break;
    }
  }
}

TEST_CASE("generated integer linear resizing equals the independent evaluator") {
  LayerNumbers n(16);
  for (int i = 0; i < kLayers; ++i) with_two_types(i, [&]<class X, class Y>() { check_resize<X, Y>(n); });
}

TEST_CASE("generated layer normalization, float and integer, equals the independent evaluator") {
  LayerNumbers n(17);
  for (int i = 0; i < kLayers; ++i) with_two_types(i, [&]<class X, class Y>() { check_layer_norm<X, Y>(n); });
}

TEST_CASE("a lookup takes its index as a byte") {
  std::vector<int16_t> table(256);
  for (int32_t i = 0; i < 256; ++i) table[static_cast<size_t>(i)] = static_cast<int16_t>(i * 100 - 9000);
  const int8_t x[] = {0, 1, 127, -128, -1};
  int16_t y[5];
  nn::ref::lookup(Lookup{5}, x, table.data(), y);
  CHECK(std::vector<int16_t>(y, y + 5) == std::vector<int16_t>{-9000, -8900, 3700, 3800, 16500});
}

TEST_CASE("generated lookups read the entry of each byte") {
  LayerNumbers n(18);
  for (int i = 0; i < kLayers; ++i)
    with_two_types(i, [&]<class, class Y>() {
      std::vector<Y> table = n.elements<Y>(256);
      std::vector<int8_t> x = n.elements<int8_t>(n.pick(1, 300));
      std::vector<Y> y(x.size()), expected;
      for (int8_t v : x) expected.push_back(table[static_cast<size_t>(v < 0 ? v + 256 : v)]);
      nn::ref::lookup(Lookup{static_cast<int32_t>(x.size())}, x.data(), table.data(), y.data());
      REQUIRE(y == expected);
    });
}

TEST_CASE("generated dynamic quantizations follow the definition") {
  LayerNumbers n(19);
  for (int i = 0; i < kLayers; ++i) {
    std::vector<float> x;
    for (int32_t k = n.pick(1, 200), size = n.pick(1, 4000); k > 0; --k) x.push_back(static_cast<float>(n.pick(i % 3 == 0 ? 0 : -size, i % 3 == 1 ? 0 : size)) * 0.0173f);
    float low = std::min(0.0f, *std::min_element(x.begin(), x.end())), high = std::max(0.0f, *std::max_element(x.begin(), x.end()));
    float scale = high == low ? 1.0f : oracle::quotient(oracle::sum(high, -low), 255.0f);
    double zero = std::clamp(std::nearbyint(static_cast<double>(oracle::quotient(-low, scale))), 0.0, 255.0);
    std::vector<uint8_t> y(x.size()), expected;
    for (float v : x) expected.push_back(static_cast<uint8_t>(std::clamp(std::nearbyint(static_cast<double>(oracle::quotient(v, scale))) + zero, 0.0, 255.0)));
    float given_scale = 0;
    uint8_t given_zero = 0;
    nn::ref::dynamic_quantize(DynamicQuantize{static_cast<int32_t>(x.size())}, x.data(), y.data(), &given_scale, &given_zero);
    REQUIRE(given_scale == scale);
    REQUIRE(given_zero == zero);
    REQUIRE(y == expected);
  }
}

TEST_CASE("dynamic quantization widens the range to zero and gives scale 1 to a tensor of zeros") {
  auto quantized = [](const std::vector<float>& x) {
    std::vector<uint8_t> y(x.size());
    float scale = 0;
    uint8_t zero_point = 0;
    nn::ref::dynamic_quantize(DynamicQuantize{static_cast<int32_t>(x.size())}, x.data(), y.data(), &scale, &zero_point);
    return std::tuple(y, scale, zero_point);
  };
  // The examples of the ONNX specification of DynamicQuantizeLinear.
  CHECK(quantized({0, 2, -3, -2.5f, 1.34f, 0.5f}) == std::tuple(std::vector<uint8_t>{153, 255, 0, 26, 221, 179}, 5.0f / 255, uint8_t{153}));
  CHECK(quantized({-1, -2.1f, -1.3f, -2.5f, -3.34f, -4}) == std::tuple(std::vector<uint8_t>{191, 121, 172, 96, 42, 0}, 4.0f / 255, uint8_t{255}));
  CHECK(quantized({1, 2.1f, 1.3f, 2.5f, 3.34f, 4, 1.5f, 2.6f, 3.9f, 4, 3, 2.345f}) ==
        std::tuple(std::vector<uint8_t>{64, 134, 83, 159, 213, 255, 96, 166, 249, 255, 191, 149}, 4.0f / 255, uint8_t{0}));
  CHECK(quantized({0, 0}) == std::tuple(std::vector<uint8_t>{0, 0}, 1.0f, uint8_t{0}));
}
