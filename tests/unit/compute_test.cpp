// SPDX-License-Identifier: Apache-2.0
// Convolutions, pools, products and reductions against definitions written in double precision straight from the ONNX text,
// on [N,C,...]. Nodes are imported with constant operands, so that the graph builder evaluates them through the reference kernels.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "compiler/ir/builder.h"
#include "compiler/ir/graph.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/ops.h"

namespace kiln {
namespace {

using Ints = std::vector<int64_t>;
using Doubles = std::vector<double>;

struct Random {
  std::mt19937 engine;
  explicit Random(uint32_t seed) : engine(seed) {}
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(engine() % static_cast<uint32_t>(high - low + 1)); }
  bool flip() { return engine() % 2 == 0; }
  Tensor tensor(const Shape& shape) {
    Tensor t({DType::f32, shape, {}});
    for (float& value : t.as<float>()) value = static_cast<float>(between(-1000, 1000)) / 500.0f;
    return t;
  }
};

/// The first output of ONNX operator `type` for constant inputs (nothing: an omitted one).
Result<Tensor> run(const std::string& type, const std::vector<std::optional<Tensor>>& inputs, Attrs attrs = {}, int64_t opset = 17) {
  Graph graph;
  GraphBuilder b(graph, {"node"});
  OnnxNode node;
  node.type = type;
  node.name = "node";
  node.opset = opset;
  node.attrs = std::move(attrs);
  for (const std::optional<Tensor>& t : inputs) node.inputs.push_back(t ? graph.add_constant("c", *t) : kNoValue);
  node.output_count = 1;
  node.output_used = {true};
  const OpDef* op = op_table().find_onnx("", type);
  REQUIRE(op != nullptr);
  Result<std::vector<ValueId>> out = op->import ? op->import(node, b) : b.add_multi(*op, node.inputs, node.attrs);
  if (!out) return std::move(out).diagnostic();
  const Tensor* value = graph.constant(out->front());
  REQUIRE(value != nullptr);
  return *value;
}

std::string failure(const std::string& type, const std::vector<std::optional<Tensor>>& inputs, Attrs attrs = {}, int64_t opset = 17) {
  Result<Tensor> y = run(type, inputs, std::move(attrs), opset);
  return y ? "no error" : y.diagnostic().message;
}

/// Calls f(index) for every index below `shape`, last dimension fastest.
void for_each_index(const Ints& shape, const std::function<void(const Ints&)>& f) {
  if (std::count(shape.begin(), shape.end(), 0)) return;
  Ints at(shape.size(), 0);
  while (true) {
    f(at);
    size_t i = shape.size();
    while (i > 0 && ++at[i - 1] == shape[i - 1]) at[--i] = 0;
    if (i == 0) return;
  }
}

double element(const Tensor& t, const Ints& index) {
  int64_t flat = 0;
  for (size_t i = 0; i < index.size(); ++i) flat = flat * t.type.shape[i] + index[i];
  return static_cast<double>(t.as<float>()[static_cast<size_t>(flat)]);
}

void check_close(const Tensor& got, const Shape& shape, const Doubles& want) {
  REQUIRE(got.type.shape == shape);
  Doubles values = got.to_doubles();
  REQUIRE(values.size() == want.size());
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (values[i] == want[i]) continue;
    double excess = std::abs(values[i] - want[i]) / (1e-5 + 1e-5 * std::abs(want[i]));
    worst = std::max(worst, std::isnan(excess) ? 1e30 : excess);
  }
  CHECK(worst <= 1.0);
}

/// The sliding window of an ONNX node in one or two dimensions.
struct Geometry {
  Ints in, kernel, strides, dilations, pads;  // pads: all begins, then all ends
  std::string auto_pad = "NOTSET";
  bool ceil = false;

  [[nodiscard]] size_t dims() const { return in.size(); }
  [[nodiscard]] int64_t reach(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }

  void resolve() {
    for (size_t i = 0; i < dims(); ++i) {
      if (auto_pad == "NOTSET") continue;
      int64_t out = (in[i] + strides[i] - 1) / strides[i];
      int64_t total = auto_pad == "VALID" ? 0 : std::max<int64_t>(0, (out - 1) * strides[i] + reach(i) - in[i]);
      int64_t less = total / 2, more = total - less;
      pads[i] = auto_pad == "SAME_UPPER" ? less : more;
      pads[i + dims()] = total - pads[i];
    }
  }

  [[nodiscard]] Ints out() const {
    Ints shape;
    for (size_t i = 0; i < dims(); ++i) {
      double steps = static_cast<double>(in[i] + pads[i] + pads[i + dims()] - reach(i)) / static_cast<double>(strides[i]);
      int64_t count = static_cast<int64_t>(ceil ? std::ceil(steps) : std::floor(steps)) + 1;
      if (ceil && (count - 1) * strides[i] >= in[i] + pads[i]) --count;
      shape.push_back(count);
    }
    return shape;
  }

  /// The input position under tap k of output position o, or nothing outside the input.
  [[nodiscard]] std::optional<Ints> source(const Ints& o, const Ints& k) const {
    Ints at;
    for (size_t i = 0; i < dims(); ++i) {
      at.push_back(o[i] * strides[i] - pads[i] + k[i] * dilations[i]);
      if (at[i] < 0 || at[i] >= in[i]) return std::nullopt;
    }
    return at;
  }

  [[nodiscard]] bool within_padding(const Ints& o, const Ints& k) const {
    for (size_t i = 0; i < dims(); ++i)
      if (o[i] * strides[i] - pads[i] + k[i] * dilations[i] >= in[i] + pads[i + dims()]) return false;
    return true;
  }

  [[nodiscard]] Attrs attrs() const {
    Attrs a{{"kernel_shape", kernel}, {"strides", strides}, {"dilations", dilations}};
    if (auto_pad == "NOTSET") a.set("pads", pads);
    else a.set("auto_pad", auto_pad);
    return a;
  }
};

Geometry random_geometry(Random& random) {
  Geometry g;
  static const char* const kModes[] = {"NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
  g.auto_pad = kModes[random.between(0, 5)];
  size_t dims = random.between(0, 3) == 0 ? 1 : 2;
  g.pads.resize(2 * dims);
  for (size_t i = 0; i < dims; ++i) {
    g.kernel.push_back(random.between(1, 4));
    g.strides.push_back(random.between(1, 3));
    g.dilations.push_back(random.between(0, 2) == 0 ? random.between(1, 3) : 1);
    g.in.push_back(g.reach(i) + random.between(0, 8));
    for (size_t side : {i, i + dims}) g.pads[side] = random.between(0, g.kernel[i] - 1);
  }
  g.resolve();
  return g;
}

Shape joined(const Ints& head, const Ints& tail) {
  Shape shape = head;
  for (int64_t dim : tail) shape.push_back(dim);
  return shape;
}

Ints from(size_t first, const Ints& list) {
  Ints rest;
  for (size_t i = first; i < list.size(); ++i) rest.push_back(list[i]);
  return rest;
}

TEST_CASE("conv agrees with its definition") {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    Geometry g = random_geometry(random);
    int64_t groups = random.flip() ? 1 : random.between(1, 4), n = random.between(1, 2);
    int64_t in_c = groups * random.between(1, 3), out_c = groups * random.between(1, 3);
    if (seed % 10 == 0) {  // one window over the whole image
      g.in = g.kernel;
      g.auto_pad = "VALID";
      g.dilations.assign(g.dims(), 1);
      g.resolve();
    }
    CAPTURE(seed, g.in, g.kernel, g.strides, g.dilations, g.pads, g.auto_pad, groups, in_c, out_c);
    Tensor x = random.tensor(joined({n, in_c}, g.in)), w = random.tensor(joined({out_c, in_c / groups}, g.kernel));
    std::optional<Tensor> bias;
    if (random.flip()) bias = random.tensor({out_c});
    Attrs attrs = g.attrs();
    attrs.set("group", groups);
    Result<Tensor> y = run("Conv", {x, w, bias}, attrs);
    REQUIRE(y.ok());

    Doubles want;
    Shape shape = joined({n, out_c}, g.out());
    for_each_index(shape, [&](const Ints& at) {
      double sum = bias ? element(*bias, {at[1]}) : 0;
      int64_t group = at[1] / (out_c / groups);
      for_each_index(joined({in_c / groups}, g.kernel), [&](const Ints& tap) {
        Ints k = from(1, tap);
        if (std::optional<Ints> p = g.source(from(2, at), k))
          sum += element(x, joined({at[0], group * (in_c / groups) + tap[0]}, *p)) * element(w, joined({at[1], tap[0]}, k));
      });
      want.push_back(sum);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("pools agree with their definition") {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Random random(seed + 1000);
    Geometry g = random_geometry(random);
    g.ceil = g.auto_pad == "NOTSET" && random.flip();
    bool average = random.flip(), include = random.flip();
    CAPTURE(seed, g.in, g.kernel, g.strides, g.dilations, g.pads, g.auto_pad, g.ceil, average, include);
    Tensor x = random.tensor(joined({random.between(1, 2), random.between(1, 3)}, g.in));
    Attrs attrs = g.attrs();
    attrs.set("ceil_mode", int64_t{g.ceil});
    if (average) attrs.set("count_include_pad", int64_t{include});
    Result<Tensor> y = run(average ? "AveragePool" : "MaxPool", {x}, attrs, 19);
    REQUIRE(y.ok());

    Doubles want;
    Shape shape = joined({x.type.shape[0], x.type.shape[1]}, g.out());
    for_each_index(shape, [&](const Ints& at) {
      double sum = 0, top = -std::numeric_limits<double>::infinity();
      int inside = 0, padded = 0;
      Ints o = from(2, at);
      for_each_index(g.kernel, [&](const Ints& k) {
        padded += g.within_padding(o, k);
        if (std::optional<Ints> p = g.source(o, k)) {
          double value = element(x, joined({at[0], at[1]}, *p));
          sum += value;
          top = std::max(top, value);
          ++inside;
        }
      });
      want.push_back(average ? sum / std::max(include ? padded : inside, 1) : top);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("windows that do not fit are refused with both numbers") {
  Tensor x({DType::f32, {1, 4, 5, 5}, {}}), w({DType::f32, {6, 4, 3, 3}, {}});
  CHECK(failure("Conv", {x, w}) == "no error");
  CHECK(failure("Conv", {x, w}, {{"group", int64_t{2}}}) == "the input has 4 channels, the weights [6,4,3,3] with 'group' 2 need 8.");
  CHECK(failure("Conv", {x, w}, {{"kernel_shape", Ints{3, 2}}}) == "'kernel_shape' is [3,2], the weights are [6,4,3,3].");
  CHECK(failure("Conv", {x, w}, {{"strides", Ints{1}}}) == "'strides' has 1 entries, 2 are needed.");
  CHECK(failure("Conv", {x, w}, {{"strides", Ints{0, 1}}}) == "'strides' is [0,1], each entry must be from 1 to 16777216.");
  CHECK(failure("Conv", {x, w}, {{"pads", Ints{0, 0, 0, -1}}}) == "'pads' is [0,0,0,-1], each entry must be from 0 to 16777216.");
  CHECK(failure("Conv", {x, w}, {{"dilations", Ints{3, 1}}}) ==
        "the window reaches over 7 pixels, the padded input has only 5 (vertical).");
  CHECK(failure("Conv", {x, w}, {{"auto_pad", std::string("SAME")}}) ==
        "'auto_pad' is 'SAME', it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID.");
  CHECK(failure("Conv", {x, w, Tensor({DType::f32, {5}, {}})}) == "the bias is f32[5], the weights make 6 channels.");
  CHECK(failure("Conv", {x, Tensor({DType::f64, {6, 4, 3, 3}, {}})}) == "operands are f32 and f64, they must have one type.");
  Tensor volume({DType::f32, {1, 1, 3, 3, 3}, {}});
  CHECK(failure("Conv", {volume, volume}) == "the input is [1,1,3,3,3]: 3-D windows are not supported.");
  CHECK(failure("MaxPool", {x}) == "attribute 'kernel_shape' is missing.");
  CHECK(failure("MaxPool", {x}, {{"kernel_shape", Ints{2}}}) ==
        "'kernel_shape' has 1 entries, the input [1,4,5,5] has 2 spatial dimensions.");
  CHECK(failure("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{2, 0, 0, 0}}}) ==
        "a pad is 2, the window reaches only over 2 pixels: some windows would see padding alone.");
  CHECK(failure("AveragePool", {Tensor({DType::i32, {1, 1, 4}, {}})}, {{"kernel_shape", Ints{2}}}) ==
        "'average_pool2d' of i32 is not supported, only of f32 and f64.");
}

/// MatMul of the definition: element (batch, m, n), vectors treated as NumPy does.
void check_matmul(const Tensor& a, const Tensor& b) {
  CAPTURE(a.type.shape, b.type.shape);
  Result<Tensor> y = run("MatMul", {a, b});
  REQUIRE(y.ok());
  Shape sa = a.type.shape, sb = b.type.shape;
  if (sa.size() == 1) sa.insert(sa.begin(), 1);
  if (sb.size() == 1) sb.push_back(1);
  Tensor left = a.reshaped(sa), right = b.reshaped(sb);
  size_t rank = std::max(sa.size(), sb.size());
  auto dim = [&](const Shape& s, size_t i) { return i + s.size() < rank ? 1 : s[i + s.size() - rank]; };
  Shape full;
  for (size_t i = 0; i + 2 < rank; ++i) full.push_back(std::max(dim(sa, i), dim(sb, i)));
  full.push_back(sa[sa.size() - 2]);
  full.push_back(sb.back());
  auto pick = [&](const Shape& s, const Ints& at, int64_t row, int64_t column) {
    Ints index;
    for (size_t i = rank - s.size(); i + 2 < rank; ++i) index.push_back(dim(s, i) == 1 ? 0 : at[i]);
    index.push_back(row);
    index.push_back(column);
    return index;
  };
  Doubles want;
  for_each_index(full, [&](const Ints& at) {
    double sum = 0;
    for (int64_t k = 0; k < sa.back(); ++k)
      sum += element(left, pick(sa, at, at[rank - 2], k)) * element(right, pick(sb, at, k, at[rank - 1]));
    want.push_back(sum);
  });
  if (a.type.shape.size() == 1) full.erase(full.end() - 2);
  if (b.type.shape.size() == 1) full.pop_back();
  check_close(*y, full, want);
}

TEST_CASE("matmul follows numpy") {
  Random random(7);
  const std::pair<Shape, Shape> cases[] = {
      {{3, 4}, {4, 5}},          {{4}, {4}},           {{4}, {4, 5}},          {{3, 4}, {4}},          {{2, 3, 4}, {4, 5}},
      {{2, 3, 4}, {1, 4, 5}},    {{2, 3, 4}, {2, 4, 5}}, {{3, 4}, {2, 4, 5}},  {{1, 3, 4}, {2, 4, 5}}, {{2, 1, 3, 4}, {5, 4, 2}},
      {{2, 3, 1, 4}, {1, 3, 4, 2}}, {{4}, {3, 4, 2}},  {{2, 3, 4}, {4}},       {{1, 1}, {1, 1}},       {{3, 4}, {1, 1, 4, 2}},
      {{2, 1, 3, 4}, {2, 5, 4, 1}}, {{3, 0}, {0, 2}},
  };
  for (const auto& [a, b] : cases) check_matmul(random.tensor(a), random.tensor(b));
  CHECK(failure("MatMul", {random.tensor({2, 3}), random.tensor({4, 5})}) == "3 columns of [2,3] do not match 4 rows of [4,5].");
  CHECK(failure("MatMul", {random.tensor({2, 2, 3}), random.tensor({3, 3, 5})}) ==
        "the leading dimensions of [2,2,3] and [3,3,5] do not broadcast.");
  CHECK(failure("MatMul", {random.tensor({}), random.tensor({3})}) == "operands [] and [3] must not be scalars.");
}

TEST_CASE("gemm agrees with its definition") {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Random random(seed + 2000);
    int64_t m = random.between(1, 4), n = random.between(1, 4), k = random.between(1, 5);
    bool trans_a = random.flip(), trans_b = random.flip();
    float alpha = random.flip() ? 1.0f : 0.5f, beta = random.flip() ? 1.0f : -2.0f;
    const std::optional<Shape> c_shapes[] = {std::nullopt, Shape{}, Shape{1}, Shape{n}, Shape{1, n}, Shape{m, 1}, Shape{m, n}, Shape{1, 1}};
    const std::optional<Shape>& c_shape = c_shapes[random.between(0, 7)];
    Tensor a = random.tensor(trans_a ? Shape{k, m} : Shape{m, k}), b = random.tensor(trans_b ? Shape{n, k} : Shape{k, n});
    std::optional<Tensor> c;
    if (c_shape) c = random.tensor(*c_shape);
    CAPTURE(seed, m, n, k, trans_a, trans_b, alpha, beta);
    Doubles want;
    for_each_index({m, n}, [&](const Ints& at) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += element(a, trans_a ? Ints{i, at[0]} : Ints{at[0], i}) * element(b, trans_b ? Ints{at[1], i} : Ints{i, at[1]});
      double offset = 0;
      if (c) {
        Ints from;
        for (size_t i = 2 - c_shape->size(); i < 2; ++i) from.push_back((*c_shape)[i + c_shape->size() - 2] == 1 ? 0 : at[i]);
        offset = element(*c, from);
      }
      want.push_back(alpha * sum + beta * offset);
    });
    Attrs attrs{{"alpha", double{alpha}}, {"beta", double{beta}}, {"transA", int64_t{trans_a}}, {"transB", int64_t{trans_b}}};
    Result<Tensor> y = run("Gemm", {a, b, c}, attrs);
    REQUIRE(y.ok());
    check_close(*y, {m, n}, want);
  }
  Tensor t({DType::f32, {2, 3}, {}});
  CHECK(failure("Gemm", {t, t}) == "operands f32[2,3] (transA 0) and f32[2,3] (transB 0) do not match: 3 and 2 terms.");
  CHECK(failure("Gemm", {t, t, t}, {{"transB", int64_t{1}}}) == "operand C is f32[2,3], it does not broadcast to [2,2].");
  CHECK(failure("Gemm", {t, Tensor({DType::f32, {3}, {}})}) == "operands f32[2,3] and f32[3] must have 2 dimensions.");
}

TEST_CASE("gemm with operands known at run time only computes the same") {
  Random random(5);
  Tensor a = random.tensor({3, 4}), b = random.tensor({4, 2}), c = random.tensor({3, 2});
  Graph graph;
  GraphBuilder builder(graph, {"node"});
  std::vector<ValueId> inputs = {graph.add_input("a", a.type), graph.add_input("b", b.type), graph.add_input("c", c.type)};
  OnnxNode node{.domain = "", .type = "Gemm", .name = "node", .opset = 17, .attrs = {{"alpha", 0.5}, {"beta", 2.0}},
                .inputs = inputs, .output_count = 1, .output_used = {true}};
  Result<std::vector<ValueId>> y = ops::gemm.import(node, builder);
  REQUIRE(y.ok());
  graph.add_output(y->front());
  Result<std::vector<Tensor>> got = evaluate(graph, {a, b, c});
  REQUIRE(got.ok());
  Result<Tensor> want = run("Gemm", {a, b, c}, node.attrs);
  REQUIRE(want.ok());
  check_close(got->front(), {3, 2}, want->to_doubles());
}

TEST_CASE("batch normalization with statistics known at run time only computes the same") {
  Random random(6);
  Tensor x = random.tensor({1, 3, 4}), p = random.tensor({3}), variance = Tensor::floats({3}, {0.5f, 1.0f, 2.0f});
  Graph graph;
  GraphBuilder builder(graph, {"node"});
  std::vector<ValueId> inputs = {graph.add_input("x", x.type), graph.add_input("p", p.type), graph.add_input("v", variance.type)};
  OnnxNode node{.domain = "", .type = "BatchNormalization", .name = "node", .opset = 17, .attrs = {{"epsilon", 0.1}},
                .inputs = {inputs[0], inputs[1], inputs[1], inputs[1], inputs[2]}, .output_count = 1, .output_used = {true}};
  Result<std::vector<ValueId>> y = ops::batch_norm.import(node, builder);
  REQUIRE(y.ok());
  graph.add_output(y->front());
  Result<std::vector<Tensor>> got = evaluate(graph, {x, p, variance});
  REQUIRE(got.ok());
  check_close(got->front(), {1, 3, 4}, run("BatchNormalization", {x, p, p, p, variance}, node.attrs)->to_doubles());
}

TEST_CASE("batch normalization agrees with its definition") {
  Random random(3);
  for (const Shape& shape : {Shape{2, 3}, Shape{2, 3, 4}, Shape{1, 3, 2, 5}, Shape{2, 1, 3, 3}}) {
    int64_t channels = shape[1];
    Tensor x = random.tensor(shape), scale = random.tensor({channels}), bias = random.tensor({channels}), mean = random.tensor({channels});
    Tensor variance = random.tensor({channels});
    for (float& v : variance.as<float>()) v = std::abs(v);
    Doubles want;
    for_each_index(shape, [&](const Ints& at) {
      Ints c = {at[1]};
      want.push_back((element(x, at) - element(mean, c)) / std::sqrt(element(variance, c) + 0.01) * element(scale, c) + element(bias, c));
    });
    Result<Tensor> y = run("BatchNormalization", {x, scale, bias, mean, variance}, {{"epsilon", 0.01}});
    REQUIRE(y.ok());
    check_close(*y, shape, want);
  }
  Tensor x({DType::f32, {1, 3, 2}, {}}), three({DType::f32, {3}, {}}), two({DType::f32, {2}, {}});
  CHECK(failure("BatchNormalization", {x, three, three, two, three}) == "input 'input_mean' is f32[2], the input has 3 channels.");
  CHECK(failure("BatchNormalization", {x, three, three, three, three}, {{"training_mode", int64_t{1}}}) ==
        "'training_mode' is 1: kiln runs models, it does not train them.");
  CHECK(failure("BatchNormalization", {x, three, three, three, three}, {{"spatial", int64_t{0}}}, 7) ==
        "'spatial' is 0: one normalization per pixel is not supported.");
}

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
  REQUIRE(ops::softmax.permute({ops::softmax, axis, {&x}, {nullptr}, {}}, Ints{2, 0, 1}, permuted));
  CHECK(permuted.i("axis") == 2);
}

}  // namespace
}  // namespace kiln
