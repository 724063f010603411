// SPDX-License-Identifier: Apache-2.0
// Reductions, global pools and Softmax against their definition.
#include <limits>
#include <numeric>

#include "tests/unit/layers.h"

namespace kiln {
namespace {

using namespace layers;

struct Reduction {
  std::string type;
  std::function<double(const Doubles&)> of;
};

double sum_of(const Doubles& v, const std::function<double(double)>& f) {
  double sum = 0;
  for (double x : v) sum += f(x);
  return sum;
}

const Reduction kReductions[] = {
    {"ReduceSum", [](const Doubles& v) { return sum_of(v, [](double x) { return x; }); }},
    {"ReduceMean", [](const Doubles& v) { return sum_of(v, [](double x) { return x; }) / static_cast<double>(v.size()); }},
    {"ReduceMax", [](const Doubles& v) { return *std::max_element(v.begin(), v.end()); }},
    {"ReduceMin", [](const Doubles& v) { return *std::min_element(v.begin(), v.end()); }},
    {"ReduceProd", [](const Doubles& v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); }},
    {"ReduceL1", [](const Doubles& v) { return sum_of(v, [](double x) { return std::abs(x); }); }},
    {"ReduceSumSquare", [](const Doubles& v) { return sum_of(v, [](double x) { return x * x; }); }},
    {"ReduceL2", [](const Doubles& v) { return std::sqrt(sum_of(v, [](double x) { return x * x; })); }},
    {"ReduceLogSumExp", [](const Doubles& v) { return std::log(sum_of(v, [](double x) { return std::exp(x); })); }},
    {"ReduceLogSum", [](const Doubles& v) { return std::log(sum_of(v, [](double x) { return x; })); }},
};

TEST_CASE("reductions agree with their definition") {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Random random(seed + 3000);
    const Reduction& reduction = kReductions[seed % std::size(kReductions)];
    Shape shape(static_cast<size_t>(random.between(0, 5)));
    for (int64_t& dim : shape) dim = random.between(1, 4);
    Ints axes;
    std::vector<bool> reduced(shape.size(), false);
    for (size_t i = 0; i < shape.size(); ++i)
      if (random.flip()) axes.push_back(static_cast<int64_t>(i) - (random.flip() ? static_cast<int64_t>(shape.size()) : 0)), reduced[i] = true;
    if (random.flip()) std::reverse(axes.begin(), axes.end());
    bool keep = random.flip(), none = axes.empty(), noop = none && random.flip();
    if (none) reduced.assign(shape.size(), !noop);
    int64_t opset = random.flip() ? 11 : 18;
    Tensor x = random.tensor(shape);
    if (reduction.type == "ReduceLogSum")
      for (float& v : x.as<float>()) v = std::abs(v) + 0.1f;
    CAPTURE(seed, reduction.type, shape, axes, keep, noop, opset);
    Attrs attrs{{"keepdims", int64_t{keep}}, {"noop_with_empty_axes", int64_t{noop}}};
    std::vector<std::optional<Tensor>> inputs = {x};
    if (opset == 18) inputs.push_back(Tensor::int64s(axes));
    else if (!none) attrs.set("axes", axes);
    Result<Tensor> y = run(reduction.type, inputs, attrs, opset);
    REQUIRE(y.ok());

    Shape kept = shape, out;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (reduced[i]) kept[i] = 1;
      if (!reduced[i] || keep) out.push_back(kept[i]);
    }
    Doubles want;
    for_each_index(kept, [&](const Ints& at) {
      Doubles values;
      Ints inner = shape;
      for (size_t i = 0; i < shape.size(); ++i)
        if (!reduced[i]) inner[i] = 1;
      for_each_index(inner, [&](const Ints& step) {
        Ints from = at;
        for (size_t i = 0; i < shape.size(); ++i) from[i] += step[i];
        values.push_back(element(x, from));
      });
      want.push_back(reduction.of(values));
    });
    check_close(*y, out, want);
  }
}

TEST_CASE("reductions of integers, of nothing, and their errors") {
  Tensor ints = Tensor::of<int32_t>({2, 3}, std::vector<int32_t>{7, -8, 3, 2147483647, 1, 5});
  CHECK(run("ReduceSum", {ints, Tensor::int64s({1})})->to_doubles() == Doubles{2, -2147483643});  // wraps around
  CHECK(run("ReduceMax", {ints}, {{"axes", Ints{0}}})->to_doubles() == Doubles{2147483647, 1, 5});
  Tensor bytes = Tensor::of<uint8_t>({4}, std::vector<uint8_t>{3, 200, 9, 1});
  CHECK(run("ReduceMin", {bytes})->to_doubles() == Doubles{1});
  CHECK(run("ReduceMax", {bytes})->to_doubles() == Doubles{200});
  Tensor empty({DType::f32, {2, 0}, {}});
  CHECK(run("ReduceSum", {empty, Tensor::int64s({1})})->to_doubles() == Doubles{0, 0});
  CHECK(run("ReduceProd", {empty, Tensor::int64s({1})})->to_doubles() == Doubles{1, 1});
  CHECK(run("ReduceMax", {empty, Tensor::int64s({1})})->to_doubles()[0] == -std::numeric_limits<double>::infinity());
  CHECK(failure("ReduceMean", {Tensor({DType::i32, {0}, {}})}) == "the mean of 0 integers is undefined, the input is i32[0].");
  CHECK(failure("ReduceSum", {ints, Tensor::int64s({2})}) == "axis 2 is outside the 2 dimensions.");
  CHECK(failure("ReduceSum", {ints, Tensor::int64s({1, -1})}) == "axis 1 is given twice.");
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(run("ReduceLogSumExp", {Tensor::floats({2}, {-INFINITY, -INFINITY})})->to_doubles() == Doubles{-inf});
  CHECK(run("ReduceLogSumExp", {Tensor::floats({2}, {INFINITY, 1})})->to_doubles() == Doubles{inf});
  CHECK(run("ReduceLogSumExp", {Tensor::floats({2}, {1000, 1000})})->to_doubles()[0] == Approx(1000 + std::log(2.0)));
  // A long sum stays close: a million times 0.1.
  Tensor many({DType::f32, {1000000}, {}});
  for (float& v : many.as<float>()) v = 0.1f;
  CHECK(run("ReduceSum", {many})->to_doubles()[0] == Approx(100000.0).epsilon(2e-5));
  CHECK(run("ReduceMean", {many})->to_doubles()[0] == Approx(0.1).epsilon(2e-5));
}

TEST_CASE("global pools reduce the spatial dimensions") {
  Random random(11);
  for (const Shape& shape : {Shape{2, 3, 5}, Shape{1, 4, 3, 2}, Shape{1, 2, 2, 3, 2}}) {
    Tensor x = random.tensor(shape);
    Shape out = shape;
    for (size_t i = 2; i < out.size(); ++i) out[i] = 1;
    Doubles mean, top;
    for_each_index({shape[0], shape[1]}, [&](const Ints& nc) {
      Doubles values;
      for_each_index(from(2, shape), [&](const Ints& at) { values.push_back(element(x, joined(nc, at))); });
      mean.push_back(kReductions[1].of(values));
      top.push_back(kReductions[2].of(values));
    });
    check_close(*run("GlobalAveragePool", {x}), out, mean);
    check_close(*run("GlobalMaxPool", {x}), out, top);
  }
  CHECK(failure("GlobalMaxPool", {random.tensor({2, 3})}) == "the input [2,3] has no spatial dimensions.");
}

/// Softmax, or its logarithm, along an axis of a matrix-like view [outer, count, inner].
Doubles naive_softmax(const Doubles& x, size_t outer, size_t count, size_t inner, bool logarithm) {
  Doubles y(x.size());
  for (size_t o = 0; o < outer; ++o)
    for (size_t i = 0; i < inner; ++i) {
      auto at = [&](size_t k) { return (o * count + k) * inner + i; };
      double top = -std::numeric_limits<double>::infinity(), sum = 0;
      for (size_t k = 0; k < count; ++k) top = std::max(top, x[at(k)]);
      for (size_t k = 0; k < count; ++k) sum += std::exp(x[at(k)] - top);
      for (size_t k = 0; k < count; ++k) y[at(k)] = logarithm ? x[at(k)] - top - std::log(sum) : std::exp(x[at(k)] - top) / sum;
    }
  return y;
}

TEST_CASE("softmax agrees with its definition, before and after opset 13") {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    Random random(seed + 4000);
    Shape shape(static_cast<size_t>(random.between(1, 4)));
    for (int64_t& dim : shape) dim = random.between(1, 5);
    auto rank = static_cast<int64_t>(shape.size());
    bool flattens = random.flip(), logarithm = random.flip();
    int64_t axis = random.between(-rank, rank - 1);
    auto split = static_cast<size_t>(axis < 0 ? axis + rank : axis);
    Tensor x = random.tensor(shape);
    if (random.flip()) for (float& v : x.as<float>()) v *= 100;  // exponentials that would overflow
    CAPTURE(seed, shape, axis, flattens, logarithm);
    auto outer = static_cast<size_t>(product(shape, 0, split)), rest = static_cast<size_t>(product(shape, split, shape.size()));
    auto count = static_cast<size_t>(shape[split]);
    Doubles want = flattens ? naive_softmax(x.to_doubles(), outer, rest, 1, logarithm)
                            : naive_softmax(x.to_doubles(), outer, count, rest / count, logarithm);
    Result<Tensor> y = run(logarithm ? "LogSoftmax" : "Softmax", {x}, {{"axis", axis}}, flattens ? 11 : 13);
    REQUIRE(y.ok());
    check_close(*y, shape, want);
  }
  Tensor x({DType::f32, {2, 3, 4}, {}});
  CHECK(run("Softmax", {x}, {}, 11)->to_doubles()[0] == Approx(1.0 / 12));  // default axis 1 and all after it
  CHECK(run("Softmax", {x}, {}, 13)->to_doubles()[0] == Approx(1.0 / 4));   // default axis -1
  CHECK(run("Softmax", {Tensor({DType::f64, {4}, {}})}, {}, 13)->to_doubles()[0] == Approx(0.25));
  CHECK(failure("Softmax", {x}, {{"axis", int64_t{3}}}, 13) == "axis 3 is outside the 3 dimensions of [2,3,4].");
}

TEST_CASE("a permuted reduction is the permutation of the reduction") {
  Attrs attrs{{"axes", Ints{0, 2}}};
  TensorType x{DType::f32, {2, 3, 4}, {}};
  const OpArgs args{ops::reduce_sum, attrs, {&x}, {nullptr}, {}};
  Attrs permuted = attrs;
  REQUIRE(ops::reduce_sum.permute(args, Ints{2, 0, 1}, permuted));
  CHECK(permuted.ints("axes") == Ints{0, 1});
  REQUIRE(ops::reduce_sum.permute(args, Ints{1, 2, 0}, permuted));
  CHECK(permuted.ints("axes") == Ints{1, 2});

  Attrs axis{{"axis", int64_t{1}}};
  Attrs moved = axis;
  REQUIRE(ops::softmax.permute({ops::softmax, axis, {&x}, {nullptr}, {}}, Ints{2, 0, 1}, moved));
  CHECK(moved.i("axis") == 2);
}

}  // namespace
}  // namespace kiln
