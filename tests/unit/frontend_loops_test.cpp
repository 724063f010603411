// SPDX-License-Identifier: Apache-2.0
// ONNX import: graphs within nodes (If, Loop, Scan, SequenceMap), sequences and optionals.
#include "compiler/ir/limits.h"
#include "compiler/ops/evaluate.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// A model in ONNX text, which cannot leave out the first input of a node: "none" stands for that.
Imported import_text(const std::string& graph, int opset) {
  onnx::ModelProto model = graph_model(graph, opset);
  for (onnx::NodeProto& node : *model.mutable_graph()->mutable_node())
    for (std::string& input : *node.mutable_input())
      if (input == "none") input.clear();
  return import_proto(model);
}

/// The outputs of such a model for these inputs.
std::vector<Tensor> run(const std::string& graph, const std::vector<Tensor>& inputs, int opset = 13) {
  Imported m = import_text(graph, opset);
  INFO(m.text());
  REQUIRE(m.model);
  Result<std::vector<Tensor>> out = evaluate(m.graph(), inputs);
  REQUIRE(out.ok());
  return *std::move(out);
}

void check_refused(const std::string& graph, const std::string& why, int opset = 13) {
  Imported m = import_text(graph, opset);
  CHECK_FALSE(m.model);
  CHECK(m.errors().size() == 1);
  CHECK_THAT(m.text(), Catch::Matchers::Contains(why));
}

Tensor floats(Shape shape, const std::vector<float>& values) { return Tensor::floats(std::move(shape), values); }

}  // namespace

TEST_CASE("small branches of an If with a computed condition are both computed", "[frontend]") {
  const std::string graph =
      "agraph (float[2] x, bool[1] c) => (float[2] y, float[2] z) { y, z = If (c) <"
      "then_branch = g1 () => (float[2] u, float[2] v) { u = Neg(x) v = Abs(x) }, else_branch = g2 () => (float[2] w, float[2] v) { w = "
      "Relu(x) v = Abs(w) }> }";
  for (bool chosen : {false, true}) {
    Tensor c(TensorType{DType::boolean, {1}, {}});
    c.as<uint8_t>()[0] = chosen;
    std::vector<Tensor> out = run(graph, {floats({2}, {-1, 2}), c});
    CHECK(out[0] == floats({2}, chosen ? std::vector<float>{1, -2} : std::vector<float>{0, 2}));
    CHECK(out[1] == floats({2}, chosen ? std::vector<float>{1, 2} : std::vector<float>{0, 2}));
  }
  check_refused(
      "agraph (float[2] x, bool c) => (float[N] y) { y = If (c) <then_branch = g1 () => (float[2] u) { u = Neg(x) }, "
      "else_branch = g2 () => (float[1] w) { w = ReduceSum(x) }> }",
      "output 0 is f32[2] or f32[1]; shapes must be known.");
  std::string chain = "u0 = Neg(x)";
  for (int i = 0; i < limits::kBranchNodes; ++i) chain += fmt::format(" u{} = Neg(u{})", i + 1, i);
  check_refused(fmt::format("agraph (float[2] x, bool c) => (float[2] y) {{ y = If (c) <then_branch = g1 () => (float[2] u{}) {{ {} }}, "
                            "else_branch = g2 () => (float[2] w) {{ w = Relu(x) }}> }}",
                            limits::kBranchNodes, chain),
                "up to 64 both branches are computed");
}

TEST_CASE("an If with a constant condition within a branch sees the values around both", "[frontend]") {
  std::vector<Tensor> out =
      run("agraph (float[2] x) => (float[2] y) <bool t = {1}, bool f = {0}> { a = Neg(x) y = If (t) <"
          "then_branch = g1 () => (float[2] u) { b = Abs(a) u = If (f) <then_branch = g3 () => (float[2] p) { p = Relu(b) }, "
          "else_branch = g4 () => (float[2] q) { q = Add(a, b) }> }, else_branch = g2 () => (float[2] w) { w = Relu(x) }> }",
          {floats({2}, {-1, 2})});
  CHECK(out[0] == floats({2}, {2, 0}));
}

TEST_CASE("a Loop with a constant trip count is unrolled", "[frontend]") {
  const std::string body =
      "<body = b (int64 i, bool cond, float[2] v) => (bool keep, float[2] w, float[2] out) { n = Cast <to = 1> (i) w = Add(v, n) out = "
      "Mul(w, x) three = Constant <value = int64 {3}> () "
      "more = Less(i, three) keep = And(more, cond) }>";
  // Iterations 0 to 4, the condition ends it behind number 3.
  std::vector<Tensor> out =
      run("agraph (float[2] x) => (float[2] y, float[4,2] all) <int64 m = {5}, bool c = {1}> { y, all = Loop (m, c, x) " + body + " }",
          {floats({2}, {1, 2})});
  CHECK(out[0] == floats({2}, {7, 8}));
  CHECK(out[1] == floats({4, 2}, {1, 4, 2, 6, 4, 10, 7, 16}));
  // Without a trip count the condition alone decides; without a condition the trip count does, until the body's own says stop.
  CHECK(run("agraph (float[2] x) => (float[2] y) <bool c = {1}> { y, all = Loop (none, c, x) " + body + " }", {floats({2}, {1, 2})})[0] ==
        floats({2}, {7, 8}));
  CHECK(run("agraph (float[2] x) => (float[2] y) <int64 m = {2}> { y, all = Loop (m, none, x) " + body + " }", {floats({2}, {1, 2})})[0] ==
        floats({2}, {2, 3}));
  // No iteration at all: what is carried stays as it is.
  CHECK(run("agraph (float[2] x) => (float[2] y) <int64 m = {0}> { z, all = Loop (m, none, x) " + body + " y = Neg(z) }",
            {floats({2}, {1, 2})})[0] == floats({2}, {-1, -2}));
}

TEST_CASE("a Loop that cannot be unrolled is refused", "[frontend]") {
  const std::string body =
      "<body = b (int64 i, bool cond, float[2] v) => (bool keep, float[2] w, float[2] out) { keep = Identity(cond) w = Add(v, x) out = "
      "Neg(w) }>";
  check_refused("agraph (float[2] x, int64 m) => (float[2] y) { y, all = Loop (m, none, x) " + body + " }",
                "the trip count is computed at run time");
  check_refused("agraph (float[2] x, bool c) => (float[2] y) { y, all = Loop (none, c, x) " + body + " }",
                "the condition of the loop is computed at run time");
  check_refused("agraph (float[2] x) => (float[2] y) { y, all = Loop (none, none, x) " + body + " }", "it would not end");
  check_refused("agraph (float[2] x) => (float[2] y) <int64 m = {1000000000}> { y, all = Loop (m, none, x) " + body + " }",
                "would make more than 10000 iterations");
  check_refused("agraph (float[2] x) => (float[2] y) <bool c = {1}> { y, all = Loop (none, c, x) " + body + " }",
                "would make more than 10000 iterations");
  check_refused(
      "agraph (float[2] x) => (float[2] z) <int64 m = {0}> { y, all = Loop (m, none, x) " + body + " s = ReduceSum(all) z = Add(y, s) }",
      "its scan outputs have no shape");
  check_refused("agraph (float[2] x) => (float[2] y) <int64 m = {2}> { y, all = Loop (m, none, x, x) " + body + " }", "it needs 4");
  // What is wrong in the body is said once, not for each iteration.
  check_refused(
      "agraph (float[2] x) => (float[2] y) <int64 m = {5}> { y = Loop (m, none, x) <body = b (int64 i, bool cond, float[2] v) => (bool "
      "cond, float[2] w) { w = Add(v, nowhere) }> }",
      "nowhere");
}

TEST_CASE("Scan is unrolled along its axes and directions", "[frontend]") {
  // Running sums over columns from the right; the results are stacked from the right too, as columns.
  std::vector<Tensor> out =
      run("agraph (float[2,3] x) => (float[2] s, float[2,3] y) <float[2] zero = {0, 0}> { s, y = Scan <num_scan_inputs = 1, "
          "scan_input_axes = [1], scan_input_directions = [1], "
          "scan_output_axes = [-1], scan_output_directions = [1], body = b (float[2] sum, float[2] column) => (float[2] next, float[2] "
          "out) { next = Add(sum, column) out = Identity(next) }> (zero, x) }",
          {floats({2, 3}, {1, 2, 3, 4, 5, 6})});
  CHECK(out[0] == floats({2}, {6, 15}));
  CHECK(out[1] == floats({2, 3}, {6, 5, 3, 15, 11, 6}));
  // Opset 8: a batch in front, and lengths, which are not supported.
  const std::string old =
      "<num_scan_inputs = 1, body = b (float[1] sum, float[1] v) => (float[1] next, float[1] out) { next = Add(sum, v) out = "
      "Identity(next) }>";
  out = run("agraph (float[2,1] z, float[2,3,1] x) => (float[2,1] s, float[2,3,1] y) { s, y = Scan " + old + " (none, z, x) }",
            {floats({2, 1}, {0, 10}), floats({2, 3, 1}, {1, 2, 3, 4, 5, 6})}, 8);
  CHECK(out[0] == floats({2, 1}, {6, 25}));
  CHECK(out[1] == floats({2, 3, 1}, {1, 3, 6, 14, 19, 25}));
  check_refused(
      "agraph (float[2,1] z, float[2,3,1] x) => (float[2,1] s, float[2,3,1] y) <int64[2] n = {3, 2}> { s, y = Scan " + old + " (n, z, x) }",
      "sequence lengths of Scan", 8);
}

TEST_CASE("sequences fold away", "[frontend]") {
  std::vector<Tensor> out = run(
      "agraph (float[2] a, float[2] b) => (float[2] first, float[2] last, int64 n, float[4] joined, float[2,2] stacked) <int64 zero = {0}, "
      "int64 end = {-1}> {"
      " s = SequenceConstruct(a, b) t = SequenceInsert(s, a) u = SequenceInsert(t, b, zero) v = SequenceErase(u, zero) w = SequenceErase(v)"
      " first = SequenceAt(u, zero) last = SequenceAt(v, end) n = SequenceLength(u) joined = ConcatFromSequence <axis = 0> (w) stacked = "
      "ConcatFromSequence <axis = -1, new_axis = 1> (w) }",
      {floats({2}, {1, 2}), floats({2}, {3, 4})});
  CHECK(out[0] == floats({2}, {3, 4}));
  CHECK(out[1] == floats({2}, {1, 2}));
  CHECK(out[2] == Tensor::int64s({4}).reshaped({}));
  CHECK(out[3] == floats({4}, {1, 2, 3, 4}));
  CHECK(out[4] == floats({2, 2}, {1, 3, 2, 4}));
}

TEST_CASE("a tensor is split into a sequence, by one length or several", "[frontend]") {
  const Tensor x = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  auto part = [&](const std::string& split, const std::string& attributes, const std::string& shape, int at) {
    return run(
        fmt::format("agraph (float[3,2] x) => (float{} y) <int64 at = {{{}}}{}> {{ s = SplitToSequence <{}> (x{}) y = SequenceAt(s, at) }}",
                    shape, at, split.empty() ? "" : ", int64" + split, attributes, split.empty() ? "" : ", k"),
        {x})[0];
  };
  CHECK(part("", "axis = 0", "[1,2]", 1) == floats({1, 2}, {3, 4}));
  CHECK(part("", "axis = 1, keepdims = 0", "[3]", 1) == floats({3}, {2, 4, 6}));
  CHECK(part(" k = {2}", "axis = 0", "[1,2]", 1) == floats({1, 2}, {5, 6}));
  CHECK(part("[2] k = {1, 2}", "axis = 0", "[2,2]", 1) == floats({2, 2}, {3, 4, 5, 6}));
  check_refused("agraph (float[3,2] x) => (float[1,2] y) <int64 at = {3}> { s = SplitToSequence(x) y = SequenceAt(s, at) }",
                "position 3 is outside a sequence of 3.");
  check_refused("agraph (float[3,2] x, int64 at) => (float[1,2] y) { s = SplitToSequence(x) y = SequenceAt(s, at) }",
                "the position in the sequence is computed at run time");
  check_refused(
      "agraph (float[3,2] x) => (float[1,2] y) <int64[2] k = {1, 1}> { s = SplitToSequence(x, k) y = ConcatFromSequence <axis = 0> (s) }",
      "does not divide a dimension of 3");
}

TEST_CASE("a Loop may carry a sequence", "[frontend]") {
  std::vector<Tensor> out =
      run("agraph (float[2] x) => (float[3,2] y) <int64 m = {3}> { e = SequenceEmpty() s = Loop (m, none, e) <body = b (int64 i, bool "
          "cond, float[2] list) => (bool cond, float[2] longer) "
          "{ n = Cast <to = 1> (i) v = Mul(x, n) same = Identity(list) longer = SequenceInsert(same, v) }> y = ConcatFromSequence <axis = "
          "0, new_axis = 1> (s) }",
          {floats({2}, {1, 2})});
  CHECK(out[0] == floats({3, 2}, {0, 0, 1, 2, 2, 4}));
}

TEST_CASE("SequenceMap applies its body to each element", "[frontend]") {
  std::vector<Tensor> out =
      run("agraph (float[2] a, float[2] b) => (float[2,2] y) { s = SequenceConstruct(a, b) t = SequenceMap (s, a) <body = g (float[2] p, "
          "float[2] q) => (float[2] r) { r = Sub(p, q) }> "
          "y = ConcatFromSequence <axis = 0, new_axis = 1> (t) }",
          {floats({2}, {1, 2}), floats({2}, {5, 7})}, 17);
  CHECK(out[0] == floats({2, 2}, {0, 0, 4, 5}));
}

TEST_CASE("optionals are their element or nothing", "[frontend]") {
  CHECK(run("agraph (float[2] x) => (float[2] y) { o = Optional(x) there = OptionalHasElement(o) v = OptionalGetElement(o) y = If (there) <"
            "then_branch = g1 () => (float[2] u) { u = Neg(v) }, else_branch = g2 () => (float[2] w) { w = Nonsense(x) }> }",
            {floats({2}, {1, 2})}, 15)[0] == floats({2}, {-1, -2}));
  check_refused("agraph (float[2] x) => (float[2] y) { s = SequenceConstruct(x) y = Relu(s) }", "Relu of a sequence is not supported.");
  check_refused("agraph (float[2] x) => (float[2] y) { y = SequenceConstruct(x) }", "output 'y' is no tensor");
  check_refused("agraph (float[2] x) => (float[2] y) { y = SequenceAt(x, x) }", "input 0 is no sequence.");
}
