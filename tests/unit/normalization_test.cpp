// SPDX-License-Identifier: Apache-2.0
// Normalizations against their definitions.
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
using layers::run;

size_t flat(const Shape& shape, const Ints& at) {
  int64_t position = 0;
  for (size_t i = 0; i < at.size(); ++i) position = position * shape[i] + at[i];
  return static_cast<size_t>(position);
}

/// Mean and variance of the elements that `key` puts into one group, for each element.
struct Statistics {
  Doubles mean, variance, square;
};
Statistics statistics(const Tensor& x, const std::function<Ints(const Ints&)>& key) {
  std::map<Ints, std::pair<double, int>> sums;
  std::map<Ints, double> squares, rests;
  const Doubles values = x.to_doubles();
  layers::for_each_index(x.type.shape, [&](const Ints& at) {
    const double v = values[flat(x.type.shape, at)];
    auto& [sum, count] = sums[key(at)];
    sum += v;
    ++count;
    squares[key(at)] += v * v;
  });
  layers::for_each_index(x.type.shape, [&](const Ints& at) {
    const auto [sum, count] = sums[key(at)];
    const double rest = values[flat(x.type.shape, at)] - sum / count;
    rests[key(at)] += rest * rest;
  });
  Statistics s;
  layers::for_each_index(x.type.shape, [&](const Ints& at) {
    const auto [sum, count] = sums[key(at)];
    s.mean.push_back(sum / count);
    s.variance.push_back(rests[key(at)] / count);
    s.square.push_back(squares[key(at)] / count);
  });
  return s;
}

Shape random_image(Random& random, int64_t channels) {
  Shape shape = {random.between(1, 3), channels};
  for (int64_t i = random.between(1, 3); i > 0; --i) shape.push_back(random.between(1, 5));
  return shape;
}

}  // namespace

TEST_CASE("group and instance normalization agree with their definition") {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    Random random(seed);
    const bool instance = seed % 3 == 0, by_group = !instance && random.flip();
    const int64_t groups = random.between(1, instance ? 20 : 4), size = instance ? 1 : random.between(1, 11), channels = groups * size;
    const double epsilon = random.flip() ? 1e-5f : 0.125;
    const Tensor x = random.tensor(random_image(random, channels));
    const Tensor scale = random.tensor({by_group ? groups : channels}), bias = random.tensor(scale.type.shape);
    CAPTURE(seed, x.type.shape, groups, by_group);
    Attrs attrs;
    if (epsilon != 1e-5f) attrs.set("epsilon", epsilon);
    if (!instance) attrs.set("num_groups", groups);
    Result<Tensor> y = run(instance ? "InstanceNormalization" : "GroupNormalization", {x, scale, bias}, attrs, by_group ? 18 : 21);
    REQUIRE(y.ok());
    const Statistics s = statistics(x, [&](const Ints& at) { return Ints{at[0], at[1] / size}; });
    Doubles want;
    layers::for_each_index(x.type.shape, [&](const Ints& at) {
      const size_t i = want.size();
      const int64_t c = by_group ? at[1] / size : at[1];
      want.push_back((layers::element(x, at) - s.mean[i]) / std::sqrt(s.variance[i] + epsilon) * layers::element(scale, {c}) + layers::element(bias, {c}));
    });
    check_close(*y, x.type.shape, want);
  }
}

TEST_CASE("MeanVarianceNormalization is taken over any axes, LpNormalization along one") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Random random(seed + 50);
    Tensor x = random.tensor({random.between(2, 3), random.between(2, 4), random.between(2, 4), random.between(2, 4)});
    Ints axes;
    for (int64_t axis = 0; axis < 4; ++axis)
      if (random.flip()) axes.push_back(random.flip() ? axis : axis - 4);
    const bool given = seed % 4 != 0 && !axes.empty();
    std::vector<bool> reduced = {true, false, true, true};
    if (given) {
      reduced.assign(4, false);
      for (int64_t axis : axes) reduced[static_cast<size_t>(axis < 0 ? axis + 4 : axis)] = true;
    }
    CAPTURE(seed, x.type.shape, axes, given);
    auto kept = [&](const Ints& at) {
      Ints key;
      for (size_t i = 0; i < 4; ++i) key.push_back(reduced[i] ? 0 : at[i]);
      return key;
    };
    const Statistics s = statistics(x, kept);
    Doubles want, values = x.to_doubles();
    for (size_t i = 0; i < values.size(); ++i) want.push_back((values[i] - s.mean[i]) / (std::sqrt(s.variance[i]) + 1e-9));
    Result<Tensor> y = run("MeanVarianceNormalization", {x}, given ? Attrs{{"axes", axes}} : Attrs{}, 13);
    REQUIRE(y.ok());
    check_close(*y, x.type.shape, want);

    const int64_t axis = random.between(-4, 3), p = random.between(1, 2);
    const auto along = static_cast<size_t>(axis < 0 ? axis + 4 : axis);
    std::map<Ints, double> norms;
    auto line = [&](Ints at) { return at[along] = 0, at; };
    layers::for_each_index(x.type.shape, [&](const Ints& at) { norms[line(at)] += std::pow(std::fabs(layers::element(x, at)), double(p)); });
    want.clear();
    layers::for_each_index(x.type.shape, [&](const Ints& at) { want.push_back(layers::element(x, at) / std::pow(norms[line(at)], 1.0 / double(p))); });
    y = run("LpNormalization", {x}, {{"axis", axis}, {"p", p}}, 22);
    REQUIRE(y.ok());
    check_close(*y, x.type.shape, want);
  }
  Result<Tensor> zeros = run("LpNormalization", {Tensor({DType::f32, {2, 2}, {}})}, {});
  REQUIRE(zeros.ok());
  check_close(*zeros, {2, 2}, {0, 0, 0, 0});
}

TEST_CASE("LRN divides by the squares of the channels around") {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Random random(seed + 90);
    const Tensor x = random.tensor(random_image(random, random.between(1, 9)));
    const int64_t size = random.between(1, 6), channels = x.type.shape[1];
    const double alpha = 0.25, beta = 0.5, bias = 2;
    CAPTURE(seed, x.type.shape, size);
    Result<Tensor> y = run("LRN", {x}, {{"size", size}, {"alpha", alpha}, {"beta", beta}, {"bias", bias}});
    REQUIRE(y.ok());
    Doubles want;
    layers::for_each_index(x.type.shape, [&](const Ints& at) {
      double sum = 0;
      for (int64_t c = std::max<int64_t>(0, at[1] - (size - 1) / 2); c <= std::min(channels - 1, at[1] + size / 2); ++c) {
        Ints near = at;
        near[1] = c;
        sum += std::pow(layers::element(x, near), 2);
      }
      want.push_back(layers::element(x, at) / std::pow(bias + alpha / double(size) * sum, beta));
    });
    check_close(*y, x.type.shape, want);
  }
}

TEST_CASE("layer and root-mean-square normalization over the dimensions from an axis on, with all outputs and scales that broadcast") {
  for (uint32_t seed = 0; seed < 80; ++seed) {
    Random random(seed + 200);
    const Tensor x = random.tensor(random_shape(random.engine, static_cast<size_t>(random.between(1, 4)), 5));
    const int64_t rank = x.type.rank(), axis = random.between(-rank, rank - 1), first = axis < 0 ? axis + rank : axis;
    const bool rms = random.flip();
    Shape scale_shape(x.type.shape.begin() + first, x.type.shape.end());
    if (random.flip()) scale_shape[static_cast<size_t>(random.between(0, static_cast<int64_t>(scale_shape.size()) - 1))] = 1;
    const Tensor scale = random.tensor(scale_shape), bias = random.tensor(Shape{x.type.shape.back()});
    CAPTURE(seed, x.type.shape, axis, rms, scale_shape);
    const Statistics s = statistics(x, [&](const Ints& at) { return Ints(at.begin(), at.begin() + first); });
    Doubles want, values = x.to_doubles();
    layers::for_each_index(x.type.shape, [&](const Ints& at) {
      const size_t i = want.size();
      Ints entry;
      for (size_t k = 0; k < scale_shape.size(); ++k) entry.push_back(scale_shape[k] == 1 ? 0 : at[static_cast<size_t>(first) + k]);
      const double factor = layers::element(scale, entry);
      if (rms) want.push_back(values[i] / std::sqrt(s.square[i] + 1e-5) * factor);
      else want.push_back((values[i] - s.mean[i]) / std::sqrt(s.variance[i] + 1e-5) * factor + layers::element(bias, {at.back()}));
    });
    Bench t;
    std::vector<ValueId> inputs = {t.constant(x), t.constant(scale)};
    if (!rms) inputs.push_back(t.constant(bias));
    ImportResult out = t.run(rms ? ops::rms_norm : ops::layer_norm, 23, inputs, {{"axis", axis}}, rms ? 1 : 3);
    REQUIRE(out.ok());
    check_close(*t.b.constant(out->front()), x.type.shape, want);
    if (rms) continue;
    Shape kept = x.type.shape;
    for (auto k = static_cast<size_t>(first); k < kept.size(); ++k) kept[k] = 1;
    Doubles mean, inverse;
    const auto step = static_cast<size_t>(x.type.elements() / element_count(kept));
    for (size_t i = 0; i < values.size(); i += step) mean.push_back(s.mean[i]), inverse.push_back(1 / std::sqrt(s.variance[i] + 1e-5));
    check_close(*t.b.constant((*out)[1]), kept, mean);
    if (step > 1) check_close(*t.b.constant((*out)[2]), kept, inverse);
  }
}

TEST_CASE("normalizations that do not fit are refused") {
  Tensor x({DType::f32, {1, 4, 3}, {}}), four({DType::f32, {4}, {}}), two({DType::f32, {2}, {}}), wide({DType::f64, {1, 4, 3}, {}});
  CHECK(failure("GroupNormalization", {x, four, four}, {{"num_groups", int64_t{3}}}, 21) == "3 groups do not divide 4 channels.");
  CHECK(failure("GroupNormalization", {x, two, two}, {{"num_groups", int64_t{2}}}, 21) == "the scale is f32[2], it must have 4 elements.");
  CHECK(failure("GroupNormalization", {x, four, four}, {{"num_groups", int64_t{2}}}, 18) == "the scale is f32[4], it must have 2 elements.");
  CHECK(failure("GroupNormalization", {x, four, four}, {}, 21) == "attribute 'num_groups' is missing.");
  CHECK(failure("InstanceNormalization", {two, two, two}).find("at least 3 dimensions") != std::string::npos);
  CHECK(failure("InstanceNormalization", {wide, four, four}) == "normalization of f64 is not supported, only of f32.");
  CHECK(failure("LpNormalization", {x}, {{"p", int64_t{3}}}) == "'p' is 3, it must be 1 or 2.");
  CHECK(failure("LpNormalization", {x}, {{"axis", int64_t{3}}}) == "axis 3 is outside f32[1,4,3].");
  CHECK(failure("LRN", {x}) == "'size' is 0, it must be from 1 to 65536.");
  CHECK(failure("MeanVarianceNormalization", {x}, {{"axes", Ints{5}}}) == "axis 5 is outside the 3 dimensions.");
  CHECK(failure("LayerNormalization", {x, two}) == "a scale or bias f32[2] does not broadcast to f32[1,4,3].");
  CHECK(failure("RMSNormalization", {x, two}, {}, 23) == "a scale or bias f32[2] does not broadcast to f32[1,4,3].");
}

}  // namespace kiln
