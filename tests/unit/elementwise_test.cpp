// SPDX-License-Identifier: Apache-2.0
// Elementwise operators, folded by GraphBuilder, against the functions of the C++ library and index loops that follow the
// definition of broadcasting.
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "compiler/ops/broadcasting.h"
#include "compiler/ops/elementwise.h"

using namespace kiln;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const float kNan = std::nanf("");

/// Builds nodes on constants, which fold at once.
struct Bench {
  Graph graph;
  GraphBuilder b{graph, {"test"}};

  ValueId constant(Tensor t) { return b.add_constant(std::move(t), "c"); }
  ValueId input(DType dtype, Shape shape) { return graph.add_input("x", TensorType{dtype, std::move(shape), {}}); }
  const Tensor& value(Result<ValueId> v) {
    if (!v) FAIL(v.diagnostic().message);
    REQUIRE(b.constant(*v));
    return *b.constant(*v);
  }
  Tensor eval(const OpDef& op, const std::vector<Tensor>& operands, Attrs attrs = {}) {
    std::vector<ValueId> inputs;
    for (const Tensor& t : operands) inputs.push_back(constant(t));
    return value(b.add(op, inputs, std::move(attrs)));
  }
  ImportResult run(std::string_view type, int64_t opset, std::vector<ValueId> inputs, Attrs attrs = {}, size_t outputs = 1) {
    const OpDef* op = op_table().find_onnx("", type);
    REQUIRE(op);
    OnnxNode node{"", std::string(type), "n", opset, std::move(attrs), std::move(inputs), outputs, std::vector<bool>(outputs, true)};
    return op->import ? op->import(node, b) : one(b.add(*op, node.inputs, node.attrs));
  }
  /// The constant that an ONNX node with constant inputs folds to.
  Tensor import(std::string_view type, int64_t opset, const std::vector<Tensor>& operands, Attrs attrs = {}) {
    std::vector<ValueId> inputs;
    for (const Tensor& t : operands) inputs.push_back(constant(t));
    ImportResult out = run(type, opset, inputs, std::move(attrs));
    if (!out) FAIL(out.diagnostic().message);
    return value((*out)[0]);
  }
};

template <class T>
Tensor vector_of(const std::vector<T>& values) {
  return Tensor::of<T>({static_cast<int64_t>(values.size())}, values);
}

template <class T>
std::vector<T> elements(const Tensor& t) {
  return {t.as<T>().begin(), t.as<T>().end()};
}

Tensor booleans(Shape shape, const std::vector<uint8_t>& values) {
  Tensor t = Tensor::of<uint8_t>(std::move(shape), values);
  t.type.dtype = DType::boolean;
  return t;
}

/// The flat position in a tensor of `shape` that flat position `at` of a tensor of shape `to` reads by broadcasting.
size_t source(size_t at, const Shape& to, const Shape& shape) {
  size_t position = 0, step = 1;
  for (size_t k = to.size(); k-- > 0;) {
    const size_t index = at % static_cast<size_t>(to[k]);
    at /= static_cast<size_t>(to[k]);
    const size_t lead = to.size() - shape.size();
    if (k < lead) continue;
    const auto dim = static_cast<size_t>(shape[k - lead]);
    position += (dim == 1 ? 0 : index) * step;
    step *= dim;
  }
  return position;
}

/// Shapes of `count` operands that broadcast with each other, sizes up to 4, sometimes 0.
std::vector<Shape> random_shapes(std::mt19937& random, size_t count) {
  Shape full(random() % 6);
  for (int64_t& dim : full) dim = random() % 40 == 0 ? 0 : 1 + static_cast<int64_t>(random() % 4);
  std::vector<Shape> shapes;
  for (size_t i = 0; i < count; ++i) {
    Shape shape(full.begin() + static_cast<std::ptrdiff_t>(random() % (full.size() + 1)), full.end());
    for (int64_t& dim : shape)
      if (random() % 3 == 0) dim = 1;
    shapes.push_back(shape);
  }
  return shapes;
}

template <class T>
Tensor random_tensor(std::mt19937& random, const Shape& shape) {
  std::vector<T> values(static_cast<size_t>(element_count(shape)));
  for (T& v : values) {
    if constexpr (std::is_floating_point_v<T>) v = static_cast<T>(static_cast<int>(random() % 2001) - 1000) / T(64);
    else v = static_cast<T>(random());
  }
  return Tensor::of<T>(shape, values);
}

}  // namespace

TEST_CASE("binary operators broadcast as NumPy does", "[elementwise]") {
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    std::vector<Shape> shapes = random_shapes(random, 2);
    const Tensor a = random_tensor<float>(random, shapes[0]), b = random_tensor<float>(random, shapes[1]);
    const Tensor difference = Bench().eval(ops::sub, {a, b});
    const Tensor order = Bench().eval(ops::less, {a, b});
    const Shape to = *broadcast(shapes[0], shapes[1]);
    INFO(to_string(shapes[0]) << " " << to_string(shapes[1]));
    REQUIRE(difference.type == TensorType{DType::f32, to, {}});
    REQUIRE(order.type == TensorType{DType::boolean, to, {}});
    for (size_t i = 0; i < difference.as<float>().size(); ++i) {
      const float left = a.as<float>()[source(i, to, shapes[0])], right = b.as<float>()[source(i, to, shapes[1])];
      REQUIRE(difference.as<float>()[i] == left - right);
      REQUIRE(order.as<uint8_t>()[i] == (left < right ? 1 : 0));
    }
  }
}

TEST_CASE("where broadcasts its three operands", "[elementwise]") {
  std::mt19937 random(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<Shape> shapes = random_shapes(random, 3);
    std::vector<uint8_t> condition(static_cast<size_t>(element_count(shapes[0])));
    for (uint8_t& c : condition) c = random() & 1;
    const Tensor a = random_tensor<int16_t>(random, shapes[1]), b = random_tensor<int16_t>(random, shapes[2]);
    const Tensor y = Bench().eval(ops::where, {booleans(shapes[0], condition), a, b});
    const Shape to = *broadcast(*broadcast(shapes[0], shapes[1]), shapes[2]);
    REQUIRE(y.type == TensorType{DType::i16, to, {}});
    for (size_t i = 0; i < y.as<int16_t>().size(); ++i) {
      const bool c = condition[source(i, to, shapes[0])] != 0;
      REQUIRE(y.as<int16_t>()[i] == (c ? a.as<int16_t>()[source(i, to, shapes[1])] : b.as<int16_t>()[source(i, to, shapes[2])]));
    }
  }
}

TEST_CASE("coalesced loops visit what the original ones did", "[elementwise]") {
  const auto visits = [](const LoopNest& loops) {
    std::vector<std::vector<int64_t>> out;
    const Shape& dims = loops.dims;
    for (int64_t n = 0; n < element_count(dims); ++n) {
      std::vector<int64_t> offsets;
      for (const std::vector<int64_t>& strides : loops.strides) {
        int64_t rest = n, offset = 0;
        for (size_t k = dims.size(); k-- > 0; rest /= dims[k]) offset += rest % dims[k] * strides[k];
        offsets.push_back(offset);
      }
      out.push_back(offsets);
    }
    return out;
  };
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<Shape> shapes = random_shapes(random, 3);
    const Shape to = *broadcast(*broadcast(shapes[0], shapes[1]), shapes[2]);
    LoopNest loops{to, {}};
    for (const Shape& shape : shapes) loops.strides.push_back(broadcast_strides(shape, to));
    const LoopNest merged = broadcast_loops(to, {&shapes[0], &shapes[1], &shapes[2]});
    REQUIRE(visits(merged) == visits(loops));
    REQUIRE(coalesce(merged) == merged);
    REQUIRE_FALSE(merged.dims.empty());
    for (const std::vector<int64_t>& strides : merged.strides) REQUIRE((strides.back() == 0 || strides.back() == 1));
  }
  // equal shapes: one loop; a scalar: one loop; a row: two; a channel of NCHW: three
  const Shape nchw = {2, 3, 4, 5}, scalar_shape, row = {5}, channel = {3, 1, 1};
  REQUIRE(broadcast_loops(nchw, {&nchw, &nchw}) == LoopNest{{120}, {{1}, {1}}});
  REQUIRE(broadcast_loops(nchw, {&nchw, &scalar_shape}) == LoopNest{{120}, {{1}, {0}}});
  REQUIRE(broadcast_loops(nchw, {&nchw, &row}) == LoopNest{{24, 5}, {{5, 1}, {0, 1}}});
  REQUIRE(broadcast_loops(nchw, {&nchw, &channel}) == LoopNest{{2, 3, 20}, {{60, 20, 1}, {0, 1, 0}}});
  REQUIRE(broadcast_loops({1, 1}, {&scalar_shape}) == LoopNest{{1}, {{0}}});
  REQUIRE(broadcast_loops({3, 0}, {&scalar_shape}) == LoopNest{{0}, {{0}}});
  // strides of a copy: negative, and a transposition
  REQUIRE(coalesce({{2, 3, 4}, {{12, 4, 1}, {-12, -4, -1}}}) == LoopNest{{24}, {{1}, {-1}}});
  REQUIRE(coalesce({{2, 3}, {{3, 1}, {1, 2}}}) == LoopNest{{2, 3}, {{3, 1}, {1, 2}}});
}

TEST_CASE("integer arithmetic wraps around and never traps", "[elementwise]") {
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min(), kMost = std::numeric_limits<int32_t>::max();
  const auto run = [](const OpDef& op, const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
    return elements<int32_t>(Bench().eval(op, {vector_of(a), vector_of(b)}));
  };
  REQUIRE(run(ops::add, {kMost, -5}, {1, 3}) == std::vector<int32_t>{kLeast, -2});
  REQUIRE(run(ops::sub, {kLeast, 2}, {1, 5}) == std::vector<int32_t>{kMost, -3});
  REQUIRE(run(ops::mul, {1 << 20, -7}, {1 << 12, 6}) == std::vector<int32_t>{0, -42});
  REQUIRE(run(ops::div, {7, -7, 7, -7, 5, kLeast}, {2, 2, -2, -2, 0, -1}) == std::vector<int32_t>{3, -3, -3, 3, 0, kLeast});
  REQUIRE(run(ops::modulo, {7, -7, 7, -7, 5, kLeast, -6}, {3, 3, -3, -3, 0, -1, 3}) == std::vector<int32_t>{1, 2, -2, -1, 0, 0, 0});
  REQUIRE(run(ops::remainder, {7, -7, 7, -7, 5, kLeast}, {3, 3, -3, -3, 0, -1}) == std::vector<int32_t>{1, -1, 1, -1, 0, 0});
  REQUIRE(elements<uint16_t>(Bench().eval(ops::mul, {vector_of<uint16_t>({65535}), vector_of<uint16_t>({65535})})) ==
          std::vector<uint16_t>{1});
  REQUIRE(elements<int8_t>(Bench().eval(ops::neg, {vector_of<int8_t>({-128, 5})})) == std::vector<int8_t>{-128, -5});
  REQUIRE(elements<int64_t>(Bench().eval(ops::add, {vector_of<int64_t>({std::numeric_limits<int64_t>::max()}), vector_of<int64_t>({1})})) ==
          std::vector<int64_t>{std::numeric_limits<int64_t>::min()});
}

TEST_CASE("comparisons, logic and bits", "[elementwise]") {
  Bench t;
  const Tensor a = Tensor::floats({4}, {1, 2, kNan, -0.0f}), b = Tensor::floats({4}, {2, 2, kNan, 0});
  const auto truth = [&](std::string_view type) { return elements<uint8_t>(t.import(type, 16, {a, b})); };
  REQUIRE(truth("Equal") == std::vector<uint8_t>{0, 1, 0, 1});
  REQUIRE(truth("Less") == std::vector<uint8_t>{1, 0, 0, 0});
  REQUIRE(truth("LessOrEqual") == std::vector<uint8_t>{1, 1, 0, 1});
  REQUIRE(truth("Greater") == std::vector<uint8_t>{0, 0, 0, 0});
  REQUIRE(truth("GreaterOrEqual") == std::vector<uint8_t>{0, 1, 0, 1});

  const Tensor p = booleans({4}, {0, 0, 1, 1}), q = booleans({4}, {0, 1, 0, 1});
  REQUIRE(t.import("And", 7, {p, q}) == booleans({4}, {0, 0, 0, 1}));
  REQUIRE(t.import("Or", 7, {p, q}) == booleans({4}, {0, 1, 1, 1}));
  REQUIRE(t.import("Xor", 7, {p, q}) == booleans({4}, {0, 1, 1, 0}));
  REQUIRE(t.import("Not", 7, {p}) == booleans({4}, {1, 1, 0, 0}));
  REQUIRE(t.import("Equal", 13, {p, q}) == booleans({4}, {1, 0, 0, 1}));

  const Tensor u = vector_of<uint8_t>({0xf0, 1, 3, 255}), v = vector_of<uint8_t>({0x3c, 7, 8, 1});
  REQUIRE(elements<uint8_t>(t.import("BitwiseAnd", 18, {u, v})) == std::vector<uint8_t>{0x30, 1, 0, 1});
  REQUIRE(elements<uint8_t>(t.import("BitwiseOr", 18, {u, v})) == std::vector<uint8_t>{0xfc, 7, 11, 255});
  REQUIRE(elements<uint8_t>(t.import("BitwiseXor", 18, {u, v})) == std::vector<uint8_t>{0xcc, 6, 11, 254});
  REQUIRE(elements<uint8_t>(t.import("BitwiseNot", 18, {u})) == std::vector<uint8_t>{0x0f, 254, 252, 0});
  REQUIRE(elements<uint8_t>(t.import("BitShift", 11, {u, v}, {{"direction", "LEFT"}})) == std::vector<uint8_t>{0, 128, 0, 254});
  REQUIRE(elements<uint8_t>(t.import("BitShift", 11, {u, v}, {{"direction", "RIGHT"}})) == std::vector<uint8_t>{0, 0, 0, 127});
  const Tensor w = vector_of<uint64_t>({1, 1}), by = vector_of<uint64_t>({63, 64});
  REQUIRE(elements<uint64_t>(t.import("BitShift", 11, {w, by}, {{"direction", "LEFT"}})) == std::vector<uint64_t>{1ull << 63, 0});
}

TEST_CASE("Max, Min, Sum and Mean take any number of operands", "[elementwise]") {
  Bench t;
  const Tensor a = Tensor::floats({3}, {1, -2, kNan}), b = Tensor::floats({3}, {-4, 5, 0}), c = Tensor::floats({1}, {2});
  REQUIRE(elements<float>(t.import("Max", 13, {a})).front() == 1);
  const std::vector<float> greatest = elements<float>(t.import("Max", 13, {a, b, c}));
  REQUIRE((greatest[0] == 2 && greatest[1] == 5 && std::isnan(greatest[2])));
  const std::vector<float> least = elements<float>(t.import("Min", 13, {b, a, c}));
  REQUIRE((least[0] == -4 && least[1] == -2 && std::isnan(least[2])));
  REQUIRE(elements<float>(t.import("Sum", 13, {b, c, b})) == std::vector<float>{-6, 12, 2});
  REQUIRE(elements<float>(t.import("Mean", 13, {b, c, b})) == std::vector<float>{-2, 4, 2.0f / 3});
  REQUIRE(elements<float>(t.import("PRelu", 16, {b, c})) == std::vector<float>{-8, 5, 0});
}

TEST_CASE("the fused activation of a binary operator is applied", "[elementwise]") {
  const Tensor a = Tensor::floats({3}, {1, -2, 3}), b = Tensor::floats({3}, {1, 1, 9});
  REQUIRE(elements<float>(Bench().eval(ops::add, {a, b}, {{"act", "clip"}, {"alpha", 0.0}, {"beta", 6.0}})) == std::vector<float>{2, 0, 6});
  REQUIRE_FALSE(Bench().b.add(ops::add, {}, {}).ok());
}

TEST_CASE("Clip becomes an activation, or max and min", "[elementwise]") {
  const Tensor x = Tensor::floats({5}, {-9, -1, 0.5f, 7, kInfinity});
  Bench t;
  REQUIRE(elements<float>(t.import("Clip", 6, {x}, {{"min", -1.0}, {"max", 6.0}})) == std::vector<float>{-1, -1, 0.5f, 6, 6});
  const Tensor low = Tensor::floats({}, {-1}), high = Tensor::floats({1}, {6});
  REQUIRE(elements<float>(t.import("Clip", 13, {x, low, high})) == std::vector<float>{-1, -1, 0.5f, 6, 6});
  REQUIRE(elements<float>(t.import("Clip", 13, {x, high, low})) == std::vector<float>(5, -1));
  REQUIRE(elements<float>(t.import("Clip", 13, {x, low}))[4] == std::numeric_limits<float>::max());
  REQUIRE(elements<int8_t>(t.import("Clip", 12, {vector_of<int8_t>({-9, 3, 9}), Tensor::of<int8_t>({}, std::vector<int8_t>{-5})})) ==
          std::vector<int8_t>{-5, 3, 9});

  const ValueId f = t.input(DType::f32, {4}), g = t.input(DType::f64, {4}), bound = t.input(DType::f32, {});
  const auto op_of = [&](const ImportResult& r) { return r ? t.graph.producer((*r)[0])->op->name : "failed"; };
  REQUIRE(op_of(t.run("Clip", 6, {f}, {{"min", 0.0}})) == "relu");
  REQUIRE(op_of(t.run("Clip", 6, {f}, {{"min", 0.0}, {"max", 6.0}})) == "clip");
  REQUIRE(op_of(t.run("Clip", 13, {f, bound})) == "max");
  REQUIRE(op_of(t.run("Clip", 13, {f, kNoValue, bound})) == "min");
  REQUIRE(op_of(t.run("Clip", 13, {g, t.constant(scalar(DType::f64, 0.1))})) == "max");
  REQUIRE((*t.run("Clip", 13, {f}))[0] == f);
  REQUIRE(t.run("Clip", 13, {f, t.constant(Tensor::floats({2}, {0, 1}))}).diagnostic().message == "'min' is f32[2], it must be one f32.");
}

TEST_CASE("activations without transcendental functions", "[elementwise]") {
  Bench t;
  const std::vector<float> xs = {-8, -3, -1, -0.25f, 0, 0.25f, 0.75f, 2, 3, 8};
  const Tensor x = vector_of(xs);
  const auto check = [&](std::string_view type, Attrs attrs, auto expected) {
    const std::vector<float> ys = elements<float>(t.import(type, 16, {x}, std::move(attrs)));
    for (size_t i = 0; i < xs.size(); ++i) {
      INFO(type << " of " << xs[i]);
      REQUIRE(ys[i] == Approx(expected(xs[i])).margin(1e-6));
    }
  };
  check("Relu", {}, [](float v) { return std::max(v, 0.0f); });
  check("LeakyRelu", {}, [](float v) { return v < 0 ? 0.01f * v : v; });
  check("LeakyRelu", {{"alpha", 0.5}}, [](float v) { return v < 0 ? 0.5f * v : v; });
  check("HardSigmoid", {}, [](float v) { return std::clamp(0.2f * v + 0.5f, 0.0f, 1.0f); });
  check("HardSigmoid", {{"alpha", 0.5}, {"beta", 0.25}}, [](float v) { return std::clamp(0.5f * v + 0.25f, 0.0f, 1.0f); });
  check("HardSwish", {}, [](float v) { return v * std::clamp(v / 6 + 0.5f, 0.0f, 1.0f); });
  check("ThresholdedRelu", {}, [](float v) { return v > 1 ? v : 0; });
  check("ThresholdedRelu", {{"alpha", 2.0}}, [](float v) { return v > 2 ? v : 0; });
  check("Shrink", {}, [](float v) { return v < -0.5f || v > 0.5f ? v : 0; });
  check("Shrink", {{"lambd", 1.5}, {"bias", 1.5}}, [](float v) { return v < -1.5f ? v + 1.5f : v > 1.5f ? v - 1.5f : 0; });
  check("Neg", {}, [](float v) { return -v; });
  check("Sign", {}, [](float v) { return v > 0 ? 1 : v < 0 ? -1 : 0; });
  REQUIRE(elements<int32_t>(t.import("Relu", 14, {vector_of<int32_t>({-3, 4})})) == std::vector<int32_t>{0, 4});
  REQUIRE(elements<double>(t.import("Reciprocal", 13, {vector_of<double>({-4, 0.5})})) == std::vector<double>{-0.25, 2});
}

TEST_CASE("functions follow the C++ library in f32 and f64", "[elementwise]") {
  struct Row {
    const char* type;
    double (*expected)(double);
    double low, high;  // arguments to test
  };
  const Row rows[] = {
      {"Sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, -20, 20},
      {"Tanh", std::tanh, -10, 10},
      {"Softplus", [](double x) { return std::log1p(std::exp(x)); }, -20, 20},
      {"Softsign", [](double x) { return x / (1 + std::fabs(x)); }, -20, 20},
      {"Elu", [](double x) { return x < 0 ? std::expm1(x) : x; }, -20, 20},
      {"Selu", [](double x) { return 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * std::expm1(x) : x); }, -20, 20},
      {"Celu", [](double x) { return x < 0 ? std::expm1(x) : x; }, -20, 20},
      {"Mish", [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }, -20, 20},
      {"Swish", [](double x) { return x / (1 + std::exp(-x)); }, -20, 20},
      {"Gelu", [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }, -6, 6},
      {"Abs", std::fabs, -5, 5},
      {"Sqrt", std::sqrt, 0, 100},
      {"Floor", std::floor, -5, 5},
      {"Ceil", std::ceil, -5, 5},
      {"Round", std::nearbyint, -5, 5},
      {"Exp", std::exp, -20, 20},
      {"Log", std::log, 0.001, 1000},
      {"Erf", std::erf, -5, 5},
      {"Sin", std::sin, -100, 100},
      {"Cos", std::cos, -100, 100},
      {"Tan", std::tan, -1.5, 1.5},
      {"Asin", std::asin, -1, 1},
      {"Acos", std::acos, -1, 1},
      {"Atan", std::atan, -50, 50},
      {"Sinh", std::sinh, -10, 10},
      {"Cosh", std::cosh, -10, 10},
      {"Asinh", std::asinh, -50, 50},
      {"Acosh", std::acosh, 1, 50},
      {"Atanh", std::atanh, -0.999, 0.999},
  };
  for (const Row& row : rows) {
    std::vector<float> singles;
    for (int i = 0; i <= 200; ++i) singles.push_back(static_cast<float>(row.low + (row.high - row.low) * i / 200));
    const std::vector<double> doubles(singles.begin(), singles.end());
    Bench t;
    const std::vector<float> in_float = elements<float>(t.import(row.type, 24, {vector_of(singles)}));
    const std::vector<double> in_double = elements<double>(t.import(row.type, 24, {vector_of(doubles)}));
    for (size_t i = 0; i < singles.size(); ++i) {
      const double expected = row.expected(doubles[i]);
      INFO(row.type << " of " << singles[i]);
      REQUIRE(static_cast<double>(in_float[i]) == Approx(expected).epsilon(1e-6).margin(1e-6));
      REQUIRE(in_double[i] == Approx(expected).epsilon(1e-7).margin(1e-7));  // default attributes are floats
    }
  }
}

TEST_CASE("attributes of activations", "[elementwise]") {
  Bench t;
  const double x = -1.5;
  const auto run = [&](std::string_view type, Attrs attrs) {
    return static_cast<double>(t.import(type, 24, {Tensor::floats({}, {static_cast<float>(x)})}, std::move(attrs)).as<float>()[0]);
  };
  REQUIRE(run("Elu", {{"alpha", 2.0}}) == Approx(2 * std::expm1(x)));
  REQUIRE(run("Selu", {{"alpha", 2.0}, {"gamma", 3.0}}) == Approx(6 * std::expm1(x)));
  REQUIRE(run("Celu", {{"alpha", 2.0}}) == Approx(2 * std::expm1(x / 2)));
  REQUIRE(run("Swish", {{"alpha", 2.0}}) == Approx(x / (1 + std::exp(-2 * x))));
  REQUIRE(run("Gelu", {{"approximate", std::string("tanh")}}) ==
          Approx(x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)))));
  REQUIRE(run("Gelu", {{"approximate", std::string("none")}}) == Approx(x / 2 * (1 + std::erf(x / std::sqrt(2.0)))));
  REQUIRE(elements<int8_t>(t.import("Abs", 13, {vector_of<int8_t>({-5, 5, -128})})) == std::vector<int8_t>{5, 5, -128});
  const Tensor a = Tensor::floats({2}, {-2, 1}), bias = Tensor::floats({2}, {0.5f, 0.5f});
  const auto microsoft = [&](std::string_view type, std::vector<ValueId> inputs) {
    OnnxNode node{"com.microsoft", std::string(type), "n", 1, {}, std::move(inputs), 1, {true}};
    return elements<float>(t.value((*op_table().find_onnx("com.microsoft", type)->import(node, t.b))[0]));
  };
  const auto gelu = [](double v) { return v / 2 * (1 + std::erf(v / std::sqrt(2.0))); };
  REQUIRE(static_cast<double>(microsoft("Gelu", {t.constant(a)})[0]) == Approx(gelu(-2)));
  REQUIRE(static_cast<double>(microsoft("BiasGelu", {t.constant(a), t.constant(bias)})[1]) == Approx(gelu(1.5)));
  REQUIRE(static_cast<double>(microsoft("FastGelu", {t.constant(a), t.constant(bias)})[1]) == Approx(gelu(1.5)).epsilon(1e-3));
  REQUIRE(static_cast<double>(microsoft("QuickGelu", {t.constant(a)})[0]) == Approx(-2 / (1 + std::exp(2 * 1.702))));
}

TEST_CASE("Pow of equal and of mixed types, Mod of floats", "[elementwise]") {
  Bench t;
  const Tensor x = Tensor::floats({3}, {0.5f, 2, 3});
  REQUIRE(elements<float>(t.import("Pow", 13, {x, Tensor::floats({3}, {2, -1, 0.5f})}))[2] == Approx(std::sqrt(3.0f)));
  REQUIRE(elements<float>(t.import("Pow", 13, {x, vector_of<int64_t>({2, -1, 4})})) == std::vector<float>{0.25f, 0.5f, 81});
  REQUIRE(elements<int32_t>(t.import("Pow", 13, {vector_of<int32_t>({2, -3, 10, -1, 2, 0}), vector_of<int32_t>({10, 3, 0, -3, -1, -1})})) ==
          std::vector<int32_t>{1024, -27, 1, -1, 0, 0});
  REQUIRE(elements<int32_t>(t.import("Pow", 13, {vector_of<int32_t>({10, 4}), Tensor::floats({2}, {5, 0.5f})})) == std::vector<int32_t>{100000, 2});
  const ValueId f = t.input(DType::f32, {3}), exponent = t.input(DType::f32, {3});
  const auto op_of = [&](ValueId v) { return t.graph.producer((*t.run("Pow", 13, {f, v}))[0])->op->name; };
  REQUIRE(op_of(t.constant(Tensor::floats({}, {2}))) == "mul");
  REQUIRE(op_of(t.constant(Tensor::floats({1}, {3}))) == "mul");
  REQUIRE(op_of(t.constant(Tensor::floats({}, {0.5f}))) == "sqrt");
  REQUIRE(op_of(t.constant(Tensor::floats({}, {-1}))) == "reciprocal");
  REQUIRE(op_of(t.constant(Tensor::floats({1, 1}, {2}))) == "pow");
  REQUIRE(op_of(exponent) == "pow");
  REQUIRE((*t.run("Pow", 13, {f, t.constant(Tensor::floats({}, {1}))}))[0] == f);
  REQUIRE(elements<float>(t.import("Mod", 13, {Tensor::floats({3}, {5.5f, -5.5f, 5.5f}), Tensor::floats({3}, {2, 2, -2})}, {{"fmod", int64_t{1}}})) ==
          std::vector<float>{1.5f, -1.5f, 1.5f});
}

TEST_CASE("IsNaN and IsInf", "[elementwise]") {
  Bench t;
  const Tensor x = Tensor::floats({5}, {kNan, kInfinity, -kInfinity, 0, std::numeric_limits<float>::max()});
  REQUIRE(t.import("IsNaN", 13, {x}) == booleans({5}, {1, 0, 0, 0, 0}));
  REQUIRE(t.import("IsInf", 13, {x}) == booleans({5}, {0, 1, 1, 0, 0}));
  REQUIRE(t.import("IsInf", 13, {x}, {{"detect_negative", int64_t{0}}}) == booleans({5}, {0, 1, 0, 0, 0}));
  REQUIRE(t.import("IsInf", 13, {x}, {{"detect_positive", int64_t{0}}}) == booleans({5}, {0, 0, 1, 0, 0}));
}

TEST_CASE("every f16 and bf16 converts to float and back", "[elementwise]") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const int exponent = (half >> 10) & 31, fraction = half & 1023;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    const float x = f16_to_float(half), y = bf16_to_float(half);
    if (exponent == 31 && fraction != 0) REQUIRE(std::isnan(x));
    else REQUIRE(static_cast<double>(std::fabs(x)) == (exponent == 31 ? static_cast<double>(kInfinity) : magnitude));
    REQUIRE(std::signbit(x) == (half >= 0x8000));
    if (std::isnan(x)) REQUIRE(std::isnan(f16_to_float(float_to_f16(x))));
    else REQUIRE(float_to_f16(x) == half);
    if (std::isnan(y)) REQUIRE(std::isnan(bf16_to_float(float_to_bf16(y))));
    else REQUIRE(float_to_bf16(y) == half);
  }
}

TEST_CASE("floats round to the nearest f16 and bf16, ties to even", "[elementwise]") {
  std::mt19937 random(4);
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {  // each gap between neighbouring f16
    const auto low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
    const double below = static_cast<double>(f16_to_float(low));
    const double above = high == 0x7c00 ? 65536.0 : static_cast<double>(f16_to_float(high));
    const auto middle = static_cast<float>((below + above) / 2);
    REQUIRE(float_to_f16(middle) == (bits % 2 == 0 ? low : high));
    REQUIRE(float_to_f16(-middle) == (0x8000 | (bits % 2 == 0 ? low : high)));
    REQUIRE(float_to_f16(std::nextafter(middle, 0.0f)) == low);
    REQUIRE(float_to_f16(std::nextafter(middle, kInfinity)) == high);
  }
  for (int i = 0; i < 100000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0x7effffffu);
    const uint16_t y = float_to_bf16(x);
    const auto error = [&](uint16_t candidate) { return std::fabs(static_cast<double>(bf16_to_float(candidate)) - static_cast<double>(x)); };
    REQUIRE((error(y) <= error(static_cast<uint16_t>(y + 1)) && (y == 0 || error(y) <= error(static_cast<uint16_t>(y - 1)))));
  }
  REQUIRE(float_to_bf16(1.00390625f) == 0x3f80);  // half way from 1 to the next: even
  REQUIRE(float_to_bf16(1.01171875f) == 0x3f82);
}

TEST_CASE("Cast converts between all types", "[elementwise]") {
  constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i4, DType::u4, DType::i8, DType::u8,
                              DType::i16, DType::u16, DType::i32, DType::u32, DType::i64, DType::u64, DType::boolean};
  for (DType from : kTypes)
    for (DType to : kTypes) {
      Bench t;
      const ValueId x = *cast(t.b, t.constant(Tensor::floats({4}, {0, 1, 5, 7})), from);
      const std::vector<double> expected = from == DType::boolean || to == DType::boolean ? std::vector<double>{0, 1, 1, 1}
                                                                                          : std::vector<double>{0, 1, 5, 7};
      const Tensor& y = t.value(cast(t.b, x, to));
      INFO(dtype_name(from) << " to " << dtype_name(to));
      REQUIRE(y.type == TensorType{to, {4}, {}});
      REQUIRE(y.to_doubles() == expected);
    }
}

TEST_CASE("Cast of what does not fit", "[elementwise]") {
  Bench t;
  const auto run = [&](const Tensor& x, DType to) { return t.eval(ops::cast, {x}, {{"to", std::string(dtype_name(to))}}).to_doubles(); };
  const Tensor x = Tensor::floats({8}, {-1.75f, 1.75f, 300, -300, 3e9f, -1e30f, kInfinity, kNan});
  REQUIRE(run(x, DType::i8) == std::vector<double>{-1, 1, 127, -128, 127, -128, 127, 0});
  REQUIRE(run(x, DType::u8) == std::vector<double>{0, 1, 255, 0, 255, 0, 255, 0});
  REQUIRE(run(x, DType::i32) == std::vector<double>{-1, 1, 300, -300, 2147483647, -2147483648.0, 2147483647, 0});
  REQUIRE(run(x, DType::u32) == std::vector<double>{0, 1, 300, 0, 3e9, 0, 4294967295.0, 0});
  REQUIRE(run(x, DType::i4) == std::vector<double>{-1, 1, 7, -8, 7, -8, 7, 0});
  REQUIRE(run(x, DType::boolean) == std::vector<double>(8, 1));
  REQUIRE(run(vector_of<int32_t>({300, -1, 24}), DType::u8) == std::vector<double>{44, 255, 24});
  REQUIRE(run(vector_of<int32_t>({300, -1, 24}), DType::i4) == std::vector<double>{-4, -1, -8});
  REQUIRE(run(vector_of<double>({9.2e18, 9.3e18, -9.3e18}), DType::i64) ==
          std::vector<double>{9.2e18, 9223372036854775807.0, -9223372036854775808.0});
  REQUIRE(run(vector_of<double>({1e9, -0.5}), DType::f16) == std::vector<double>{static_cast<double>(kInfinity), -0.5});

  const ValueId f = t.input(DType::f32, {2});
  REQUIRE((*t.run("Cast", 13, {f}, {{"to", int64_t{1}}}))[0] == f);
  REQUIRE(t.graph.type((*t.run("Cast", 13, {f}, {{"to", int64_t{7}}}))[0]).dtype == DType::i64);
  REQUIRE(t.graph.type((*t.run("CastLike", 15, {f, t.input(DType::f16, {1})}))[0]).dtype == DType::f16);
  REQUIRE(t.run("Cast", 13, {f}, {{"to", int64_t{8}}}).diagnostic().id == DiagId::unsupported_type);
  REQUIRE(t.run("Cast", 13, {f}).diagnostic().message == "attribute 'to' is missing.");
}

TEST_CASE("Identity and Dropout hand their input on", "[elementwise]") {
  Bench t;
  const ValueId x = t.input(DType::f32, {2, 2});
  REQUIRE(*t.run("Identity", 13, {x}) == std::vector<ValueId>{x});
  REQUIRE(*t.run("Dropout", 7, {x}, {{"ratio", 0.5}}) == std::vector<ValueId>{x});
  const std::vector<ValueId> two = *t.run("Dropout", 13, {x, t.constant(Tensor::floats({}, {0.5f}))}, {}, 2);
  REQUIRE(two[0] == x);
  REQUIRE(*t.b.constant(two[1]) == booleans({2, 2}, {1, 1, 1, 1}));
  REQUIRE(t.run("Dropout", 13, {x, kNoValue, t.constant(booleans({}, {1}))}).diagnostic().message == "dropout in training mode is not supported.");
  REQUIRE(t.run("Dropout", 13, {x, kNoValue, t.constant(booleans({}, {0}))}).ok());
}

TEST_CASE("elementwise operators refuse wrong operands", "[elementwise]") {
  Bench t;
  const ValueId f = t.input(DType::f32, {2, 3}), i = t.input(DType::i32, {2, 3}), h = t.input(DType::f16, {2, 3});
  const ValueId wide = t.input(DType::f32, {4}), flag = t.input(DType::boolean, {2, 3});
  const auto refused = [&](const OpDef& op, std::vector<ValueId> inputs) {
    Result<ValueId> r = t.b.add(op, std::move(inputs));
    REQUIRE_FALSE(r.ok());
    return r.diagnostic();
  };
  REQUIRE(refused(ops::add, {f, i}).message == "'add' takes operands of one element type, not f32[2,3] and i32[2,3].");
  REQUIRE(refused(ops::add, {f, wide}).message == "'add' cannot broadcast shapes [2,3] and [4].");
  REQUIRE(refused(ops::add, {f}).message == "'add' takes 2 operands, 1 given.");
  REQUIRE(refused(ops::add, {flag, flag}).message == "'add' does not take elements of type bool.");
  REQUIRE(refused(ops::add, {h, h}).id == DiagId::unsupported_type);
  REQUIRE(refused(ops::less, {flag, flag}).id == DiagId::bad_node);
  REQUIRE(refused(ops::logical_not, {f}).message == "'not' does not take elements of type f32.");
  REQUIRE(refused(ops::hard_swish, {i}).message == "'hard_swish' does not take elements of type i32.");
  REQUIRE(refused(ops::relu, {f, f}).message == "'relu' takes 1 operand, 2 given.");
  REQUIRE(refused(ops::prelu, {wide, t.input(DType::f32, {2, 4})}).message == "the slope's shape [2,4] does not broadcast to shape [4].");
  REQUIRE(refused(ops::where, {f, f, f}).message == "the condition of 'where' is f32[2,3], it must be bool.");
  REQUIRE(refused(ops::where, {flag, f, i}).message == "'where' takes operands of one element type, not f32[2,3] and i32[2,3].");
  REQUIRE(refused(ops::where, {flag, f, wide}).id == DiagId::bad_node);
  REQUIRE(refused(ops::cast, {f}).message == "attribute 'to' is '', it must name an element type.");
  REQUIRE(t.run("Mod", 13, {f, f}).diagnostic().message == "attribute 'fmod' must be 1 for floating-point operands.");
  REQUIRE(t.run("BitShift", 11, {i, i}, {{"direction", "UP"}}).diagnostic().message ==
          "attribute 'direction' is 'UP', it must be 'LEFT' or 'RIGHT'.");
}

TEST_CASE("lowering an elementwise operator describes its call", "[elementwise]") {
  Bench t;
  const ValueId x = t.input(DType::f32, {2, 3}), row = t.constant(Tensor::floats({3}, {1, 2, 3}));
  const ValueId y = *t.b.add(ops::mul, {x, row}, {{"act", "leaky_relu"}, {"alpha", 0.5}});
  const ValueId z = *t.b.add(ops::greater, {row, y});
  Program program;
  Lowering lowering(t.graph, program);
  for (ValueId v : {y, z}) {
    const NodeId node = t.graph.value(v).producer;
    REQUIRE(t.graph.node(node).op->lower(t.graph.args(node), t.graph.node(node), lowering).ok());
  }
  const KernelCall& mul = program.steps[0].call;
  REQUIRE(mul.functors == std::vector<std::string>{"mul", "leaky_relu"});
  REQUIRE(mul.in_place == std::vector<InPlace>{0});
  const Binary& d = std::get<Binary>(mul.descriptor);
  REQUIRE((d.rank == 2 && d.dims[0] == 2 && d.dims[1] == 3 && d.b_strides[0] == 0 && d.b_strides[1] == 1 && d.alpha == 0.5f));
  REQUIRE(program.steps[0].label == "mul+leaky_relu");
  REQUIRE(program.steps[1].call.functors == std::vector<std::string>{"greater", "none"});
  REQUIRE(program.steps[1].call.in_place.empty());
}
