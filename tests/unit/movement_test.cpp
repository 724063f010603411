// SPDX-License-Identifier: Apache-2.0
// The operators that move elements, folded by GraphBuilder, against index loops that follow their definitions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "compiler/ops/movement.h"
#include "nn/ref/copy.h"
#include "tests/unit/op_bench.h"

using namespace kiln;

namespace {

/// Computes the value of each graph output by running the program's copy calls, on a counting input.
std::vector<Tensor> run_program(const Graph& graph, size_t& copies) {
  Program program;
  Lowering lowering(graph, program);
  for (NodeId id : graph.order()) REQUIRE(graph.node(id).op->lower(graph.args(id), graph.node(id), lowering).ok());
  for (ValueId v : graph.outputs()) lowering.tensor(v);
  std::vector<std::vector<int32_t>> memory(program.tensor_count());
  for (size_t i = 0; i < memory.size(); ++i) memory[i].resize(static_cast<size_t>(program.tensor(TensorId(i)).type.elements()), -1);
  auto at = [&](TensorId id) {
    ProgramTensor::View root = program.root(id);
    return memory[index(root.base)].data() + root.offset_bytes / 4;
  };
  for (ValueId v : graph.inputs) {
    Tensor t = counting(graph.type(v).shape);
    std::copy_n(t.as<int32_t>().data(), t.as<int32_t>().size(), at(lowering.tensor(v)));
  }
  for (const Step& step : program.steps) {
    REQUIRE(step.call.family == "copy");
    nn::ref::copy(std::get<Copy>(step.call.descriptor), at(step.call.inputs[0]), at(step.call.outputs[0]));
  }
  copies = program.steps.size();
  std::vector<Tensor> out;
  for (ValueId v : graph.outputs()) {
    const int32_t* values = at(lowering.tensor(v));
    out.push_back(Tensor::of<int32_t>(graph.type(v).shape, {values, static_cast<size_t>(graph.type(v).elements())}));
  }
  return out;
}

}  // namespace

TEST_CASE("transpose: every permutation up to rank 5") {
  std::mt19937 random(1);
  for (size_t rank = 1; rank <= 5; ++rank) {
    std::vector<int64_t> perm(rank);
    std::iota(perm.begin(), perm.end(), 0);
    do {
      Bench t;
      Tensor x = counting(random_shape(random, rank, 5));
      Tensor expected = build(permute(x.type.shape, perm), [&](const Index& at) {
        Index from(rank);
        for (size_t i = 0; i < rank; ++i) from[static_cast<size_t>(perm[i])] = at[i];
        return element(x, from);
      });
      REQUIRE(t.import(ops::transpose, 13, {t.constant(x)}, {{"perm", perm}}) == expected);
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

TEST_CASE("transpose: large planes, other element sizes, reversed by default") {
  for (DType dtype : {DType::u8, DType::f16, DType::f32, DType::f64}) {
    Bench t;
    Tensor x = counting({67, 41}, dtype);
    Tensor y = t.import(ops::transpose, 13, {t.constant(x)});
    REQUIRE(y.type.shape == Shape{41, 67});
    with_storage_type(dtype, [&]<class T>() {
      for (size_t i = 0; i < 67; ++i)
        for (size_t j = 0; j < 41; ++j) REQUIRE(y.as<T>()[j * 67 + i] == x.as<T>()[i * 41 + j]);
    });
  }
}

TEST_CASE("transpose: builders collapse, size-1 dimensions make reshapes, bad permutations are refused") {
  Bench t;
  ValueId x = t.input(DType::f32, {2, 3, 4, 5});
  ValueId y = *transpose(t.b, x, {0, 2, 3, 1});
  CHECK(*transpose(t.b, y, {0, 3, 1, 2}) == x);
  ValueId z = *transpose(t.b, y, {3, 2, 1, 0});
  CHECK(t.graph.producer(z)->inputs[0] == x);
  CHECK(t.graph.producer(z)->attrs.ints("perm") == std::vector<int64_t>{1, 3, 2, 0});
  ValueId flat = t.graph.add_input("flat", TensorType{DType::f32, {1, 7, 1, 5}, {}});
  CHECK(t.graph.producer(*transpose(t.b, flat, {0, 2, 1, 3}))->op == &ops::reshape);
  CHECK(t.message(ops::transpose, 13, {x}, {{"perm", std::vector<int64_t>{0, 1, 1, 2}}}) ==
        "perm [0,1,1,2] is not a permutation of the 4 dimensions of f32[2,3,4,5].");
}

TEST_CASE("moved elements keep their quantization, per axis too") {
  Bench t;
  Quant per_axis{{1, 2, 3}, {0, 0, 0}, 1};
  ValueId x = t.graph.add_input("q", TensorType{DType::i8, {2, 3, 4}, per_axis});
  CHECK(t.b.type(*transpose(t.b, x, {1, 2, 0})).quant->axis == 0);
  CHECK(t.b.type(*reshape(t.b, x, {1, 2, 3, 4})).quant->axis == 2);
  CHECK_FALSE(reshape(t.b, x, {6, 4}).ok());
  ValueId whole = t.graph.add_input("w", TensorType{DType::i8, {2, 3}, Quant{{0.5f}, {3}, 0}});
  CHECK(t.b.type(*reshape(t.b, whole, {6})).quant == Quant{{0.5f}, {3}, 0});
}

TEST_CASE("reshape, flatten, squeeze, unsqueeze") {
  Bench t;
  ValueId x = t.input(DType::f32, {2, 3, 1, 4});
  auto shape = [&](const OpDef& op, int64_t opset, std::vector<ValueId> inputs, Attrs attrs = {}) {
    return t.b.shape(t.run(op, opset, std::move(inputs), std::move(attrs))->front());
  };
  auto list = [&](std::vector<int64_t> values) { return t.constant(Tensor::int64s(values)); };
  CHECK(shape(ops::reshape, 13, {x, list({0, -1})}) == Shape{2, 12});
  CHECK(shape(ops::reshape, 13, {x, list({-1})}) == Shape{24});
  CHECK(shape(ops::flatten, 13, {x}) == Shape{2, 12});
  CHECK(shape(ops::flatten, 13, {x}, {{"axis", int64_t{0}}}) == Shape{1, 24});
  CHECK(shape(ops::flatten, 13, {x}, {{"axis", int64_t{4}}}) == Shape{24, 1});
  CHECK(shape(ops::flatten, 13, {x}, {{"axis", int64_t{-1}}}) == Shape{6, 4});
  CHECK(shape(ops::squeeze, 13, {x}) == Shape{2, 3, 4});
  CHECK(shape(ops::squeeze, 13, {x, list({-2})}) == Shape{2, 3, 4});
  CHECK(shape(ops::squeeze, 11, {x}, {{"axes", std::vector<int64_t>{2}}}) == Shape{2, 3, 4});
  CHECK(shape(ops::unsqueeze, 13, {x, list({0, -1})}) == Shape{1, 2, 3, 1, 4, 1});
  CHECK(shape(ops::unsqueeze, 11, {x}, {{"axes", std::vector<int64_t>{1}}}) == Shape{2, 1, 3, 1, 4});
  ValueId empty = t.graph.add_input("e", TensorType{DType::f32, {0, 3}, {}});
  CHECK(shape(ops::reshape, 14, {empty, list({3, 0})}, {{"allowzero", int64_t{1}}}) == Shape{3, 0});
  CHECK(*reshape(t.b, *reshape(t.b, x, {24}), {2, 3, 1, 4}) == x);

  CHECK(t.message(ops::reshape, 13, {x, list({5, -1})}) ==
        "an input of 24 elements cannot take the shape [5,-1]: 5 does not divide 24.");
  CHECK(t.message(ops::reshape, 13, {x, list({5, 5})}) == "f32[2,3,1,4] has 24 elements and cannot take the shape [5,5] of 25 elements.");
  CHECK(t.message(ops::reshape, 13, {x, list({-1, -1})}) == "shape [-1,-1] may have one -1 and no other negative dimension.");
  CHECK(t.message(ops::reshape, 13, {x, list({1, 1, 1, 1, 0})}) == "shape [1,1,1,1,0] copies dimension 4 of an input with 4 dimensions.");
  CHECK(t.message(ops::squeeze, 13, {x, list({1})}) == "dimension 1 to squeeze is 3, not 1.");
  CHECK(t.message(ops::unsqueeze, 13, {x, list({6})}) == "axis 6 is outside the 5 dimensions.");
  CHECK(t.message(ops::unsqueeze, 13, {x, list({1, 1})}) == "axis 1 is given twice.");
  CHECK(t.message(ops::flatten, 13, {x}, {{"axis", int64_t{5}}}) == "axis 5 is outside the 4 dimensions of the input.");
  CHECK(t.message(ops::reshape, 13, {x, x}) == "input 'shape' is computed at run time, it must be a constant.");
}

TEST_CASE("concat: along each axis") {
  std::mt19937 random(2);
  for (int round = 0; round < 100; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 1, 5));
    auto axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    Shape shape = random_shape(random, rank, 4);
    std::vector<Tensor> pieces;
    std::vector<ValueId> inputs;
    int64_t total = 0;
    for (int64_t n = pick(random, 1, 4); n > 0; --n) {
      shape[axis] = pick(random, 0, 3);
      total += shape[axis];
      pieces.push_back(counting(shape));
      for (int32_t& v : pieces.back().as<int32_t>()) v += 1000 * static_cast<int32_t>(n);
      inputs.push_back(t.constant(pieces.back()));
    }
    shape[axis] = total;
    Tensor expected = build(shape, [&](Index at) {
      size_t piece = 0;
      while (at[axis] >= pieces[piece].type.shape[axis]) at[axis] -= pieces[piece++].type.shape[axis];
      return element(pieces[piece], at);
    });
    int64_t given = static_cast<int64_t>(axis) - (round % 2 ? static_cast<int64_t>(rank) : 0);
    REQUIRE(t.import(ops::concat, 13, inputs, {{"axis", given}}) == expected);
  }
  Bench t;
  ValueId x = t.input(DType::f32, {2, 3}), y = t.graph.add_input("y", TensorType{DType::f32, {3, 3}, {}});
  CHECK(t.message(ops::concat, 13, {x, y}, {{"axis", int64_t{1}}}) == "input 1 is f32[3,3] and cannot be joined along axis 1 to f32[2,3].");
  CHECK(t.message(ops::concat, 13, {x, y}, {{"axis", int64_t{2}}}) == "axis 2 is outside the 2 dimensions of f32[2,3].");
  CHECK(t.message(ops::concat, 13, {x, y}) == "attribute 'axis' is missing.");
}

TEST_CASE("slice: starts, ends and steps of any sign and size") {
  std::mt19937 random(3);
  for (int round = 0; round < 400; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 1, 4));
    Tensor x = counting(random_shape(random, rank, 6));
    std::vector<int64_t> starts, ends, steps, axes;
    std::vector<std::vector<int64_t>> chosen(rank);
    for (size_t k = 0; k < rank; ++k) {
      int64_t dim = x.type.shape[k];
      for (int64_t i = 0; i < dim; ++i) chosen[k].push_back(i);
      if (pick(random, 0, 4) == 0) continue;
      constexpr int64_t kFar[] = {INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN};
      auto bound = [&] { return pick(random, 0, 5) == 0 ? kFar[pick(random, 0, 3)] : pick(random, -dim - 2, dim + 2); };
      int64_t start = bound(), end = bound(), step = pick(random, 1, 3) * (random() % 2 ? 1 : -1);
      if (pick(random, 0, 9) == 0) step = kFar[pick(random, 0, 3)];
      starts.push_back(start), ends.push_back(end), steps.push_back(step);
      axes.push_back(static_cast<int64_t>(k) - (random() % 2 ? static_cast<int64_t>(rank) : 0));
      // Bounds count from the end when negative, then are cut to the tensor; then i goes up or down. Unlike Python, ONNX cuts the
      // start of a backward slice to [0, dim - 1], so that one from far below still has index 0.
      auto from_end = [&](int64_t v) { return v < 0 ? v + dim : v; };
      chosen[k].clear();
      if (step > 0) {
        int64_t stop = std::min(from_end(end), dim);
        for (int64_t i = std::max<int64_t>(from_end(start), 0); i < stop; i = i > dim - std::min(step, dim) ? dim : i + step) chosen[k].push_back(i);
      } else {
        int64_t stop = std::max<int64_t>(from_end(end), -1);
        for (int64_t i = std::clamp<int64_t>(from_end(start), 0, dim - 1); i > stop; i = step < -dim ? -1 : i + step) {
          if (i < 0) break;
          chosen[k].push_back(i);
        }
      }
    }
    Shape shape;
    for (const auto& list : chosen) shape.push_back(static_cast<int64_t>(list.size()));
    Tensor expected = build(shape, [&](Index at) {
      for (size_t k = 0; k < rank; ++k) at[k] = chosen[k][static_cast<size_t>(at[k])];
      return element(x, at);
    });
    auto list = [&](const std::vector<int64_t>& v) { return t.constant(Tensor::int64s(v)); };
    INFO("round " << round << " " << to_string(x.type) << " " << to_string(starts) << to_string(ends) << to_string(axes) << to_string(steps));
    REQUIRE(t.import(ops::slice, 13, {t.constant(x), list(starts), list(ends), list(axes), list(steps)}) == expected);
  }
}

TEST_CASE("slice: attributes before opset 10, omitted axes and steps, errors") {
  Bench t;
  Tensor x = counting({4, 5});
  Tensor expected = build({2, 5}, [&](const Index& at) { return element(x, {at[0] + 1, at[1]}); });
  auto list = [&](const std::vector<int64_t>& v) { return t.constant(Tensor::int64s(v)); };
  CHECK(t.import(ops::slice, 9, {t.constant(x)}, {{"starts", Index{1}}, {"ends", Index{3}}}) == expected);
  CHECK(t.import(ops::slice, 13, {t.constant(x), list({1}), list({3})}) == expected);
  CHECK(t.import(ops::slice, 13, {t.constant(x), list({1}), list({3}), kNoValue, list({1})}) == expected);
  CHECK(t.message(ops::slice, 13, {t.constant(x), list({1}), list({3}), list({0}), list({0})}) == "the step along axis 0 is 0.");
  CHECK(t.message(ops::slice, 13, {t.constant(x), list({1}), list({3, 2})}) == "'ends' has 2 entries, 'starts' has 1.");
  CHECK(t.message(ops::slice, 13, {t.constant(x)}) == "'starts' is missing.");
  Attrs outside{{"starts", Index{3, 0}}, {"sizes", Index{2, 5}}, {"steps", Index{1, 1}}};
  CHECK(t.b.add(ops::slice, {t.constant(x)}, outside).diagnostic().message == "start 3, size 2 and step 1 leave dimension 0 of i32[4,5].");
}

TEST_CASE("split: equal, given and uneven parts") {
  Bench t;
  ValueId x = t.input(DType::f32, {2, 7});
  auto sizes = [&](int64_t opset, std::vector<ValueId> inputs, Attrs attrs, size_t outputs) {
    std::vector<int64_t> dims;
    attrs.set("axis", int64_t{-1});
    std::vector<ValueId> parts = *t.run(ops::split, opset, std::move(inputs), std::move(attrs), outputs);
    for (ValueId v : parts) dims.push_back(t.b.shape(v)[1]);
    return dims;
  };
  CHECK(sizes(18, {x}, {{"num_outputs", int64_t{4}}}, 4) == Index{2, 2, 2, 1});
  CHECK(sizes(13, {x}, {}, 7) == Index{1, 1, 1, 1, 1, 1, 1});
  CHECK(sizes(13, {x, t.constant(Tensor::int64s({3, 0, 4}))}, {}, 3) == Index{3, 0, 4});
  CHECK(sizes(11, {x}, {{"split", Index{5, 2}}}, 2) == Index{5, 2});
  CHECK(t.message(ops::split, 11, {x}, {{"axis", int64_t{1}}, {"split", Index{5, 3}}}, 2) ==
        "'split' [5,3] does not divide a dimension of 7 into 2 outputs.");
  CHECK(t.message(ops::split, 13, {x}, {{"axis", int64_t{1}}}, 2) == "a dimension of 7 cannot be split into 2 equal parts.");
  CHECK(t.message(ops::split, 18, {x}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{3}}}, 2) == "'num_outputs' is 3, the node has 2 outputs.");
}

TEST_CASE("lowering: pieces of a concat are written in place, slices of rows are views") {
  Bench t;
  ValueId x = t.input(DType::i32, {4, 6});
  ValueId a = *transpose(t.b, x, {1, 0});                                  // [6,4], a copy into the concat
  ValueId rows = *slice(t.b, x, {{1, 0}, {2, 6}, {1, 1}});                 // [2,6], a view of the input
  ValueId again = *reshape(t.b, rows, {3, 4});                             // a view of the view: has to be copied
  ValueId joined = *t.b.add(ops::concat, {a, again, a}, {{"axis", int64_t{0}}});  // a twice: the second is copied
  ValueId backwards = *slice(t.b, joined, {{14, 0}, {8, 4}, {-2, 1}});
  t.graph.add_output(joined);
  t.graph.add_output(backwards);
  size_t copies = 0;
  std::vector<Tensor> out = run_program(t.graph, copies);
  CHECK(copies == 4);
  Tensor input = counting({4, 6});
  Tensor expected = build({15, 4}, [&](const Index& at) {
    if (at[0] >= 6 && at[0] < 9) return input.as<int32_t>()[static_cast<size_t>(6 + (at[0] - 6) * 4 + at[1])];
    return element(input, {at[1], at[0] % 9});
  });
  CHECK(out[0] == expected);
  CHECK(out[1] == build({8, 4}, [&](const Index& at) { return element(expected, {14 - 2 * at[0], at[1]}); }));
}

TEST_CASE("lowering: columns are copied beside each other") {
  Bench t;
  ValueId x = t.input(DType::i32, {3, 8});
  std::vector<ValueId> parts = *t.run(ops::split, 18, {x}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{3}}}, 3);
  ValueId joined = *t.b.add(ops::concat, {parts[2], parts[0], parts[1]}, {{"axis", int64_t{1}}});
  t.graph.add_output(joined);
  size_t copies = 0;
  std::vector<Tensor> out = run_program(t.graph, copies);
  CHECK(copies == 6);
  Tensor input = counting({3, 8});
  CHECK(out[0] == build({3, 8}, [&](const Index& at) { return element(input, {at[0], (at[1] + 6) % 8}); }));
}

TEST_CASE("pad: all modes by NumPy's rules, pads of any size, negative ones crop") {
  std::mt19937 random(4);
  constexpr const char* kModes[] = {"constant", "edge", "reflect", "wrap"};
  for (int round = 0; round < 400; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 1, 4));
    const std::string mode = kModes[round % 4];
    Tensor x = counting(random_shape(random, rank, 4));
    Index pads(2 * rank, 0), kept_from(rank), kept(rank);
    Shape shape(rank);
    for (size_t k = 0; k < rank; ++k) {
      int64_t dim = x.type.shape[k];
      if (pick(random, 0, 2) > 0) pads[k] = pick(random, -(dim - 1) / 2, 5), pads[k + rank] = pick(random, -(dim - 1) / 2, 5);
      kept_from[k] = std::max<int64_t>(0, -pads[k]);
      kept[k] = dim + std::min<int64_t>(0, pads[k]) + std::min<int64_t>(0, pads[k + rank]);
      shape[k] = dim + pads[k] + pads[k + rank];
    }
    Tensor expected = build(shape, [&](Index at) {
      for (size_t k = 0; k < rank; ++k) {
        int64_t i = at[k] - std::max<int64_t>(0, pads[k]), n = kept[k];
        if (mode == "constant" && (i < 0 || i >= n)) return -7;
        while (i < 0 || i >= n) {  // step by step, as a person would fold the index back
          if (mode == "edge") i = i < 0 ? 0 : n - 1;
          else if (mode == "wrap") i += i < 0 ? n : -n;
          else if (n == 1) i = 0;
          else i = i < 0 ? -i : 2 * (n - 1) - i;
        }
        at[k] = i + kept_from[k];
      }
      return element(x, at);
    });
    INFO("round " << round << " " << mode << " " << to_string(x.type) << " " << to_string(pads));
    ValueId value = t.constant(Tensor::of<int32_t>({}, std::vector<int32_t>{-7}));
    REQUIRE(t.import(ops::pad, 19, {t.constant(x), t.constant(Tensor::int64s(pads)), value}, {{"mode", mode}}) == expected);
  }
}

TEST_CASE("pad: attributes before opset 11, axes, zero by default, errors") {
  Bench t;
  Tensor x = Tensor::floats({1, 2}, {1, 2});
  auto list = [&](const Index& v) { return t.constant(Tensor::int64s(v)); };
  CHECK(t.import(ops::pad, 2, {t.constant(x)}, {{"pads", Index{0, 1, 1, 0}}, {"value", 9.0}}) == Tensor::floats({2, 3}, {9, 1, 2, 9, 9, 9}));
  CHECK(t.import(ops::pad, 18, {t.constant(x), list({1, 0}), kNoValue, list({-1})}) == Tensor::floats({1, 3}, {0, 1, 2}));
  CHECK(t.import(ops::pad, 13, {t.constant(x), list({0, -1, 0, 0})}) == Tensor::floats({1, 1}, {2}));
  ValueId input = t.input(DType::f32, {1, 2});
  CHECK(t.run(ops::pad, 13, {input, list({0, 0, 0, 0})})->front() == input);
  CHECK(t.message(ops::pad, 13, {input, list({1, 1})}) == "'pads' has 2 entries for 2 axes, it must have 4.");
  CHECK(t.message(ops::pad, 13, {input, list({0, -2, 0, -1})}) == "pads -2 and -1 remove more than the 2 elements of dimension 1.");
  CHECK(t.message(ops::pad, 13, {input, list({0, 1, 0, 0})}, {{"mode", std::string("mirror")}}) ==
        "mode 'mirror' is none of constant, edge, reflect and wrap.");
  CHECK(t.message(ops::pad, 13, {input, list({0, 1, 0, 0}), list({0})}) == "the padding value is i64[1], it must be one element of f32.");
}

TEST_CASE("gather: any rank of indices, negative ones, both index types") {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 1, 4));
    auto axis = static_cast<size_t>(pick(random, 0, static_cast<int64_t>(rank) - 1));
    Tensor x = counting(random_shape(random, rank, 4));
    int64_t dim = x.type.shape[axis];
    Shape index_shape = random_shape(random, static_cast<size_t>(pick(random, 0, 2)), 3);
    std::vector<int64_t> indices;
    int64_t first = pick(random, 0, dim - 1);
    for (int64_t i = 0; i < element_count(index_shape); ++i)
      indices.push_back(round % 3 == 0 && first + i < dim ? first + i : pick(random, -dim, dim - 1));
    Shape shape(x.type.shape.begin(), x.type.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    shape.insert(shape.end(), index_shape.begin(), index_shape.end());
    shape.insert(shape.end(), x.type.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.type.shape.end());
    Tensor expected = build(shape, [&](const Index& at) {
      int64_t position = 0;
      for (size_t k = 0; k < index_shape.size(); ++k) position = position * index_shape[k] + at[axis + k];
      int64_t i = indices[static_cast<size_t>(position)];
      Index from(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(axis));
      from.push_back(i < 0 ? i + dim : i);
      from.insert(from.end(), at.begin() + static_cast<std::ptrdiff_t>(axis + index_shape.size()), at.end());
      return element(x, from);
    });
    Tensor index = Tensor::of<int64_t>(index_shape, indices);
    if (round % 2) index = Tensor::of<int32_t>(index_shape, std::vector<int32_t>(indices.begin(), indices.end()));
    INFO("round " << round << " " << to_string(x.type) << " axis " << axis << " " << to_string(indices));
    REQUIRE(t.import(ops::gather, 13, {t.constant(x), t.constant(index)}, {{"axis", static_cast<int64_t>(axis)}}) == expected);
  }
}

TEST_CASE("gather: regular indices are slices, indices at run time stay, errors") {
  Bench t;
  ValueId x = t.input(DType::f32, {4, 6});
  auto list = [&](const Index& v) { return t.constant(Tensor::int64s(v)); };
  auto op = [&](const Index& v) { return t.graph.producer(t.run(ops::gather, 13, {x, list(v)}, {{"axis", int64_t{1}}})->front())->op; };
  CHECK(op({5, 3, 1}) == &ops::slice);
  CHECK(op({-1}) == &ops::slice);
  CHECK(op({0, 1, 3}) == &ops::gather);
  CHECK(op({2, 2}) == &ops::gather);
  ValueId scalar = t.constant(Tensor::of<int64_t>({}, Index{2}));
  ValueId row = t.run(ops::gather, 13, {x, scalar})->front();
  CHECK(t.b.shape(row) == Shape{6});
  CHECK(t.graph.producer(row)->op == &ops::reshape);
  ValueId index = t.graph.add_input("i", TensorType{DType::i32, {2, 2}, {}});
  CHECK(t.b.shape(t.run(ops::gather, 13, {x, index}, {{"axis", int64_t{-1}}})->front()) == Shape{4, 2, 2});
  CHECK(t.message(ops::gather, 13, {x, list({0, 4})}) == "index 4 is outside dimension 0 of f32[4,6].");
  CHECK(t.message(ops::gather, 13, {x, x}) == "the indices are f32[4,6], they must be i32 or i64.");
  CHECK(t.message(ops::gather, 13, {x, index}, {{"axis", int64_t{2}}}) == "axis 2 is outside the 2 dimensions of f32[4,6].");
}

TEST_CASE("gather: indices outside of x at run time are cut to it") {
  struct { int32_t outer = 1, axis_dim = 3, inner = 1, indices = 5; } d;
  const int32_t x[] = {10, 20, 30};
  const int64_t index[] = {3, -4, INT64_MAX, INT64_MIN, -1};
  int32_t y[5] = {};
  nn::ref::gather(d, x, index, y);
  CHECK(std::vector<int32_t>(y, y + 5) == std::vector<int32_t>{30, 10, 30, 10, 30});
}

TEST_CASE("expand and tile") {
  std::mt19937 random(6);
  for (int round = 0; round < 200; ++round) {
    Bench t;
    auto rank = static_cast<size_t>(pick(random, 1, 6));
    Tensor x = counting(random_shape(random, rank, rank > 4 ? 2 : 4));
    Index repeats(rank);
    Shape tiled = x.type.shape;
    for (size_t k = 0; k < rank; ++k) tiled[k] *= repeats[k] = pick(random, round % 20 == 0 ? 0 : 1, rank > 4 ? 2 : 3);
    Tensor expected = build(tiled, [&](Index at) {
      for (size_t k = 0; k < rank; ++k) at[k] %= x.type.shape[k];
      return element(x, at);
    });
    REQUIRE(t.import(ops::tile, 13, {t.constant(x), t.constant(Tensor::int64s(repeats))}) == expected);

    size_t lead = rank > 4 ? 0 : static_cast<size_t>(pick(random, 0, 2));
    Shape small = x.type.shape, wide(lead, 2);
    for (size_t k = 0; k < rank; ++k) {
      if (random() % 2) small[k] = 1;
      wide.push_back(small[k] == 1 ? pick(random, 1, 3) : random() % 2 ? 1 : small[k]);
    }
    Shape result = *broadcast(small, wide);
    Tensor source = counting(small);
    expected = build(result, [&](const Index& at) {
      Index from(rank);
      for (size_t k = 0; k < rank; ++k) from[k] = small[k] == 1 ? 0 : at[lead + k];
      return element(source, from);
    });
    REQUIRE(t.import(ops::expand, 13, {t.constant(source), t.constant(Tensor::int64s(wide))}) == expected);
  }
  Bench t;
  ValueId x = t.input(DType::f32, {2, 3});
  CHECK(t.message(ops::expand, 13, {x, t.constant(Tensor::int64s({2, 2}))}) == "f32[2,3] cannot be expanded to [2,2].");
  CHECK(t.message(ops::tile, 13, {x, t.constant(Tensor::int64s({2}))}) == "1 repeats for the 2 dimensions of f32[2,3].");
  CHECK(t.message(ops::tile, 13, {x, t.constant(Tensor::int64s({2, -1}))}) ==
        "dimension 1 is to be repeated -1 times, it must be between 0 and 1073741824.");
  CHECK(t.message(ops::tile, 13, {x, t.constant(Tensor::int64s({1 << 20, 1 << 20}))}) ==
        "shape [2097152,3145728] has more than 1073741824 elements.");
}

TEST_CASE("operators that fold to constants") {
  Bench t;
  ValueId x = t.input(DType::f32, {2, 3, 4});
  auto scalar = [&](auto v) { return t.constant(Tensor::of({}, std::span<const decltype(v)>(&v, 1))); };
  CHECK(t.import(ops::shape, 13, {x}) == Tensor::int64s({2, 3, 4}));
  CHECK(t.import(ops::shape, 15, {x}, {{"start", int64_t{-2}}, {"end", int64_t{9}}}) == Tensor::int64s({3, 4}));
  CHECK(t.import(ops::shape, 15, {x}, {{"start", int64_t{2}}, {"end", int64_t{1}}}).type.shape == Shape{0});
  CHECK(t.import(ops::size, 13, {x}) == Tensor::of<int64_t>({}, Index{24}));
  CHECK(t.import(ops::constant_of_shape, 9, {t.constant(Tensor::int64s({2}))}) == Tensor::floats({2}, {0, 0}));
  CHECK(t.import(ops::constant_of_shape, 9, {t.constant(Tensor::int64s({3}))}, {{"value", Tensor::int64s({5})}}) == Tensor::int64s({5, 5, 5}));
  CHECK(t.import(ops::range, 11, {scalar(1.0f), scalar(2.0f), scalar(0.25f)}) == Tensor::floats({4}, {1, 1.25f, 1.5f, 1.75f}));
  CHECK(t.import(ops::range, 11, {scalar(int64_t{10}), scalar(int64_t{3}), scalar(int64_t{-3})}) == Tensor::int64s({10, 7, 4}));
  CHECK(t.import(ops::range, 11, {scalar(int64_t{3}), scalar(int64_t{3}), scalar(int64_t{1})}).type.shape == Shape{0});
  ValueId square = t.graph.add_input("m", TensorType{DType::f32, {2, 3}, {}});
  CHECK(t.import(ops::eye_like, 9, {square}, {{"k", int64_t{1}}}) == Tensor::floats({2, 3}, {0, 1, 0, 0, 0, 1}));
  CHECK(t.import(ops::eye_like, 9, {square}, {{"dtype", int64_t{7}}}) == Tensor::of<int64_t>({2, 3}, Index{1, 0, 0, 0, 1, 0}));
  CHECK(t.message(ops::range, 11, {scalar(0.0f), scalar(1.0f), scalar(0.0f)}) == "the step is 0.");
  CHECK(t.message(ops::range, 11, {scalar(0.0f), scalar(1e30f), scalar(1.0f)}).find("the limit is 1073741824.") != std::string::npos);
  CHECK(t.message(ops::constant_of_shape, 9, {t.constant(Tensor::int64s({1 << 20, 1 << 20}))}) ==
        "shape [1048576,1048576] has more than 1073741824 elements.");
  CHECK(t.message(ops::eye_like, 9, {x}) == "the input is f32[2,3,4], it must have 2 dimensions.");
}

TEST_CASE("depth to space, space to depth") {
  Bench t;
  const int64_t n = 2, c = 3, h = 2, w = 4, s = 2;
  Tensor x = counting({n, c * s * s, h, w});
  Tensor dcr = build({n, c, h * s, w * s}, [&](const Index& at) {
    return element(x, {at[0], (at[2] % s * s + at[3] % s) * c + at[1], at[2] / s, at[3] / s});
  });
  Tensor crd = build({n, c, h * s, w * s}, [&](const Index& at) {
    return element(x, {at[0], at[1] * s * s + at[2] % s * s + at[3] % s, at[2] / s, at[3] / s});
  });
  CHECK(t.import(ops::depth_to_space, 13, {t.constant(x)}, {{"blocksize", s}}) == dcr);
  CHECK(t.import(ops::depth_to_space, 13, {t.constant(x)}, {{"blocksize", s}, {"mode", std::string("CRD")}}) == crd);
  CHECK(t.import(ops::space_to_depth, 13, {t.constant(dcr)}, {{"blocksize", s}}) == x);
  CHECK(t.message(ops::space_to_depth, 13, {t.constant(x)}, {{"blocksize", int64_t{3}}}) ==
        "blocksize 3 does not divide height and width of i32[2,12,2,4].");
  CHECK(t.message(ops::depth_to_space, 13, {t.constant(x)}, {{"blocksize", int64_t{5}}}) ==
        "blocksize 5 does not divide the channels of i32[2,12,2,4] twice.");
}
