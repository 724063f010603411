// SPDX-License-Identifier: Apache-2.0
// Resize and Upsample, folded by GraphBuilder, against the formulas of the ONNX specification in double precision.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <set>

#include "compiler/ops/movement.h"
#include "tests/unit/op_bench.h"

using namespace kiln;

namespace {

struct Axis {
  double scale;
  int64_t in, out;
};

/// The specification's x_original for output index i.
double original(const std::string& mode, double i, const Axis& a) {
  if (mode == "asymmetric") return i / a.scale;
  if (mode == "align_corners") return a.out == 1 ? 0 : i * double(a.in - 1) / double(a.out - 1);
  if (mode == "pytorch_half_pixel" && a.out == 1) return 0;
  double half_pixel = (i + 0.5) / a.scale - 0.5;
  if (mode != "half_pixel_symmetric") return half_pixel;
  double output_width = a.scale * double(a.in);
  return double(a.in) / 2 * (1 - double(a.out) / output_width) + half_pixel;
}

/// The source indices that the nearest mode may pick; two where rounding errors decide.
std::set<int64_t> nearest(const std::string& coordinates, const std::string& mode, int64_t i, const Axis& a) {
  std::set<int64_t> out;
  double x = original(coordinates, double(i), a);
  for (double error : {-1e-4, 0.0, 1e-4}) {
    double p = x + error, rounded = std::floor(p);
    if (mode == "ceil") rounded = std::ceil(p);
    if (mode == "round_prefer_floor") rounded = std::ceil(p - 0.5);
    if (mode == "round_prefer_ceil") rounded = std::floor(p + 0.5);
    out.insert(std::clamp<int64_t>(static_cast<int64_t>(rounded), 0, a.in - 1));
  }
  return out;
}

/// Weights of all source indices for linear interpolation.
std::vector<double> linear(const std::string& coordinates, int64_t i, const Axis& a) {
  double x = std::clamp(original(coordinates, double(i), a), 0.0, double(a.in - 1));
  std::vector<double> weights(static_cast<size_t>(a.in));
  for (int64_t k = 0; k < a.in; ++k) weights[static_cast<size_t>(k)] = std::max(0.0, 1 - std::fabs(x - double(k)));
  return weights;
}

const std::string kCoordinates[] = {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"};

/// Resizes some dimensions of `shape` by random scales (or sizes) and returns what was asked for per dimension.
std::vector<Axis> random_axes(std::mt19937& random, const Shape& shape, const std::vector<bool>& resized, bool by_size) {
  std::vector<Axis> axes;
  for (size_t k = 0; k < shape.size(); ++k) {
    Axis a{1, shape[k], shape[k]};
    if (resized[k] && by_size) {
      a.out = pick(random, 1, 9);
      a.scale = double(a.out) / double(a.in);
    } else if (resized[k]) {
      a.scale = double(static_cast<float>(pick(random, 3, 30)) / 10.0f);
      a.out = static_cast<int64_t>(static_cast<float>(a.scale) * static_cast<float>(a.in));
      if (a.out < 1) a = {2, a.in, 2 * a.in};
    }
    axes.push_back(a);
  }
  return axes;
}

/// Imports a Resize of x by `axes`, through sizes or scales.
Tensor resize(Bench& t, const Tensor& x, const std::vector<Axis>& axes, bool by_size, Attrs attrs) {
  std::vector<int64_t> sizes;
  std::vector<float> scales;
  for (const Axis& a : axes) {
    sizes.push_back(a.out);
    scales.push_back(static_cast<float>(a.scale));
  }
  auto rank = static_cast<int64_t>(axes.size());
  if (by_size) return t.import(ops::resize, 13, {t.constant(x), kNoValue, kNoValue, t.constant(Tensor::int64s(sizes))}, std::move(attrs));
  return t.import(ops::resize, 13, {t.constant(x), kNoValue, t.constant(Tensor::floats({rank}, scales))}, std::move(attrs));
}

std::vector<bool> choose_axes(std::mt19937& random, size_t rank, int round) {
  std::vector<bool> resized(rank, false);
  if (round % 2) resized[rank - 1] = resized[rank - 2] = true;  // the usual images
  else
    for (size_t k = 0; k < rank; ++k) resized[k] = random() % 2;
  return resized;
}

}  // namespace

TEST_CASE("resize: nearest in all modes, along any dimensions") {
  std::mt19937 random(7);
  const std::string modes[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  for (int round = 0; round < 300; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 2, 5));
    Shape shape = random_shape(random, rank, 5);
    bool by_size = random() % 2;
    std::vector<Axis> axes = random_axes(random, shape, choose_axes(random, rank, round), by_size);
    const std::string &coordinates = kCoordinates[random() % 5], &mode = modes[random() % 4];
    Tensor x = counting(shape);
    Tensor y = resize(t, x, axes, by_size, {{"coordinate_transformation_mode", coordinates}, {"nearest_mode", mode}});
    for (size_t k = 0; k < rank; ++k) REQUIRE(y.type.shape[k] == axes[k].out);
    INFO("round " << round << " " << to_string(x.type) << " -> " << to_string(y.type) << " " << coordinates << " " << mode);
    for_each_index(y.type.shape, [&](const Index& at) {
      int64_t value = element(y, at) - 1;
      bool fits = true;
      for (size_t k = rank; k-- > 0; value /= shape[k]) {
        std::set<int64_t> allowed = nearest(coordinates, mode, at[k], axes[k]);
        fits = fits && (axes[k].scale == 1 ? value % shape[k] == at[k] : allowed.count(value % shape[k]) > 0);
      }
      if (!fits) FAIL("wrong source at " << to_string(at));
    });
  }
}

TEST_CASE("resize: linear in all coordinate modes, along any dimensions") {
  std::mt19937 random(8);
  for (int round = 0; round < 300; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 2, 5));
    Shape shape = random_shape(random, rank, 5);
    bool by_size = random() % 2, wide = round % 3 == 0;
    std::vector<Axis> axes = random_axes(random, shape, choose_axes(random, rank, round), by_size);
    const std::string& coordinates = kCoordinates[random() % 5];
    Tensor x(TensorType{wide ? DType::f64 : DType::f32, shape, {}});
    for (int64_t i = 0; i < x.type.elements(); ++i) {
      double value = double(pick(random, -100, 100)) / 10;
      if (wide) x.as<double>()[static_cast<size_t>(i)] = value;
      else x.as<float>()[static_cast<size_t>(i)] = static_cast<float>(value);
    }
    Tensor y = resize(t, x, axes, by_size, {{"mode", std::string("linear")}, {"coordinate_transformation_mode", coordinates}});
    std::vector<double> source = x.to_doubles(), result = y.to_doubles();
    size_t at_result = 0;
    INFO("round " << round << " " << to_string(x.type) << " -> " << to_string(y.type) << " " << coordinates);
    for_each_index(y.type.shape, [&](const Index& at) {
      std::vector<std::vector<double>> weights;
      for (size_t k = 0; k < rank; ++k) {
        weights.push_back(linear(coordinates, at[k], axes[k]));
        if (axes[k].scale == 1) weights[k] = linear("asymmetric", at[k], {1, shape[k], shape[k]});
      }
      double expected = 0;
      size_t at_source = 0;
      for_each_index(shape, [&](const Index& from) {
        double w = source[at_source++];
        for (size_t k = 0; k < rank; ++k) w *= weights[k][static_cast<size_t>(from[k])];
        expected += w;
      });
      if (std::fabs(result[at_result] - expected) > 2e-4) FAIL(result[at_result] << " instead of " << expected << " at " << to_string(at));
      ++at_result;
    });
  }
}

/// Weights of all source indices by a cubic, or a linear filter that is widened where the image shrinks. What lies outside counts for the
/// nearest element, or not at all.
std::vector<double> filtered(const std::string& coordinates, bool cubic, bool antialias, bool exclude, double a, int64_t i, const Axis& axis) {
  const double x = original(coordinates, double(i), axis), narrow = antialias ? std::min(axis.scale, 1.0) : 1;
  std::vector<double> weights(static_cast<size_t>(axis.in));
  double sum = 0;
  for (int64_t k = -100; k < 100; ++k) {
    const double d = std::fabs(x - double(k)) * narrow;
    double w = std::max(1 - d, 0.0);
    if (cubic) w = d <= 1 ? (a + 2) * d * d * d - (a + 3) * d * d + 1 : d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
    if (exclude && (k < 0 || k >= axis.in)) continue;
    weights[static_cast<size_t>(std::clamp<int64_t>(k, 0, axis.in - 1))] += w;
    sum += w;
  }
  for (double& w : weights) w /= sum;
  return weights;
}

TEST_CASE("resize: cubic and antialiased filters") {
  std::mt19937 random(9);
  for (int round = 0; round < 200; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 2, 4));
    Shape shape = random_shape(random, rank, 5);
    const bool by_size = random() % 2, antialias = random() % 2, cubic = !antialias || random() % 2, exclude = random() % 2;
    std::vector<Axis> axes = random_axes(random, shape, choose_axes(random, rank, round), by_size);
    const std::string& coordinates = kCoordinates[random() % 5];
    const double a = random() % 2 ? -0.75 : -0.5;
    Tensor x(TensorType{DType::f32, shape, {}});
    for (float& value : x.as<float>()) value = static_cast<float>(pick(random, -100, 100)) / 10;
    Tensor y = resize(t, x, axes, by_size,
                      {{"mode", std::string(cubic ? "cubic" : "linear")}, {"coordinate_transformation_mode", coordinates}, {"antialias", int64_t{antialias}},
                       {"exclude_outside", int64_t{exclude}}, {"cubic_coeff_a", a}});
    std::vector<double> source = x.to_doubles(), result = y.to_doubles();
    size_t at_result = 0;
    INFO("round " << round << " " << to_string(x.type) << " -> " << to_string(y.type) << " " << coordinates << " " << antialias << cubic << exclude);
    for_each_index(y.type.shape, [&](const Index& at) {
      std::vector<std::vector<double>> weights;
      for (size_t k = 0; k < rank; ++k)
        weights.push_back(axes[k].scale == 1 ? linear("asymmetric", at[k], {1, shape[k], shape[k]})
                                             : filtered(coordinates, cubic, antialias, exclude, a, at[k], axes[k]));
      double expected = 0;
      size_t at_source = 0;
      for_each_index(shape, [&](const Index& from) {
        double w = source[at_source++];
        for (size_t k = 0; k < rank; ++k) w *= weights[k][static_cast<size_t>(from[k])];
        expected += w;
      });
      if (std::fabs(result[at_result] - expected) > 3e-4) FAIL(result[at_result] << " instead of " << expected << " at " << to_string(at));
      ++at_result;
    });
  }
}

TEST_CASE("resize: a part of the image, and what lies beyond it") {
  Bench t;
  Tensor x = Tensor::floats({1, 1, 1, 5}, {1, 2, 3, 4, 5});
  auto crop = [&](const char* mode, float start, float end, int64_t size) {
    ValueId roi = t.constant(Tensor::floats({8}, {0, 0, 0, start, 1, 1, 1, end}));
    return t.import(ops::resize, 13, {t.constant(x), roi, kNoValue, t.constant(Tensor::int64s({1, 1, 1, size}))},
                    {{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string("tf_crop_and_resize")}, {"extrapolation_value", 9.0}})
        .to_doubles();
  };
  using Values = std::vector<double>;
  CHECK(crop("linear", 0.25f, 0.75f, 5) == Values{2, 2.5, 3, 3.5, 4});
  CHECK(crop("linear", 0.5f, 1.5f, 3) == Values{3, 5, 9});
  CHECK(crop("nearest", -0.25f, 0.25f, 3) == Values{9, 1, 2});
  CHECK(crop("cubic", 0, 1, 5) == Values{1, 2, 3, 4, 5});
  CHECK(crop("linear", 0.25f, 0.75f, 1) == Values{3});
}

TEST_CASE("resize: ties and the rules before opset 11") {
  Bench t;
  Tensor x = Tensor::floats({1, 1, 1, 4}, {1, 2, 3, 4});
  auto scales = [&](float s) { return t.constant(Tensor::floats({4}, {1, 1, 1, s})); };
  auto values = [&](const OpDef& op, int64_t opset, std::vector<ValueId> inputs, Attrs attrs) {
    return t.import(op, opset, std::move(inputs), std::move(attrs)).to_doubles();
  };
  using Values = std::vector<double>;
  auto tie = [&](const char* mode) {  // positions 0.5 and 2.5
    return values(ops::resize, 13, {t.constant(x), kNoValue, scales(0.5f)}, {{"nearest_mode", std::string(mode)}});
  };
  CHECK(tie("round_prefer_floor") == Values{1, 3});
  CHECK(tie("round_prefer_ceil") == Values{2, 4});
  CHECK(tie("floor") == Values{1, 3});
  CHECK(tie("ceil") == Values{2, 4});
  // Before opset 11: i / scale, cut off when growing, rounded up when shrinking (positions 0, 1.33, 2.67).
  CHECK(values(ops::resize, 10, {t.constant(x), scales(0.75f)}, {}) == Values{1, 3, 4});
  CHECK(values(ops::upsample, 9, {t.constant(x), scales(1.5f)}, {}) == Values{1, 1, 2, 3, 3, 4});
  CHECK(values(ops::upsample, 7, {t.constant(x)}, {{"scales", std::vector<double>{1, 1, 1, 2}}}) == Values{1, 1, 2, 2, 3, 3, 4, 4});
  CHECK(values(ops::upsample, 9, {t.constant(x), scales(2)}, {{"mode", std::string("linear")}}) == Values{1, 1.5, 2, 2.5, 3, 3.5, 4, 4});
  CHECK(values(ops::resize, 10, {t.constant(x), scales(1)}, {}) == Values{1, 2, 3, 4});
}

TEST_CASE("resize: integers are cut off, axes, aspect ratio policies") {
  Bench t;
  auto list = [&](const Index& v) { return t.constant(Tensor::int64s(v)); };
  Tensor x = Tensor::of<uint8_t>({1, 1, 1, 2}, std::vector<uint8_t>{10, 13});
  Tensor y = t.import(ops::resize, 13, {t.constant(x), kNoValue, kNoValue, list({1, 1, 1, 4})},
                      {{"mode", std::string("linear")}, {"coordinate_transformation_mode", std::string("asymmetric")}});
  CHECK(y == Tensor::of<uint8_t>({1, 1, 1, 4}, std::vector<uint8_t>{10, 11, 13, 13}));
  ValueId image = t.input(DType::f32, {1, 3, 6, 4});
  auto shape = [&](const Index& sizes, const char* policy) {
    Attrs attrs{{"axes", Index{3, 2}}, {"keep_aspect_ratio_policy", std::string(policy)}};
    return t.b.shape(t.run(ops::resize, 18, {image, kNoValue, kNoValue, list(sizes)}, attrs)->front());
  };
  CHECK(shape({2, 12}, "stretch") == Shape{1, 3, 12, 2});
  CHECK(shape({2, 12}, "not_larger") == Shape{1, 3, 3, 2});
  CHECK(shape({2, 12}, "not_smaller") == Shape{1, 3, 12, 8});
}

TEST_CASE("resize: images go through channels-last nodes") {
  Bench t;
  ValueId x = t.input(DType::f32, {1, 3, 4, 4});
  ValueId y = t.run(ops::resize, 13, {x, kNoValue, t.constant(Tensor::floats({4}, {1, 1, 2, 2}))})->front();
  const Node* back = t.graph.producer(y);
  REQUIRE(back->op == &ops::transpose);
  const Node* core = t.graph.producer(back->inputs[0]);
  CHECK(core->op == &ops::resize_nearest2d);
  CHECK(t.graph.producer(core->inputs[0])->op == &ops::transpose);
  CHECK(t.b.shape(core->outputs[0]) == Shape{1, 8, 8, 3});
}

TEST_CASE("resize: what is refused") {
  Bench t;
  ValueId x = t.input(DType::f32, {1, 1, 4, 4});
  auto scales = t.constant(Tensor::floats({4}, {1, 1, 2, 2}));
  auto refuse = [&](Attrs attrs) { return t.message(ops::resize, 18, {x, kNoValue, scales}, std::move(attrs)); };
  CHECK(refuse({{"coordinate_transformation_mode", std::string("tf_crop_and_resize")}}) == "'roi' has 0 entries for 4 dimensions, it must have 8.");
  CHECK(refuse({{"coordinate_transformation_mode", std::string("tf_crop")}}) == "coordinate_transformation_mode 'tf_crop' is none that Resize has.");
  Tensor bytes(TensorType{DType::u8, {1, 1, 4, 4}, {}});
  CHECK(t.message(ops::resize, 18, {t.constant(bytes), kNoValue, scales}, {{"mode", std::string("cubic")}}) == 
        "cubic and antialiased resizing of u8 is not supported, only of f32 and f64.");
  CHECK(refuse({{"mode", std::string("area")}}) == "mode 'area' is none of nearest, linear and cubic.");
  CHECK(refuse({{"nearest_mode", std::string("up")}}) ==
        "nearest_mode 'up' is none of round_prefer_floor, round_prefer_ceil, floor and ceil.");
  CHECK(t.message(ops::resize, 13, {x}) == "exactly one of 'scales' and 'sizes' must be given.");
  CHECK(t.message(ops::resize, 13, {x, kNoValue, t.constant(Tensor::floats({2}, {2, 2}))}) == "2 scales for 4 dimensions.");
  CHECK(t.message(ops::resize, 13, {x, kNoValue, t.constant(Tensor::floats({4}, {1, 1, 0, 2}))}) ==
        "scale 0 of dimension 2 with 4 elements is out of range.");
  CHECK(t.message(ops::resize, 13, {x, kNoValue, kNoValue, t.constant(Tensor::int64s({1, 1, 0, 2}))}) ==
        "dimension 2 with 4 elements cannot be resized to 0.");
  CHECK(t.message(ops::resize, 13, {x, kNoValue, x}) == "input 'scales' is computed at run time, it must be a constant.");
  Tensor rows = Tensor::of<int32_t>({2}, std::vector<int32_t>{0, 4});
  ValueId nhwc = t.graph.add_input("n", TensorType{DType::f32, {1, 4, 4, 1}, {}});
  CHECK(t.b.add(ops::resize_nearest2d, {nhwc, t.constant(rows), t.constant(rows)}).diagnostic().message ==
        "table 1 has 4, which is outside 0 to 3.");
}
