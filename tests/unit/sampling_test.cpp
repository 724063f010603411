// SPDX-License-Identifier: Apache-2.0
// Operators that sample images at computed places, and those made of them, against their definitions.
#include "compiler/ops/op_util.h"
#include "tests/unit/layers.h"
#include "tests/unit/op_bench.h"

namespace kiln {
namespace {

using layers::Doubles;
using layers::Ints;
using layers::Random;
using layers::check_close;
using layers::failure;
using layers::joined;
using layers::run;


// ---- GridSample, written down from the ONNX text: element (i) of one dimension after padding, and the weights of all elements at a place.

double reflect(double x, double low, double high) {
  if (high <= low) return low;
  while (x < low || x > high) x = x < low ? 2 * low - x : 2 * high - x;
  return x;
}

struct Sampler {
  std::string mode, padding;
  bool corners = false;

  [[nodiscard]] double low() const { return corners ? 0 : -0.5; }
  [[nodiscard]] double high(int64_t n) const { return double(n) - (corners ? 1 : 0.5); }
  [[nodiscard]] int64_t element(int64_t i, int64_t n) const {
    if (i >= 0 && i < n) return i;
    if (padding == "zeros") return -1;
    if (padding == "border") return std::clamp<int64_t>(i, 0, n - 1);
    return static_cast<int64_t>(reflect(double(i), low(), high(n)));
  }
  [[nodiscard]] Doubles weights(double place, int64_t n) const {
    double x = corners ? (place + 1) / 2 * double(n - 1) : ((place + 1) * double(n) - 1) / 2;
    if (mode == "nearest") x = std::nearbyint(x);
    if (padding == "border" && (x < low() || x > high(n))) x = std::clamp(x, 0.0, double(n - 1));
    if (padding == "reflection") x = reflect(x, low(), high(n));
    Doubles w(static_cast<size_t>(n), 0);
    const auto first = static_cast<int64_t>(std::floor(x));
    for (int64_t i = first - 1; i <= first + 2; ++i) {
      const double distance = std::fabs(x - double(i)), a = -0.75;
      double value = std::max(1 - distance, 0.0);
      if (mode == "nearest") value = distance == 0 ? 1 : 0;
      if (mode == "cubic")
        value = distance <= 1 ? (a + 2) * std::pow(distance, 3) - (a + 3) * std::pow(distance, 2) + 1
                              : a * (std::pow(distance, 3) - 5 * std::pow(distance, 2) + 8 * distance - 4);
      if (int64_t at = element(i, n); at >= 0) w[static_cast<size_t>(at)] += value;
    }
    return w;
  }
};

}  // namespace

TEST_CASE("GridSample agrees with its definition in all modes") {
  const std::string modes[] = {"linear", "nearest", "cubic"}, paddings[] = {"zeros", "border", "reflection"};
  for (uint32_t seed = 0; seed < 150; ++seed) {
    Random random(seed);
    Sampler s{modes[seed % 3], paddings[seed / 3 % 3], random.flip()};
    const size_t rank = s.mode == "cubic" || random.flip() ? 2 : 3;
    Ints in, out;
    for (size_t i = 0; i < rank; ++i) in.push_back(random.between(1, 5)), out.push_back(random.between(1, 3));
    const int64_t n = random.between(1, 2), channels = random.between(1, 3);
    CAPTURE(seed, s.mode, s.padding, s.corners, in);
    const Tensor x = random.tensor(joined({n, channels}, in));
    Tensor grid = random.tensor(joined(joined({n}, out), {static_cast<int64_t>(rank)}));  // -2 to 2: half of them outside
    for (float& v : grid.as<float>()) v += 1.0f / 1024;                                   // no ties
    std::string mode = s.mode;
    const int64_t opset = random.flip() ? 16 : 20;
    if (opset == 16 && mode != "nearest") mode = mode == "linear" ? "bilinear" : "bicubic";
    Result<Tensor> y = run("GridSample", {x, grid}, {{"mode", mode}, {"padding_mode", s.padding}, {"align_corners", int64_t{s.corners}}}, opset);
    REQUIRE(y.ok());
    Doubles want;
    const Shape shape = joined({n, channels}, out);
    layers::for_each_index(shape, [&](const Ints& at) {
      std::vector<Doubles> weights;
      Ints place = {at[0]};
      place.insert(place.end(), at.begin() + 2, at.end());
      for (size_t k = 0; k < rank; ++k) weights.push_back(s.weights(layers::element(grid, joined(place, {static_cast<int64_t>(rank - 1 - k)})), in[k]));
      double sum = 0;
      layers::for_each_index(in, [&](const Ints& p) {
        double w = layers::element(x, joined({at[0], at[1]}, p));
        for (size_t k = 0; k < rank; ++k) w *= weights[k][static_cast<size_t>(p[k])];
        sum += w;
      });
      want.push_back(sum);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("GridSample takes places that are far off or no numbers") {
  Tensor x = Tensor::floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const float nan = std::nanf(""), huge = 1e30f, inf = INFINITY;
  Tensor grid = Tensor::floats({1, 1, 3, 2}, {nan, nan, huge, -huge, inf, inf});
  for (const char* padding : {"zeros", "border", "reflection"})
    for (const char* mode : {"bilinear", "nearest", "bicubic"}) {
      Result<Tensor> y = run("GridSample", {x, grid}, {{"mode", std::string(mode)}, {"padding_mode", std::string(padding)}}, 16);
      REQUIRE(y.ok());
      for (double v : y->to_doubles()) CHECK(std::fabs(v) <= 10);
    }
}

TEST_CASE("AffineGrid spreads places over the image") {
  for (int64_t corners : {0, 1}) {
    const Tensor theta = Tensor::floats({1, 2, 3}, {2, 0.5f, 0.25f, -1, 1, 0});
    Result<Tensor> y = run("AffineGrid", {theta, Tensor::int64s({1, 1, 2, 3})}, {{"align_corners", corners}}, 20);
    REQUIRE(y.ok());
    Doubles want;
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 3; ++j) {
        const double u = corners ? j - 1.0 : (2 * j + 1) / 3.0 - 1, v = corners ? 2.0 * i - 1 : (2 * i + 1) / 2.0 - 1;
        want.push_back(2 * u + 0.5 * v + 0.25);
        want.push_back(v - u);
      }
    check_close(*y, {1, 2, 3, 2}, want);
  }
}

TEST_CASE("RoiAlign agrees with its definition") {
  for (uint32_t seed = 0; seed < 80; ++seed) {
    Random random(seed + 40);
    const int64_t n = random.between(1, 2), channels = random.between(1, 3), h = random.between(2, 7), w = random.between(2, 7);
    const int64_t out_h = random.between(1, 3), out_w = random.between(1, 3), sampling = random.between(0, 2), regions = random.between(1, 3);
    const bool maximum = random.flip(), half = random.flip();
    const double scale = random.flip() ? 1 : 0.5;
    CAPTURE(seed, h, w, out_h, out_w, sampling, maximum, half, scale);
    const Tensor x = random.tensor({n, channels, h, w});
    Tensor boxes({DType::f32, {regions, 4}, {}}), images({DType::i64, {regions}, {}});
    for (int64_t r = 0; r < regions; ++r) {
      float* box = boxes.as<float>().data() + 4 * r;
      box[0] = static_cast<float>(random.between(-20, 100)) / 16, box[1] = static_cast<float>(random.between(-20, 100)) / 16;
      box[2] = box[0] + static_cast<float>(random.between(1, 100)) / 16, box[3] = box[1] + static_cast<float>(random.between(1, 100)) / 16;
      images.as<int64_t>()[static_cast<size_t>(r)] = random.between(0, n - 1);
    }
    Result<Tensor> y = run("RoiAlign", {x, boxes, images},
                           {{"output_height", out_h}, {"output_width", out_w}, {"sampling_ratio", sampling}, {"spatial_scale", scale},
                            {"mode", std::string(maximum ? "max" : "avg")}, {"coordinate_transformation_mode", std::string(half ? "half_pixel" : "output_half_pixel")}},
                           16);
    REQUIRE(y.ok());
    Doubles want;
    const Shape shape = {regions, channels, out_h, out_w};
    layers::for_each_index(shape, [&](const Ints& at) {
      const float* box = boxes.as<float>().data() + 4 * at[0];
      const double offset = half ? 0.5 : 0, left = box[0] * scale - offset, top = box[1] * scale - offset;
      double width = box[2] * scale - offset - left, height = box[3] * scale - offset - top;
      if (!half) width = std::max(width, 1.0), height = std::max(height, 1.0);
      const double cell_h = height / double(out_h), cell_w = width / double(out_w);
      const auto rows = sampling ? sampling : static_cast<int64_t>(std::ceil(cell_h)), columns = sampling ? sampling : static_cast<int64_t>(std::ceil(cell_w));
      double sum = 0, greatest = -1e30;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) {
          double v = top + double(at[2]) * cell_h + (double(i) + 0.5) * cell_h / double(rows), u = left + double(at[3]) * cell_w + (double(j) + 0.5) * cell_w / double(columns);
          const bool outside = v < -1 || v > double(h) || u < -1 || u > double(w);
          v = std::clamp(v, 0.0, double(h - 1)), u = std::clamp(u, 0.0, double(w - 1));
          const auto v0 = static_cast<int64_t>(v), u0 = static_cast<int64_t>(u);
          for (int64_t a : {int64_t{0}, int64_t{1}})
            for (int64_t b : {int64_t{0}, int64_t{1}}) {
              const double weight = (a ? v - double(v0) : 1 - (v - double(v0))) * (b ? u - double(u0) : 1 - (u - double(u0)));
              const double value = outside ? 0 : weight * layers::element(x, {images.as<int64_t>()[static_cast<size_t>(at[0])], at[1], std::min(v0 + a, h - 1), std::min(u0 + b, w - 1)});
              sum += value;
              greatest = std::max(greatest, value);
            }
        }
      want.push_back(maximum ? greatest : sum / double(rows * columns));
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("DeformConv agrees with its definition") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Random random(seed + 80);
    const int64_t groups = random.between(1, 2), offsets = random.between(1, 2), c = groups * offsets * random.between(1, 2), o = groups * random.between(1, 2);
    const int64_t kh = random.between(1, 3), kw = random.between(1, 3), stride = random.between(1, 2), dilation = random.between(1, 2), pad = random.between(0, 1);
    const int64_t h = (kh - 1) * dilation + random.between(1, 4), w = (kw - 1) * dilation + random.between(1, 4), n = random.between(1, 2);
    const int64_t out_h = (h + 2 * pad - (kh - 1) * dilation - 1) / stride + 1, out_w = (w + 2 * pad - (kw - 1) * dilation - 1) / stride + 1;
    CAPTURE(seed, groups, offsets, c, o, kh, kw, stride, dilation, pad, h, w);
    const Tensor x = random.tensor({n, c, h, w}), filters = random.tensor({o, c / groups, kh, kw});
    const Tensor places = random.tensor({n, offsets * kh * kw * 2, out_h, out_w});
    std::optional<Tensor> bias, mask;
    if (random.flip()) bias = random.tensor({o});
    if (random.flip()) mask = random.tensor({n, offsets * kh * kw, out_h, out_w});
    Result<Tensor> y = run("DeformConv", {x, filters, places, bias, mask},
                           {{"group", groups}, {"offset_group", offsets}, {"strides", Ints{stride, stride}}, {"dilations", Ints{dilation, dilation}}, {"pads", Ints{pad, pad, pad, pad}}}, 19);
    REQUIRE(y.ok());
    auto sample = [&](int64_t image, int64_t channel, double v, double u) {
      double sum = 0;
      for (int64_t i = 0; i < h; ++i)
        for (int64_t j = 0; j < w; ++j)
          sum += std::max(1 - std::fabs(v - double(i)), 0.0) * std::max(1 - std::fabs(u - double(j)), 0.0) * layers::element(x, {image, channel, i, j});
      return sum;
    };
    Doubles want;
    const Shape shape = {n, o, out_h, out_w};
    layers::for_each_index(shape, [&](const Ints& at) {
      double sum = bias ? layers::element(*bias, {at[1]}) : 0;
      layers::for_each_index({c / groups, kh, kw}, [&](const Ints& tap) {
        const int64_t channel = at[1] / (o / groups) * (c / groups) + tap[0], set = channel / (c / offsets), k = (set * kh + tap[1]) * kw + tap[2];
        const double v = double(at[2] * stride - pad + tap[1] * dilation) + layers::element(places, {at[0], 2 * k, at[2], at[3]});
        const double u = double(at[3] * stride - pad + tap[2] * dilation) + layers::element(places, {at[0], 2 * k + 1, at[2], at[3]});
        const double seen = sample(at[0], channel, v, u) * (mask ? layers::element(*mask, {at[0], k, at[2], at[3]}) : 1);
        sum += seen * layers::element(filters, {at[1], tap[0], tap[1], tap[2]});
      });
      want.push_back(sum);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("Col2Im adds up overlapping blocks") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Random random(seed + 120);
    const auto dims = static_cast<size_t>(random.between(1, 3));
    Ints image, block, strides, dilations, pads(2 * dims), positions;
    for (size_t i = 0; i < dims; ++i) {
      block.push_back(random.between(1, 3)), strides.push_back(dims == 3 ? 1 : random.between(1, 3)), dilations.push_back(random.between(1, 2));
      const int64_t reach = (block[i] - 1) * dilations[i] + 1;
      image.push_back(reach + random.between(0, 4));
      pads[i] = random.between(0, 1), pads[i + dims] = random.between(0, 1);
      positions.push_back((image[i] + pads[i] + pads[i + dims] - reach) / strides[i] + 1);
    }
    const int64_t n = 2, channels = random.between(1, 2);
    CAPTURE(seed, image, block, strides, dilations, pads, channels);
    const Tensor x = random.tensor({n, channels * element_count(block), element_count(positions)});
    Result<Tensor> y = run("Col2Im", {x, Tensor::int64s(image), Tensor::int64s(block)}, {{"strides", strides}, {"dilations", dilations}, {"pads", pads}}, 18);
    REQUIRE(y.ok());
    const Shape shape = joined({n, channels}, image);
    Doubles want(static_cast<size_t>(element_count(shape)));
    const std::vector<int64_t> steps = row_major_strides(shape);
    for (int64_t image_at = 0; image_at < n * channels; ++image_at) {
      int64_t column = 0;
      layers::for_each_index(positions, [&](const Ints& position) {
        int64_t row = 0;
        layers::for_each_index(block, [&](const Ints& tap) {
          const double value = layers::element(x, {image_at / channels, image_at % channels * element_count(block) + row++, column});
          int64_t to = image_at * steps[1];
          for (size_t i = 0; i < dims; ++i) {
            const int64_t p = position[i] * strides[i] - pads[i] + tap[i] * dilations[i];
            if (p < 0 || p >= image[i]) return;
            to += p * steps[i + 2];
          }
          want[static_cast<size_t>(to)] += value;
        });
        ++column;
      });
    }
    check_close(*y, shape, want);
  }
}

TEST_CASE("CenterCropPad keeps the centre") {
  Bench t;
  const Tensor x = counting({1, 4, 5, 2});
  const Tensor y = t.import(ops::center_crop_pad, 18, {t.constant(x), t.constant(Tensor::int64s({2, 8}))}, {{"axes", Ints{1, -2}}});
  CHECK(y == build({1, 2, 8, 2}, [&](const Index& at) { return at[2] < 1 || at[2] > 5 ? 0 : element(x, {0, at[1] + 1, at[2] - 1, at[3]}); }));
  CHECK(t.import(ops::center_crop_pad, 18, {t.constant(x), t.constant(Tensor::int64s({1, 4, 5, 2}))}) == x);
  CHECK(t.message(ops::center_crop_pad, 18, {t.constant(x), t.constant(Tensor::int64s({2}))}) == "'shape' has 1 entries for 4 axes.");
  CHECK(t.message(ops::center_crop_pad, 18, {t.constant(x), t.input(DType::i64, {4})}).find("must be a constant") != std::string::npos);
}

TEST_CASE("samplers that do not fit are refused") {
  Tensor x({DType::f32, {1, 2, 4, 4}, {}}), grid({DType::f32, {1, 3, 3, 2}, {}}), line({DType::f32, {1, 2, 4}, {}}), boxes({DType::f32, {2, 4}, {}});
  CHECK(failure("GridSample", {x, grid}, {{"mode", std::string("area")}}, 16) == "mode 'area' is none of linear, nearest and cubic.");
  CHECK(failure("GridSample", {x, grid}, {{"padding_mode", std::string("wrap")}}, 16) == "padding_mode 'wrap' is none of zeros, border and reflection.");
  CHECK(failure("GridSample", {line, line}, {}, 16) == "the input is [1,2,4], only [N,C,H,W] and [N,C,D,H,W] are supported.");
  CHECK(failure("GridSample", {x, x}, {}, 16) == "a grid [1,2,4,4] does not fit the input [1,2,4,4].");
  CHECK(failure("AffineGrid", {grid, Tensor::int64s({1, 1, 2, 3})}, {}, 20).find("does not fit a size of [1,1,2,3].") != std::string::npos);
  CHECK(failure("RoiAlign", {x, boxes, Tensor::int64s({0, 0})}, {{"mode", std::string("sum")}}, 16) == "mode 'sum' is none of avg and max.");
  CHECK(failure("RoiAlign", {x, boxes, Tensor::int64s({0})}, {}, 16).find("do not fit the input") != std::string::npos);
  CHECK(failure("RoiAlign", {x, boxes, Tensor::int64s({0, 0})}, {{"sampling_ratio", int64_t{-1}}}, 16) == "-1 samples, there must be from 0 to 1024.");
  CHECK(failure("DeformConv", {x, x, grid}, {}, 19) == "the offsets are f32[1,3,3,2], they must be [1,32,1,1].");
  CHECK(failure("DeformConv", {x, x, grid}, {{"offset_group", int64_t{3}}}, 19).find("does not fit weights") != std::string::npos);
  CHECK(failure("DeformConv", {line, line, line}, {}, 19).find("in 2 dimensions only") != std::string::npos);
  CHECK(failure("Col2Im", {line, Tensor::int64s({4}), Tensor::int64s({2})}, {}, 18) ==
        "the input is f32[1,2,4], blocks [2] need a multiple of 2 rows and 3 columns.");
}

}  // namespace kiln
