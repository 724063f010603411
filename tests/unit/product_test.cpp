// SPDX-License-Identifier: Apache-2.0
// MatMul, Gemm and BatchNormalization against their definition.
#include "tests/unit/layers.h"

namespace kiln {
namespace {

using namespace layers;

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
  CHECK(failure("BatchNormalization", {x, three, three, three, three}, {{"spatial", int64_t{0}}}, 7) ==
        "'spatial' is 0: one normalization per pixel is not supported.");
}

}  // namespace
}  // namespace kiln
