// SPDX-License-Identifier: Apache-2.0
// Operators that write or select elements by position, folded by GraphBuilder, against index loops that follow their definitions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <random>

#include "compiler/ops/evaluate.h"
#include "tests/unit/op_bench.h"

using namespace kiln;

namespace {

size_t offset(const Shape& shape, const Index& at) {
  int64_t position = 0;
  for (size_t k = 0; k < at.size(); ++k) position = position * shape[k] + at[k];
  return static_cast<size_t>(position);
}

Tensor random_values(std::mt19937& random, const Shape& shape) {
  return build(shape, [&](const Index&) { return static_cast<int32_t>(pick(random, -4, 4)); });
}

int32_t combined(const std::string& reduction, int32_t a, int32_t b) {
  if (reduction == "add") return a + b;
  if (reduction == "mul") return a * b;
  if (reduction == "min") return std::min(a, b);
  if (reduction == "max") return std::max(a, b);
  return b;
}

const char* const kReductions[] = {"none", "add", "mul", "min", "max"};

}  // namespace

TEST_CASE("ScatterElements writes each update by its own index") {
  std::mt19937 random(1);
  for (int i = 0; i < 150; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 1, 4)),
                 axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    const std::string reduction = kReductions[i % 5];
    Tensor x = random_values(random, random_shape(random, rank, 4));
    Shape shape = x.type.shape;
    for (size_t d = 0; d < rank; ++d) shape[d] = pick(random, 1, d == axis ? 6 : shape[d]);
    Tensor index(TensorType{DType::i64, shape, {}}), updates = random_values(random, shape);
    const int64_t size = x.type.shape[axis];
    Tensor expected = x;
    size_t next = 0;
    for_each_index(shape, [&](const Index& at) {
      int64_t& given = index.as<int64_t>()[next];
      given = pick(random, -size, size - 1);
      Index to = at;
      to[axis] = given < 0 ? given + size : given;
      int32_t& y = expected.as<int32_t>()[offset(x.type.shape, to)];
      y = combined(reduction, y, updates.as<int32_t>()[next++]);
    });
    Bench t;
    REQUIRE(t.import(ops::scatter_elements, 18, {t.constant(x), t.constant(index), t.constant(updates)},
                     {{"axis", static_cast<int64_t>(axis) - (i % 2 ? static_cast<int64_t>(rank) : 0)}, {"reduction", reduction}}) ==
            expected);
    if (reduction == "none")
      REQUIRE(t.import(ops::scatter, 9, {t.constant(x), t.constant(index), t.constant(updates)}, {{"axis", static_cast<int64_t>(axis)}}) ==
              expected);
  }
}

TEST_CASE("ScatterND writes slices by indices of several dimensions") {
  std::mt19937 random(2);
  for (int i = 0; i < 150; ++i) {
    const int64_t rank = pick(random, 1, 4), indexed = pick(random, 1, rank);
    const std::string reduction = kReductions[i % 5];
    Tensor x = random_values(random, random_shape(random, static_cast<size_t>(rank), 3));
    const Shape& dims = x.type.shape;
    Shape points = random_shape(random, static_cast<size_t>(pick(random, 0, 2)), 3), shape = points, update_shape = points;
    shape.push_back(indexed);
    update_shape.insert(update_shape.end(), dims.begin() + indexed, dims.end());
    Tensor index(TensorType{DType::i64, shape, {}}), updates = random_values(random, update_shape), expected = x;
    const Shape rest(dims.begin() + indexed, dims.end());
    size_t point = 0, update = 0;
    for_each_index(points, [&](const Index&) {
      Index to;
      for (int64_t k = 0; k < indexed; ++k) {
        const int64_t size = dims[static_cast<size_t>(k)], given = pick(random, -size, size - 1);
        index.as<int64_t>()[point++] = given;
        to.push_back(given < 0 ? given + size : given);
      }
      for_each_index(rest, [&](const Index& at) {
        Index whole = to;
        whole.insert(whole.end(), at.begin(), at.end());
        int32_t& y = expected.as<int32_t>()[offset(dims, whole)];
        y = combined(reduction, y, updates.as<int32_t>()[update++]);
      });
    });
    Bench t;
    REQUIRE(t.import(ops::scatter_nd, 18, {t.constant(x), t.constant(index), t.constant(updates)}, {{"reduction", reduction}}) == expected);
  }
}

TEST_CASE("TensorScatter writes entries into a cache, around its end or not beyond it") {
  std::mt19937 random(3);
  for (int i = 0; i < 60; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 3, 4)),
                 axis = static_cast<size_t>(pick(random, 1, static_cast<int64_t>(rank) - 1));
    const bool circular = i % 2 == 1;
    Tensor x = counting(random_shape(random, rank, 5));
    Shape shape = x.type.shape;
    shape[axis] = pick(random, 1, shape[axis]);
    Tensor update = build(shape, [&](const Index& at) { return static_cast<int32_t>(-1 - static_cast<int64_t>(offset(shape, at))); });
    std::vector<int64_t> start(static_cast<size_t>(shape[0]));
    for (int64_t& s : start) s = pick(random, 0, x.type.shape[axis] - 1);
    Tensor expected = x;
    for_each_index(shape, [&](const Index& at) {
      Index to = at;
      to[axis] += start[static_cast<size_t>(at[0])];
      if (circular) to[axis] %= x.type.shape[axis];
      if (to[axis] < x.type.shape[axis]) expected.as<int32_t>()[offset(x.type.shape, to)] = element(update, at);
    });
    Bench t;
    // In linear mode constant positions beyond the end are an error of the model, so they are computed at run time there.
    if (circular) {
      REQUIRE(t.import(ops::tensor_scatter, 24, {t.constant(x), t.constant(update), t.constant(Tensor::int64s(start))},
                       {{"axis", static_cast<int64_t>(axis)}, {"mode", std::string("circular")}}) == expected);
      continue;
    }
    ValueId at = t.input(DType::i64, {shape[0]});
    ImportResult y = t.run(ops::tensor_scatter, 24, {t.constant(x), t.constant(update), at}, {{"axis", static_cast<int64_t>(axis)}});
    REQUIRE(y.ok());
    t.graph.add_output(y->front());
    Result<std::vector<Tensor>> out = evaluate(t.graph, {Tensor::int64s(start)});
    REQUIRE(out.ok());
    REQUIRE(out->front() == expected);
  }
}

TEST_CASE("scatter leaves out indices that name nothing") {
  Bench t;
  ValueId index = t.input(DType::i64, {5});
  ImportResult y = t.run(
      ops::scatter_elements, 18,
      {t.constant(counting({3})), index, t.constant(build({5}, [](const Index& at) { return static_cast<int32_t>(10 * (at[0] + 1)); }))});
  REQUIRE(y.ok());
  t.graph.add_output(y->front());
  Result<std::vector<Tensor>> out = evaluate(t.graph, {Tensor::int64s({3, -4, -1, int64_t{1} << 40, -(int64_t{1} << 40)})});
  REQUIRE(out.ok());
  CHECK(out->front() == Tensor::of<int32_t>({3}, std::vector<int32_t>{1, 2, 30}));
}

TEST_CASE("TopK sorts the first k, of equal elements the first one first") {
  std::mt19937 random(4);
  for (int i = 0; i < 150; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 1, 4)),
                 axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    const bool largest = i % 2 == 0;
    Tensor x = random_values(random, random_shape(random, rank, 7));
    const int64_t size = x.type.shape[axis], k = pick(random, 1, size);
    Shape shape = x.type.shape;
    shape[axis] = k;
    auto order_at = [&](Index at) {
      std::vector<int64_t> order(static_cast<size_t>(size));
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        Index left = at, right = at;
        left[axis] = a, right[axis] = b;
        return largest ? element(x, left) > element(x, right) : element(x, left) < element(x, right);
      });
      return order;
    };
    std::vector<int64_t> indices;
    for_each_index(shape, [&](const Index& at) { indices.push_back(order_at(at)[static_cast<size_t>(at[axis])]); });
    size_t next = 0;
    Tensor values = build(shape, [&](Index at) {
      at[axis] = indices[next++];
      return element(x, at);
    });
    Bench t;
    ImportResult y = t.run(ops::top_k, 11, {t.constant(x), t.constant(Tensor::int64s({k}))},
                           {{"axis", static_cast<int64_t>(axis)}, {"largest", int64_t{largest}}}, 2);
    REQUIRE(y.ok());
    REQUIRE(*t.b.constant((*y)[0]) == values);
    REQUIRE(*t.b.constant((*y)[1]) == Tensor::of<int64_t>(shape, indices));
    if (largest) REQUIRE(t.import(ops::top_k, 9, {t.constant(x)}, {{"axis", static_cast<int64_t>(axis)}, {"k", k}}) == values);
  }
}

TEST_CASE("Compress and NonZero find what a constant says") {
  Bench t;
  Tensor x = counting({2, 3});
  Tensor kept(TensorType{DType::boolean, {3}, {}});
  kept.as<uint8_t>()[0] = kept.as<uint8_t>()[2] = 1;
  CHECK(t.import(ops::compress, 11, {t.constant(x), t.constant(kept)}, {{"axis", int64_t{-1}}}) ==
        Tensor::of<int32_t>({2, 2}, std::vector<int32_t>{1, 3, 4, 6}));
  CHECK(t.import(ops::compress, 11, {t.constant(x), t.constant(kept)}) == Tensor::of<int32_t>({2}, std::vector<int32_t>{1, 3}));
  Tensor sparse = Tensor::of<int32_t>({2, 3}, std::vector<int32_t>{0, 5, 0, -1, 0, 2});
  CHECK(t.import(ops::non_zero, 13, {t.constant(sparse)}) == Tensor::of<int64_t>({2, 3}, std::vector<int64_t>{0, 1, 1, 1, 0, 2}));
}

TEST_CASE("Unique gives the different slices, where they stand first, and how often") {
  std::mt19937 random(5);
  for (int i = 0; i < 60; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 1, 3)),
                 axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    const bool sorted = i % 2 == 0, flat = i % 3 == 0;
    Tensor x = build(random_shape(random, rank, 5), [&](const Index&) { return static_cast<int32_t>(pick(random, 0, 1)); });
    if (flat) x = x.reshaped({x.type.elements()});
    const size_t along = flat ? 0 : axis;
    std::vector<std::vector<int32_t>> slices(static_cast<size_t>(x.type.shape[along]));
    for_each_index(x.type.shape, [&](const Index& at) { slices[static_cast<size_t>(at[along])].push_back(element(x, at)); });
    std::vector<std::vector<int32_t>> distinct;
    for (const auto& s : slices)
      if (std::find(distinct.begin(), distinct.end(), s) == distinct.end()) distinct.push_back(s);
    if (sorted) std::sort(distinct.begin(), distinct.end());
    std::vector<int64_t> first, inverse, counts;
    for (const auto& d : distinct) {
      first.push_back(std::find(slices.begin(), slices.end(), d) - slices.begin());
      counts.push_back(std::count(slices.begin(), slices.end(), d));
    }
    for (const auto& s : slices) inverse.push_back(std::find(distinct.begin(), distinct.end(), s) - distinct.begin());
    Bench t;
    Attrs attrs{{"sorted", int64_t{sorted}}};
    if (!flat) attrs.set("axis", static_cast<int64_t>(along));
    ImportResult y = t.run(ops::unique, 11, {t.constant(x)}, attrs, 4);
    REQUIRE(y.ok());
    REQUIRE(*t.b.constant((*y)[1]) == Tensor::int64s(first));
    REQUIRE(*t.b.constant((*y)[2]) == Tensor::int64s(inverse));
    REQUIRE(*t.b.constant((*y)[3]) == Tensor::int64s(counts));
    Shape shape = x.type.shape;
    shape[along] = static_cast<int64_t>(distinct.size());
    REQUIRE(*t.b.constant((*y)[0]) == build(shape, [&](Index at) {
      at[along] = first[static_cast<size_t>(at[along])];
      return element(x, at);
    }));
  }
}

TEST_CASE("ReverseSequence turns the beginning of each sequence round") {
  std::mt19937 random(6);
  for (int i = 0; i < 40; ++i) {
    const size_t time = static_cast<size_t>(i % 2), batch = 1 - time;
    Tensor x = counting(random_shape(random, static_cast<size_t>(pick(random, 2, 4)), 5));
    std::vector<int64_t> lengths(static_cast<size_t>(x.type.shape[batch]));
    for (int64_t& n : lengths) n = pick(random, 0, x.type.shape[time]);
    Tensor expected = build(x.type.shape, [&](Index at) {
      const int64_t length = lengths[static_cast<size_t>(at[batch])];
      if (at[time] < length) at[time] = length - 1 - at[time];
      return element(x, at);
    });
    Bench t;
    REQUIRE(t.import(ops::reverse_sequence, 10, {t.constant(x), t.constant(Tensor::int64s(lengths))},
                     {{"batch_axis", static_cast<int64_t>(batch)}, {"time_axis", static_cast<int64_t>(time)}}) == expected);
  }
}

TEST_CASE("NonMaxSuppression has as many rows as the limit allows, or as constants have survivors") {
  // Boxes 0 and 1 overlap by 9/11, box 2 stands alone; class 1 has one box above the threshold.
  const Tensor boxes = Tensor::floats({1, 3, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 10, 1, 11}),
               scores = Tensor::floats({1, 2, 3}, {0.8f, 0.9f, 0.7f, 0.1f, 0.2f, 0.6f});
  auto operands = [&](Bench& t, ValueId of_scores) {
    return std::vector<ValueId>{t.constant(boxes), of_scores, t.constant(Tensor::int64s({2})), t.constant(Tensor::floats({}, {0.5f})),
                                t.constant(Tensor::floats({1}, {0.4f}))};
  };
  const std::vector<int64_t> survivors{0, 0, 1, 0, 0, 2, 0, 1, 2};
  Bench folded;
  CHECK(folded.import(ops::non_max_suppression, 11, operands(folded, folded.constant(scores))) == Tensor::of<int64_t>({3, 3}, survivors));
  Bench t;
  ValueId x = t.input(DType::f32, {1, 2, 3});
  ImportResult y = t.run(ops::non_max_suppression, 11, operands(t, x));
  REQUIRE(y.ok());
  t.graph.add_output(y->front());
  Result<std::vector<Tensor>> out = evaluate(t.graph, {scores});
  REQUIRE(out.ok());
  std::vector<int64_t> filled = survivors;
  filled.resize(12, -1);
  CHECK(out->front() == Tensor::of<int64_t>({4, 3}, filled));
}

TEST_CASE("what cannot be selected is refused") {
  Bench t;
  ValueId x = t.constant(counting({2, 3})), two = t.constant(Tensor::int64s({2})), run_time = t.input(DType::boolean, {2});
  auto contains = [](const std::string& text) { return Catch::Matchers::Contains(text); };
  CHECK_THAT(t.message(ops::scatter_elements, 18,
                       {x, t.constant(Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{2})), t.constant(counting({1, 1}))}),
             contains("index 2 is outside dimension 0, which has 2."));
  CHECK_THAT(t.message(ops::scatter_elements, 18,
                       {x, t.constant(Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{0})), t.constant(counting({1, 2}))}),
             contains("they must have one shape"));
  CHECK_THAT(t.message(ops::scatter_elements, 18,
                       {x, t.constant(Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{0})), t.constant(counting({1, 1}))},
                       {{"reduction", std::string("sub")}}),
             contains("must be none, add, mul, min or max"));
  CHECK_THAT(t.message(ops::scatter_nd, 18, {x, t.constant(Tensor::int64s({0, 0, 0})), t.constant(counting({}))}),
             contains("do not fit shape [2,3]"));
  CHECK_THAT(
      t.message(ops::scatter_nd, 18, {x, t.constant(Tensor::of<int64_t>({1, 1}, std::vector<int64_t>{-3})), t.constant(counting({1, 3}))}),
      contains("index -3 is outside dimension 0, which has 2."));
  CHECK_THAT(t.message(ops::tensor_scatter, 24, {x, t.constant(counting({2, 4}))}), contains("axis -2 is none of"));
  CHECK_THAT(t.message(ops::top_k, 11, {x, t.constant(Tensor::int64s({4}))}, {}, 2), contains("k is 4, axis 1 of i32[2,3] has 3."));
  CHECK_THAT(t.message(ops::top_k, 11, {x, t.input(DType::i64, {1})}, {}, 2), contains("input 'K' is computed at run time"));
  CHECK_THAT(t.message(ops::compress, 11, {x, run_time}), contains("the condition of Compress is computed at run time"));
  CHECK_THAT(t.message(ops::non_zero, 13, {run_time}), contains("the input of NonZero is computed at run time"));
  CHECK_THAT(t.message(ops::unique, 11, {run_time}), contains("the input of Unique is computed at run time"));
  CHECK_THAT(t.message(ops::reverse_sequence, 10, {x, t.constant(Tensor::int64s({1}))}),
             contains("the lengths are i64[1], they must be i64[3]."));
  ValueId boxes = t.input(DType::f32, {1, 3, 4}), scores = t.input(DType::f32, {1, 2, 3});
  CHECK_THAT(t.message(ops::non_max_suppression, 11, {boxes, scores}), contains("the result would be empty"));
  CHECK_THAT(t.message(ops::non_max_suppression, 11, {scores, boxes, two}), contains("they must be [N,B,4] and [N,C,B]"));
}
