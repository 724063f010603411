// SPDX-License-Identifier: Apache-2.0
// The positions of Resize for every ratio of small sizes, against whole-number arithmetic: no rounding error may decide a tie.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/resize_positions.h"
#include "tests/unit/op_bench.h"

using namespace kiln;
using namespace kiln::test;

namespace {

double cubic(Ratio x, int64_t in) {
  const double at = double(x.num) / double(x.den), a = -0.75;
  double sum = 0;
  for (int64_t k = floor_of(x) - 1; k <= floor_of(x) + 2; ++k) {
    const double d = std::fabs(at - double(k));
    const double weight = d <= 1 ? (a + 2) * d * d * d - (a + 3) * d * d + 1 : d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
    sum += weight * double(std::clamp<int64_t>(k, 0, in - 1));
  }
  return sum;
}

/// 0, 1, 2, ... resized from `in` to `out` elements, the size given as such or as a scale.
std::vector<double> resized_ramp(int64_t in, int64_t out, bool by_size, const std::string& coordinates, const std::string& mode, const std::string& nearest_mode) {
  Bench t;
  Tensor x(TensorType{DType::f32, {1, in}, {}});
  for (int64_t i = 0; i < in; ++i) x.as<float>()[static_cast<size_t>(i)] = static_cast<float>(i);
  const ValueId roi = coordinates == "tf_crop_and_resize" ? t.constant(Tensor::floats({4}, {0, 0.25f, 1, 0.75f})) : kNoValue;
  std::vector<ValueId> inputs{t.constant(x), roi};
  if (by_size) inputs.insert(inputs.end(), {kNoValue, t.constant(Tensor::int64s({1, out}))});
  else inputs.push_back(t.constant(Tensor::floats({2}, {1, static_cast<float>(out) / static_cast<float>(in)})));
  return t.import(ops::resize, 13, inputs, {{"mode", mode}, {"coordinate_transformation_mode", coordinates}, {"nearest_mode", nearest_mode}}).to_doubles();
}

/// Calls check(in, out, by_size) for all pairs of small sizes; by scale where the size of the result is the one meant.
template <class Check>
void for_each_ratio(const Check& check) {
  for (int64_t in = 1; in <= 20; ++in)
    for (int64_t out = 1; out <= 20; ++out)
      for (bool by_size : {true, false}) {
        const float scale = static_cast<float>(out) / static_cast<float>(in);
        if (by_size || static_cast<int64_t>(scale * static_cast<float>(in)) == out) check(in, out, by_size);
      }
}

}  // namespace

TEST_CASE("resize: nearest elements of all ratios of small sizes, exactly") {
  for (const std::string& coordinates : kCoordinates)
    for (const std::string& mode : kNearest)
      for_each_ratio([&](int64_t in, int64_t out, bool by_size) {
        if (in == out && coordinates != "tf_crop_and_resize") return;  // left alone
        const std::vector<double> y = resized_ramp(in, out, by_size, coordinates, "nearest", mode);
        for (int64_t i = 0; i < out; ++i) {
          const int64_t expected = std::clamp<int64_t>(nearest(mode, original(coordinates, i, in, out)), 0, in - 1);
          if (y[static_cast<size_t>(i)] != double(expected))
            FAIL_CHECK(in << " to " << out << (by_size ? " by size " : " by scale ") << coordinates << " " << mode << ": element " << i << " is "
                          << y[static_cast<size_t>(i)] << ", not " << expected);
        }
      });
}

TEST_CASE("resize: linear and cubic positions of all ratios of small sizes") {
  for (const std::string& coordinates : kCoordinates)
    for_each_ratio([&](int64_t in, int64_t out, bool by_size) {
      if (in == out && coordinates != "tf_crop_and_resize") return;
      const std::vector<double> linear = resized_ramp(in, out, by_size, coordinates, "linear", "floor"), third = resized_ramp(in, out, by_size, coordinates, "cubic", "floor");
      for (int64_t i = 0; i < out; ++i) {
        const Ratio x = original(coordinates, i, in, out);
        const double expected = std::clamp(double(x.num) / double(x.den), 0.0, double(in - 1));
        INFO(in << " to " << out << " " << coordinates << " element " << i);
        if (std::fabs(linear[static_cast<size_t>(i)] - expected) > 2e-6) FAIL_CHECK("linear: " << linear[static_cast<size_t>(i)] << ", not " << expected);
        if (const double c = cubic(x, in); std::fabs(third[static_cast<size_t>(i)] - c) > 1e-5) FAIL_CHECK("cubic: " << third[static_cast<size_t>(i)] << ", not " << c);
      }
    });
}

TEST_CASE("resize: scales that no ratio of the sizes gives count as they are") {
  // 0.3 makes 7 elements of 25: positions go by the float 0.3, which is a little more than 3 / 10, so 4.5 / 0.3 - 0.5 lies below the tie.
  Bench t;
  Tensor x(TensorType{DType::f32, {25}, {}});
  for (int i = 0; i < 25; ++i) x.as<float>()[static_cast<size_t>(i)] = static_cast<float>(i);
  const std::vector<double> y = t.import(ops::resize, 13, {t.constant(x), kNoValue, t.constant(Tensor::floats({1}, {0.3f}))},
                                         {{"nearest_mode", std::string("round_prefer_ceil")}}).to_doubles();
  CHECK(y == std::vector<double>{1, 4, 8, 11, 14, 18, 21});
}
