// SPDX-License-Identifier: Apache-2.0
// Pools beyond two dimensions, p-norms over windows and the positions of maxima, against their definitions.
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
using layers::from;
using layers::joined;
using layers::run;

struct Sliding {
  Ints in, kernel, strides, dilations, pads, out;
  bool ceil = false;
};

Sliding random_sliding(Random& random, size_t dims) {
  Sliding s;
  s.ceil = random.flip();
  s.pads.resize(2 * dims);
  for (size_t i = 0; i < dims; ++i) {
    s.kernel.push_back(random.between(1, 3));
    s.strides.push_back(random.between(1, 3));
    s.dilations.push_back(random.between(1, 2));
    const int64_t reach = (s.kernel[i] - 1) * s.dilations[i] + 1;
    s.in.push_back(reach + random.between(0, 4));
    for (size_t side : {i, i + dims}) s.pads[side] = random.between(0, s.kernel[i] - 1);
    const int64_t slack = s.in[i] + s.pads[i] + s.pads[i + dims] - reach;
    s.out.push_back((s.ceil ? slack + s.strides[i] - 1 : slack) / s.strides[i] + 1);
    if (s.ceil && (s.out[i] - 1) * s.strides[i] >= s.in[i] + s.pads[i]) --s.out[i];
  }
  return s;
}

Attrs attributes(const Sliding& s) {
  return {{"kernel_shape", s.kernel}, {"strides", s.strides}, {"dilations", s.dilations}, {"pads", s.pads}, {"ceil_mode", int64_t{s.ceil}}};
}

/// Calls tap(source, inside, inside the padding) for every tap of output position `o`.
void for_each_tap(const Sliding& s, const Ints& o, const std::function<void(const Ints&, bool, bool)>& tap) {
  layers::for_each_index(s.kernel, [&](const Ints& k) {
    Ints p;
    bool inside = true, padded = true;
    for (size_t i = 0; i < k.size(); ++i) {
      p.push_back(o[i] * s.strides[i] - s.pads[i] + k[i] * s.dilations[i]);
      inside = inside && p[i] >= 0 && p[i] < s.in[i];
      padded = padded && p[i] < s.in[i] + s.pads[i + k.size()];
    }
    tap(p, inside, padded);
  });
}

}  // namespace

TEST_CASE("pools in three dimensions agree with their definition") {
  for (uint32_t seed = 0; seed < 80; ++seed) {
    Random random(seed);
    const Sliding s = random_sliding(random, 3);
    const bool average = random.flip(), include = random.flip();
    CAPTURE(seed, s.in, s.kernel, s.strides, s.dilations, s.pads, s.ceil, average, include);
    const Tensor x = random.tensor(joined({2, random.between(1, 3)}, s.in));
    Attrs attrs = attributes(s);
    if (average) attrs.set("count_include_pad", int64_t{include});
    Result<Tensor> y = run(average ? "AveragePool" : "MaxPool", {x}, attrs, 19);
    REQUIRE(y.ok());
    Doubles want;
    const Shape shape = joined({2, x.type.shape[1]}, s.out);
    layers::for_each_index(shape, [&](const Ints& at) {
      double sum = 0, top = -1e30;
      int inside = 0, padded = 0;
      for_each_tap(s, from(2, at), [&](const Ints& p, bool in, bool in_padding) {
        padded += in_padding;
        if (!in) return;
        const double value = layers::element(x, joined({at[0], at[1]}, p));
        sum += value, top = std::max(top, value), ++inside;
      });
      want.push_back(average ? sum / std::max(include ? padded : inside, 1) : top);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("LpPool takes p-norms of windows, GlobalLpPool of images") {
  for (uint32_t seed = 0; seed < 80; ++seed) {
    Random random(seed + 300);
    const Sliding s = random_sliding(random, static_cast<size_t>(random.between(1, 3)));
    const int64_t p = random.between(1, 3);
    CAPTURE(seed, s.in, s.kernel, s.strides, s.dilations, s.pads, s.ceil, p);
    const Tensor x = random.tensor(joined({2, 3}, s.in));
    Attrs attrs = attributes(s);
    attrs.set("p", p);
    Result<Tensor> y = run("LpPool", {x}, attrs, 18);
    REQUIRE(y.ok());
    Doubles want, global;
    const Shape shape = joined({2, 3}, s.out);
    layers::for_each_index(shape, [&](const Ints& at) {
      double sum = 0;
      for_each_tap(s, from(2, at), [&](const Ints& from_at, bool in, bool) {
        if (in) sum += std::pow(std::fabs(layers::element(x, joined({at[0], at[1]}, from_at))), double(p));
      });
      want.push_back(std::pow(sum, 1.0 / double(p)));
    });
    check_close(*y, shape, want);
    y = run("GlobalLpPool", {x}, {{"p", p}});
    REQUIRE(y.ok());
    for (int64_t image = 0; image < 6; ++image) {
      double sum = 0;
      layers::for_each_index(s.in, [&](const Ints& at) { sum += std::pow(std::fabs(layers::element(x, joined({image / 3, image % 3}, at))), double(p)); });
      global.push_back(std::pow(sum, 1.0 / double(p)));
    }
    check_close(*y, joined({2, 3}, Ints(s.in.size(), 1)), global);
  }
}

TEST_CASE("MaxPool numbers the elements that it picks, by rows or by columns") {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Random random(seed + 600);
    const Sliding s = random_sliding(random, static_cast<size_t>(random.between(1, 2)));
    const bool by_columns = random.flip();
    CAPTURE(seed, s.in, s.kernel, s.strides, s.dilations, s.pads, s.ceil, by_columns);
    Tensor x = random.tensor(joined({2, 3}, s.in));
    for (float& v : x.as<float>()) v = std::round(v);  // many ties: the first counts
    Bench t;
    Attrs attrs = attributes(s);
    attrs.set("storage_order", int64_t{by_columns});
    ImportResult out = t.run(ops::max_pool2d, 12, {t.constant(x)}, attrs, 2);
    REQUIRE(out.ok());
    std::vector<int64_t> want;
    const Shape shape = joined({2, 3}, s.out);
    layers::for_each_index(shape, [&](const Ints& at) {
      double top = -1e30;
      int64_t best = -1;
      for_each_tap(s, from(2, at), [&](const Ints& p, bool in, bool) {
        if (!in || layers::element(x, joined({at[0], at[1]}, p)) <= top) return;
        top = layers::element(x, joined({at[0], at[1]}, p));
        const int64_t image = (at[0] * 3 + at[1]) * element_count(s.in);
        best = image + (p.size() == 1 ? p[0] : by_columns ? p[1] * s.in[0] + p[0] : p[0] * s.in[1] + p[1]);
      });
      want.push_back(best);
    });
    CHECK(*t.b.constant((*out)[1]) == Tensor::of<int64_t>(shape, want));
  }
}

TEST_CASE("pools that do not fit are refused") {
  Tensor x({DType::f32, {1, 1, 4, 4}, {}}), volume({DType::f32, {1, 1, 4, 4, 4}, {}}), beyond({DType::f32, {1, 1, 1, 1, 1, 1}, {}});
  CHECK(failure("LpPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"p", int64_t{0}}}) == "'p' is 0, it must be positive.");
  CHECK(failure("LpPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{2, 0, 0, 0}}}).find("a pad is 2") == 0);
  CHECK(failure("MaxPool", {beyond}, {{"kernel_shape", Ints{1, 1, 1, 1}}}).find("windows in 4 dimensions are not supported, the limit is 3.") != std::string::npos);
  CHECK(failure("GlobalLpPool", {Tensor({DType::f32, {1, 1}, {}})}).find("no spatial dimensions") != std::string::npos);
  Bench t;
  CHECK(t.message(ops::max_pool2d, 12, {t.constant(volume)}, {{"kernel_shape", Ints{2, 2, 2}}}, 2) ==
        "output 'Indices' of MaxPool in 3 dimensions is not supported.");
}

}  // namespace kiln
