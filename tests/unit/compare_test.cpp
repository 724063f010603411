// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/compare.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace kiln;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Comparison compare_floats(const std::vector<float>& got, const std::vector<float>& expected, const ComparisonRule& rule = {}) {
  Shape shape{static_cast<int64_t>(got.size())};
  return compare(Tensor::floats(shape, got), Tensor::floats(shape, expected), rule);
}

template <class T>
Comparison compare_integers(const std::vector<T>& got, const std::vector<T>& expected, double steps) {
  Shape shape{static_cast<int64_t>(got.size())};
  return compare(Tensor::of<T>(shape, got), Tensor::of<T>(shape, expected), {.steps = steps});
}

}  // namespace

TEST_CASE("ULP distance counts representable numbers, through zero too") {
  CHECK(ulp_distance(1.0f, 1.0f) == 0);
  CHECK(ulp_distance(1.0f, std::nextafter(1.0f, 2.0f)) == 1);
  CHECK(ulp_distance(std::nextafter(1.0f, 0.0f), std::nextafter(1.0f, 2.0f)) == 2);
  CHECK(ulp_distance(0.0f, -0.0f) == 0);
  float tiny = std::numeric_limits<float>::denorm_min();
  CHECK(ulp_distance(tiny, -tiny) == 2);
  CHECK(ulp_distance(-tiny, 0.0f) == 1);
  CHECK(ulp_distance(std::numeric_limits<float>::max(), kInf) == 1);
  CHECK(ulp_distance(-kInf, kInf) == 2ull * 0x7f800000ull);
  CHECK(ulp_distance(kNan, kNan) == 0);
  CHECK(ulp_distance(kNan, 1.0f) == Comparison::kManyUlps);
  CHECK(ulp_distance(1.0, std::nextafter(1.0, 0.0)) == 1);
  double least = std::numeric_limits<double>::lowest();
  CHECK(ulp_distance(least, -least) == 2ull * 0x7fefffffffffffffull);
}

TEST_CASE("equal tensors have no differences") {
  Comparison c = compare_floats({1, -2, 0, kInf, kNan}, {1, -2, -0.0f, kInf, kNan});
  CHECK(c.pass());
  CHECK(c.elements == 5);
  CHECK(c.different == 0);
  CHECK(c.max_abs == 0);
  CHECK(c.max_ulp == 0);
  CHECK(c.rmse == 0);
  CHECK(c.cosine == Approx(1));
  CHECK(c.worst == -1);
}

TEST_CASE("the worst element is the one furthest beyond its bound") {
  // 0.5 off on 1000 is within 1e-3 relative; 0.02 off on 1 is not.
  Comparison c = compare_floats({1000.5f, 1.02f, 3.0f}, {1000.0f, 1.0f, 3.0f}, {.absolute = 0, .relative = 1e-3});
  CHECK(!c.pass());
  CHECK(c.wrong == 1);
  CHECK(c.different == 2);
  CHECK(c.worst == 1);
  CHECK(c.worst_got == Approx(1.02));
  CHECK(c.worst_expected == 1);
  CHECK(c.max_abs == Approx(0.5));
  CHECK(c.max_rel == Approx(0.02).epsilon(1e-4));
  CHECK(c.rmse == Approx(std::sqrt((0.25 + 0.0004) / 3)).epsilon(1e-4));
}

TEST_CASE("the bound is inclusive and its two parts add up") {
  CHECK(compare_floats({1.5f}, {1.0f}, {.absolute = 0.25, .relative = 0.25}).pass());
  CHECK(!compare_floats({1.5f}, {1.0f}, {.absolute = 0.25, .relative = 0.125}).pass());
  CHECK(!compare_floats({std::nextafter(1.0f, 2.0f)}, {1.0f}, {.absolute = 0, .relative = 0}).pass());
}

TEST_CASE("NaN and infinity equal only themselves") {
  for (auto [got, expected] : {std::pair{kNan, 1.0f}, {1.0f, kNan}, {kInf, 1e30f}, {-1e30f, -kInf}, {kInf, -kInf}, {kNan, kInf}}) {
    INFO(got << " against " << expected);
    Comparison c = compare_floats({0.5f, got}, {0.5f, expected}, {.absolute = 1e38, .relative = 1e38});
    CHECK(!c.pass());
    CHECK(c.wrong == 1);
    CHECK(std::isinf(c.max_abs));
    CHECK(c.worst == 1);
    CHECK(c.cosine == Approx(1));
  }
}

TEST_CASE("integers are exact unless steps are allowed") {
  CHECK(compare_integers<int8_t>({-128, 5}, {-128, 5}, 0).pass());
  Comparison c = compare_integers<int8_t>({-128, 5, 7}, {-127, 5, 6}, 0);
  CHECK(c.wrong == 2);
  CHECK(c.max_abs == 1);
  CHECK(compare_integers<int8_t>({-128, 5, 7}, {-127, 5, 6}, 1).pass());
  CHECK(compare_integers<int8_t>({-128, 5, 7}, {-127, 5, 6}, 1).different == 2);
  CHECK(!compare_integers<uint8_t>({255}, {0}, 1).pass());
}

TEST_CASE("64-bit integers differ by one even where doubles cannot tell") {
  int64_t big = (int64_t{1} << 60) + 1;
  Comparison c = compare_integers<int64_t>({big}, {big - 1}, 0);
  CHECK(!c.pass());
  CHECK(c.max_abs == 1);
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();
  CHECK(compare_integers<int64_t>({kMin}, {kMax}, 0).max_abs == Approx(0x1p64));
}

TEST_CASE("half floats are compared by value and counted in their own ULPs") {
  Tensor a(TensorType{DType::f16, {2}, {}}), b = a;
  a.as<uint16_t>()[0] = float_to_f16(1.0f);
  b.as<uint16_t>()[0] = static_cast<uint16_t>(float_to_f16(1.0f) + 1);
  Comparison c = compare(a, b, {.absolute = 1e-2, .relative = 0});
  CHECK(c.pass());
  CHECK(c.max_ulp == 1);
  CHECK(c.max_abs == Approx(0x1p-10));
}

TEST_CASE("cosine of opposite, orthogonal and zero vectors") {
  CHECK(compare_floats({1, 2}, {-1, -2}).cosine == Approx(-1));
  CHECK(compare_floats({1, 0}, {0, 1}).cosine == Approx(0).margin(1e-12));
  CHECK(compare_floats({0, 0}, {0, 0}).cosine == 1);
  CHECK(compare_floats({0, 0}, {0, 1}).cosine == 0);
}

TEST_CASE("tensors without elements are equal") {
  Comparison c = compare_floats({}, {});
  CHECK(c.pass());
  CHECK(c.elements == 0);
  CHECK(c.worst == -1);
  CHECK(c.rmse == 0);
  CHECK(c.cosine == 1);
}

TEST_CASE("what is allowed beyond the tolerance is counted, and only that") {
  const ComparisonRule rule{.absolute = 0.01, .relative = 0, .allowances = {{AllowanceKind::quantization_step, 0.5, 0}}};
  Comparison c = compare_floats({1.005f, 1.4f, 1.6f, 1}, {1, 1, 1, 1}, rule);
  CHECK(c.different == 3);
  CHECK(c.allowed == 1);
  CHECK(c.wrong == 1);
  CHECK(c.worst == 2);
  Comparison integers = compare(Tensor::of<int8_t>({3}, std::vector<int8_t>{1, 2, 4}), Tensor::of<int8_t>({3}, std::vector<int8_t>{1, 1, 1}), {.allowances = {{AllowanceKind::quantization_step, 1, 0}}});
  CHECK(integers.allowed == 1);
  CHECK(integers.wrong == 1);
  // Infinity equals only itself, whatever is allowed.
  CHECK(compare_floats({1}, {std::numeric_limits<float>::infinity()}, {.allowances = {{AllowanceKind::narrow_float, 1, 1}}}).wrong == 1);
}

TEST_CASE("allowances are one step of a grid, 16-bit rounding, and the size of a layer's elements; each has its reason") {
  auto kinds = [](const std::vector<Allowance>& all) {
    std::vector<std::string> keys;
    for (const Allowance& a : all) keys.emplace_back(allowance_info(a.kind).key);
    return keys;
  };
  CHECK(type_allowances({DType::f32, {4}, {}}).empty());
  CHECK(type_allowances({DType::i8, {4}, {}}).empty());
  TensorType grid{DType::f32, {4}, Quant{}};
  grid.quant->scale = {0.25f};
  REQUIRE(kinds(type_allowances(grid)) == std::vector<std::string>{"quantization_step"});
  CHECK(type_allowances(grid)[0].absolute == 0.25);
  grid.dtype = DType::i8;
  CHECK(type_allowances(grid)[0].absolute == 1);
  CHECK(kinds(type_allowances({DType::f16, {4}, {}})) == std::vector<std::string>{"narrow_float"});
  CHECK(type_allowances({DType::bf16, {4}, {}})[0].relative == 0x1p-5);
  CHECK(layer_allowances({DType::f32, {4}, {}}, 1, {}).empty());
  CHECK(layer_allowances({DType::f32, {4}, {}}, 11, {.absolute = 0.5})[0].absolute == 5);
  CHECK(layer_allowances({DType::i64, {4}, {}}, 25000, {.relative = 1e-4})[0].absolute == 2);
  CHECK(layer_allowances({DType::i64, {4}, {}}, 9000, {.relative = 1e-4}).empty());
  for (const AllowanceInfo& info : all_allowances()) {
    CHECK(&allowance_info(info.kind) == &info);
    CHECK_FALSE(info.reason.empty());
  }
}
