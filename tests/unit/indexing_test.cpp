// SPDX-License-Identifier: Apache-2.0
// Operators that choose elements by position, folded by GraphBuilder, against index loops that follow their definitions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/op_bench.h"

using namespace kiln;

namespace {

/// Indices below `size`, also counted from the end.
Tensor random_indices(std::mt19937& random, const Shape& shape, int64_t size) {
  Tensor t(TensorType{DType::i64, shape, {}});
  for (int64_t& i : t.as<int64_t>()) i = pick(random, -size, size - 1);
  return t;
}
int64_t from_start(int64_t index, int64_t size) { return index < 0 ? index + size : index; }

int64_t index_at(const Tensor& t, const Index& at) {
  int64_t position = 0;
  for (size_t k = 0; k < at.size(); ++k) position = position * t.type.shape[k] + at[k];
  return t.as<int64_t>()[static_cast<size_t>(position)];
}

Tensor random_values(std::mt19937& random, const Shape& shape) {
  return build(shape, [&](const Index&) { return static_cast<int32_t>(pick(random, -5, 5)); });
}

}  // namespace

TEST_CASE("GatherElements takes each element by its own index") {
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 1, 4)), axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    Bench t;
    Tensor x = counting(random_shape(random, rank, 4));
    Shape shape = x.type.shape;
    for (size_t d = 0; d < rank; ++d) shape[d] = pick(random, 1, d == axis ? 6 : shape[d]);
    const int64_t size = x.type.shape[axis];
    Tensor index = random_indices(random, shape, size);
    Tensor expected = build(shape, [&](Index at) {
      at[axis] = from_start(index_at(index, at), size);
      return element(x, at);
    });
    REQUIRE(t.import(ops::gather_elements, 13, {t.constant(x), t.constant(index)}, {{"axis", static_cast<int64_t>(axis)}}) == expected);
  }
}

TEST_CASE("GatherND takes slices by indices of several dimensions") {
  std::mt19937 random(2);
  for (int i = 0; i < 100; ++i) {
    const int64_t rank = pick(random, 1, 4), batch = pick(random, 0, rank - 1), indexed = pick(random, 1, rank - batch);
    Bench t;
    Tensor x = counting(random_shape(random, static_cast<size_t>(rank), 4));
    const Shape& dims = x.type.shape;
    Shape shape(dims.begin(), dims.begin() + batch);
    for (int64_t extra = pick(random, 0, 2); extra-- > 0;) shape.push_back(pick(random, 1, 3));
    const size_t points = shape.size();
    shape.push_back(indexed);
    Tensor index(TensorType{DType::i64, shape, {}});
    for (size_t k = 0; k < index.as<int64_t>().size(); ++k) {
      int64_t size = dims[static_cast<size_t>(batch) + k % static_cast<size_t>(indexed)];
      index.as<int64_t>()[k] = pick(random, -size, size - 1);
    }
    Shape result(shape.begin(), shape.end() - 1);
    result.insert(result.end(), dims.begin() + batch + indexed, dims.end());
    Tensor expected = build(result, [&](const Index& at) {
      Index from(at.begin(), at.begin() + batch), point(at.begin(), at.begin() + static_cast<int64_t>(points));
      for (int64_t k = 0; k < indexed; ++k) {
        Index of = point;
        of.push_back(k);
        from.push_back(from_start(index_at(index, of), dims[static_cast<size_t>(batch + k)]));
      }
      from.insert(from.end(), at.begin() + static_cast<int64_t>(points), at.end());
      return element(x, from);
    });
    REQUIRE(t.import(ops::gather_nd, 13, {t.constant(x), t.constant(index)}, {{"batch_dims", batch}}) == expected);
  }
}

TEST_CASE("OneHot puts one value at each index and another elsewhere") {
  std::mt19937 random(3);
  for (int i = 0; i < 60; ++i) {
    const int64_t rank = pick(random, 0, 3), axis = pick(random, -rank - 1, rank), depth = pick(random, 1, 5);
    const auto at_axis = static_cast<size_t>(axis < 0 ? axis + rank + 1 : axis);
    Bench t;
    Tensor index = random_indices(random, random_shape(random, static_cast<size_t>(rank), 4), depth);
    Shape shape = index.type.shape;
    shape.insert(shape.begin() + static_cast<int64_t>(at_axis), depth);
    Tensor expected = build(shape, [&](Index at) {
      int64_t position = at[at_axis];
      at.erase(at.begin() + static_cast<int64_t>(at_axis));
      return from_start(index_at(index, at), depth) == position ? 7 : 3;
    });
    std::vector<int64_t> depth_value{depth};
    std::vector<int32_t> values{3, 7};
    REQUIRE(t.import(ops::one_hot, 11, {t.constant(index), t.constant(Tensor::of<int64_t>({}, depth_value)), t.constant(Tensor::of<int32_t>({2}, values))}, {{"axis", axis}}) == expected);
  }
}

TEST_CASE("Trilu keeps a triangle of each matrix") {
  std::mt19937 random(4);
  for (int i = 0; i < 60; ++i) {
    Bench t;
    Tensor x = counting(random_shape(random, static_cast<size_t>(pick(random, 2, 4)), 5));
    const int64_t k = pick(random, -6, 6), upper = pick(random, 0, 1);
    Tensor expected = build(x.type.shape, [&](const Index& at) {
      int64_t above = at.back() - at[at.size() - 2];
      return (upper ? above >= k : above <= k) ? element(x, at) : 0;
    });
    std::vector<int64_t> diagonal{k};
    REQUIRE(t.import(ops::trilu, 14, {t.constant(x), t.constant(Tensor::of<int64_t>({}, diagonal))}, {{"upper", upper}}) == expected);
  }
}

TEST_CASE("ArgMax and ArgMin find the first or the last extreme, Hardmax marks the first") {
  std::mt19937 random(5);
  for (int i = 0; i < 100; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 1, 4)), axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    const bool largest = pick(random, 0, 1) != 0, last = pick(random, 0, 1) != 0, keep = pick(random, 0, 1) != 0;
    Bench t;
    Tensor x = random_values(random, random_shape(random, rank, 6));
    const int64_t size = x.type.shape[axis];
    auto extreme = [&](Index at, bool of_last) {
      int64_t best = 0;
      for (int64_t k = 1; k < size; ++k) {
        Index best_at = at;
        best_at[axis] = best;
        at[axis] = k;
        int32_t a = element(x, at), b = element(x, best_at);
        if ((largest ? a > b : a < b) || (of_last && a == b)) best = k;
      }
      return best;
    };
    Shape shape = x.type.shape;
    shape[axis] = 1;
    std::vector<int64_t> expected;
    for_each_index(shape, [&](const Index& at) { expected.push_back(extreme(at, last)); });
    if (!keep) shape.erase(shape.begin() + static_cast<int64_t>(axis));
    Attrs attrs{{"axis", static_cast<int64_t>(axis)}, {"keepdims", int64_t{keep}}, {"select_last_index", int64_t{last}}};
    REQUIRE(t.import(largest ? ops::arg_max : ops::arg_min, 13, {t.constant(x)}, attrs) == Tensor::of<int64_t>(shape, expected));
    if (!largest) continue;
    Tensor marked = build(x.type.shape, [&](const Index& at) { return extreme(at, false) == at[axis] ? 1 : 0; });
    REQUIRE(t.import(ops::hardmax, 13, {t.constant(x)}, {{"axis", static_cast<int64_t>(axis)}}) == marked);
  }
}

TEST_CASE("CumSum runs from either end, with or without the element itself") {
  std::mt19937 random(6);
  for (int i = 0; i < 100; ++i) {
    const size_t rank = static_cast<size_t>(pick(random, 1, 4)), axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    const int64_t exclusive = pick(random, 0, 1), reverse = pick(random, 0, 1);
    Bench t;
    Tensor x = random_values(random, random_shape(random, rank, 5));
    Tensor expected = build(x.type.shape, [&](const Index& at) {
      int32_t sum = 0;
      for (int64_t k = 0; k < x.type.shape[axis]; ++k) {
        Index from = at;
        from[axis] = k;
        bool before = reverse ? k > at[axis] : k < at[axis];
        if (before || (k == at[axis] && !exclusive)) sum += element(x, from);
      }
      return sum;
    });
    std::vector<int64_t> axis_value{static_cast<int64_t>(axis)};
    REQUIRE(t.import(ops::cumulative_sum, 14, {t.constant(x), t.constant(Tensor::of<int64_t>({}, axis_value))}, {{"exclusive", exclusive}, {"reverse", reverse}}) == expected);
  }
}

TEST_CASE("positions that do not fit are refused") {
  std::vector<int64_t> outside{2}, depth{0};
  std::vector<int32_t> values{0, 1};
  {
    Bench t;
    ValueId index = t.constant(Tensor::of<int64_t>({1}, outside));
    CHECK(t.message(ops::gather_elements, 13, {t.constant(counting({2})), index}, {{"axis", int64_t{0}}}) == "index 2 is outside dimension 0, which has 2.");
    CHECK(t.message(ops::gather_elements, 13, {t.constant(counting({2, 2})), index}).find("no part of") != std::string::npos);
    CHECK(t.message(ops::gather_elements, 13, {t.constant(counting({2})), t.constant(counting({1}, DType::u8))}).find("must be i32 or i64") != std::string::npos);
    CHECK(t.message(ops::gather_nd, 13, {t.constant(counting({2})), index}, {{"batch_dims", int64_t{1}}}).find("do not fit") != std::string::npos);
  }
  Bench t;
  ValueId index = t.constant(Tensor::of<int64_t>({1}, outside));
  CHECK(t.message(ops::one_hot, 11, {index, t.constant(Tensor::of<int64_t>({1}, depth)), t.constant(Tensor::of<int32_t>({2}, values))}).find("the depth is 0") != std::string::npos);
  CHECK(t.message(ops::one_hot, 11, {index, t.input(DType::i64, {}), t.constant(Tensor::of<int32_t>({2}, values))}).find("must be a constant") != std::string::npos);
  CHECK(t.message(ops::trilu, 14, {t.constant(counting({3}))}).find("at least 2 dimensions") != std::string::npos);
  CHECK(t.message(ops::arg_max, 13, {t.constant(counting({3}))}, {{"axis", int64_t{1}}}).find("axis 1") != std::string::npos);
  CHECK(t.message(ops::cumulative_sum, 14, {t.constant(counting({3})), index}).find("axis [2]") != std::string::npos);
}
