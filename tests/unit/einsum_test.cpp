// SPDX-License-Identifier: Apache-2.0
// Einsum against its definition: for every index of the result, the sum over all other labels of the products of the operands.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "compiler/ops/evaluate.h"
#include "tests/unit/op_bench.h"

using namespace kiln;

namespace {

struct Terms {
  std::vector<std::string> operands;
  std::string result;
};

/// Ellipses are spelled out as digits before they get here: every character is a label.
Terms split(const std::string& text) {
  Terms terms;
  const size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  for (size_t begin = 0; begin <= left.size();) {
    const size_t end = std::min(left.find(',', begin), left.size());
    terms.operands.push_back(left.substr(begin, end - begin));
    begin = end + 1;
  }
  terms.result = text.substr(arrow + 2);
  return terms;
}

double at(const std::vector<double>& values, const Shape& shape, const std::string& labels, const std::map<char, int64_t>& index) {
  int64_t position = 0;
  for (size_t d = 0; d < labels.size(); ++d) position = position * shape[d] + (shape[d] == 1 ? 0 : index.at(labels[d]));
  return values[static_cast<size_t>(position)];
}

std::vector<double> expected_of(const Terms& terms, const std::vector<Tensor>& operands) {
  std::map<char, int64_t> sizes;
  std::vector<std::vector<double>> values;
  for (size_t i = 0; i < operands.size(); ++i) {
    values.push_back(operands[i].to_doubles());
    for (size_t d = 0; d < terms.operands[i].size(); ++d)
      sizes[terms.operands[i][d]] = std::max(sizes[terms.operands[i][d]], operands[i].type.shape[d]);
  }
  std::string order = terms.result;
  for (const auto& [label, size] : sizes)
    if (order.find(label) == std::string::npos) order += label;
  Shape all, result;
  for (char label : order) all.push_back(sizes[label]);
  for (char label : terms.result) result.push_back(sizes[label]);
  std::vector<double> out(static_cast<size_t>(element_count(result)), 0);
  const auto inner = static_cast<size_t>(element_count(all) / element_count(result));
  size_t n = 0;
  for_each_index(all, [&](const Index& position) {
    std::map<char, int64_t> index;
    for (size_t d = 0; d < order.size(); ++d) index[order[d]] = position[d];
    double product = 1;
    for (size_t i = 0; i < operands.size(); ++i) product *= at(values[i], operands[i].type.shape, terms.operands[i], index);
    out[n++ / inner] += product;
  });
  return out;
}

/// Evaluates `equation` on small whole numbers, for which floats are exact; the operands in `constant` are so.
void check(const std::string& equation, const std::string& spelled_out, const std::vector<Shape>& shapes, DType dtype, uint32_t constant,
           const Shape& result) {
  std::mt19937 random(7);
  Bench t;
  std::vector<Tensor> operands, data;
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < shapes.size(); ++i) {
    Tensor x(TensorType{dtype, shapes[i], {}});
    with_storage_type(dtype, [&]<class T>() {
      for (T& v : x.as<T>()) v = static_cast<T>(pick(random, -3, 3));
    });
    inputs.push_back(constant >> i & 1u ? t.constant(x) : t.input(dtype, shapes[i]));
    if (!(constant >> i & 1u)) data.push_back(x);
    operands.push_back(std::move(x));
  }
  ImportResult y = t.run(ops::einsum, 12, inputs, {{"equation", equation}});
  INFO(equation << (y ? "" : ": " + y.diagnostic().message));
  REQUIRE(y.ok());
  t.graph.add_output(y->front());
  Result<std::vector<Tensor>> out = evaluate(t.graph, data);
  REQUIRE(out.ok());
  CHECK(out->front().type == TensorType{dtype, result, {}});
  CHECK(out->front().to_doubles() == expected_of(split(spelled_out), operands));
}

}  // namespace

TEST_CASE("Einsum sums the products over all labels that the result lacks") {
  struct Case {
    const char *equation, *spelled_out;
    std::vector<Shape> shapes;
    Shape result;
  };
  const Case cases[] = {
      {"ij->ji", "ij->ji", {{2, 3}}, {3, 2}},
      {"ij", "ij->ij", {{2, 3}}, {2, 3}},
      {"ba", "ba->ab", {{2, 3}}, {3, 2}},
      {"ij->", "ij->", {{2, 3}}, {}},
      {"ii->i", "ii->i", {{3, 3}}, {3}},
      {"iij->j", "iij->j", {{3, 3, 2}}, {2}},
      {"iii", "iii->", {{3, 3, 3}}, {}},
      {"...ii->...i", "0ii->0i", {{2, 3, 3}}, {2, 3}},
      {"ik,kj->ij", "ik,kj->ij", {{2, 3}, {3, 4}}, {2, 4}},
      {"ik,kj", "ik,kj->ij", {{2, 3}, {3, 4}}, {2, 4}},
      {"ik,jk->ji", "ik,jk->ji", {{2, 3}, {4, 3}}, {4, 2}},
      {"bij, bjk -> bik", "bij,bjk->bik", {{2, 3, 2}, {2, 2, 4}}, {2, 3, 4}},
      {"bhid,bhjd->bhij", "bhid,bhjd->bhij", {{1, 2, 3, 4}, {1, 2, 5, 4}}, {1, 2, 3, 5}},
      {"bhij,bhjd->bihd", "bhij,bhjd->bihd", {{2, 2, 3, 4}, {2, 2, 4, 2}}, {2, 3, 2, 2}},
      {"i,j->ij", "i,j->ij", {{2}, {3}}, {2, 3}},
      {"i,i->", "i,i->", {{3}, {3}}, {}},
      {"i,i->i", "i,i->i", {{3}, {3}}, {3}},
      {"ij,k->i", "ij,k->i", {{2, 3}, {4}}, {2}},
      {"...ij,...jk->...ik", "01ij,1jk->01ik", {{2, 3, 2, 2}, {3, 2, 2}}, {2, 3, 2, 2}},
      {"i...,...->...i", "i0,0->0i", {{2, 3}, {3}}, {3, 2}},
      {"ij,jk->ik", "ij,jk->ik", {{2, 1}, {3, 2}}, {2, 2}},
      {"ij,ij->ij", "ij,ij->ij", {{2, 1}, {1, 3}}, {2, 3}},
      {"ij,jk,kl->il", "ij,jk,kl->il", {{2, 3}, {3, 2}, {2, 4}}, {2, 4}},
      {"i,ij,j->", "i,ij,j->", {{2}, {2, 3}, {3}}, {}},
      {",ij->ij", ",ij->ij", {{}, {2, 3}}, {2, 3}},
      {"bmchw,bnmc->bmhwn", "bmchw,bnmc->bmhwn", {{1, 2, 3, 2, 2}, {1, 4, 2, 3}}, {1, 2, 2, 2, 4}},
  };
  for (const Case& c : cases)
    for (DType dtype : {DType::f32, DType::f64, DType::i32})
      for (uint32_t constant : {0u, 1u, 2u, 7u}) check(c.equation, c.spelled_out, c.shapes, dtype, constant, c.result);
}

TEST_CASE("a constant operand of Einsum becomes the weights of a layer") {
  for (bool first : {true, false}) {
    Bench t;
    ValueId x = t.input(DType::f32, {2, 5, 3}), w = t.constant(Tensor({DType::f32, {3, 4}, {}}));
    REQUIRE(t.run(ops::einsum, 12, first ? std::vector{w, x} : std::vector{x, w},
                  {{"equation", std::string(first ? "kn,bik->bin" : "bik,kn->bin")}})
                .ok());
    bool has_dense = false;
    for (NodeId id : t.graph.order()) has_dense = has_dense || t.graph.node(id).op == &ops::dense;
    CHECK(has_dense);
  }
}

TEST_CASE("equations that say nothing are refused") {
  auto message = [](const std::string& equation, const std::vector<Shape>& shapes) {
    Bench t;
    std::vector<ValueId> inputs;
    for (const Shape& shape : shapes) inputs.push_back(t.input(DType::f32, shape));
    return t.message(ops::einsum, 12, inputs, {{"equation", equation}});
  };
  auto contains = [](const std::string& text) { return Catch::Matchers::Contains(text); };
  CHECK_THAT(message("ij->ij", {{2}}), contains("term 'ij' of the equation does not fit an operand of 1 dimensions."));
  CHECK_THAT(message("ij,jk->ik", {{2, 3}}), contains("has 2 terms, the node has 1 operands."));
  CHECK_THAT(message("ij", {{2, 3}, {2}}), contains("has 1 terms, the node has 2 operands."));
  CHECK_THAT(message("ij,jk->ik", {{2, 3}, {4, 2}}), contains("one label of the equation has 3 and 4 indices."));
  CHECK_THAT(message("ij->ik", {{2, 3}}), contains("must have labels of the operands, each once."));
  CHECK_THAT(message("ij->ii", {{2, 3}}), contains("must have labels of the operands, each once."));
  CHECK_THAT(message("i1->i", {{2, 3}}), contains("must consist of letters and one '...'."));
  CHECK_THAT(message("......", {{2, 3}}), contains("of the equation"));
}
