// SPDX-License-Identifier: Apache-2.0
// The rewrite interface of Graph, and the verifier: each of its rules is broken once.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "compiler/ir/parse.h"
#include "compiler/ir/print.h"
#include "compiler/ir/verify.h"
#include "tests/unit/test_ops.h"

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

const TensorType kPair{DType::f32, {2}, {}};

/// %x -> copy -> %a -> copy -> %y
struct Chain {
  Graph graph;
  ValueId x, a, y;
  NodeId first, second;

  Chain() {
    x = graph.add_input("x", kPair);
    first = graph.add_node(test::kCopy, {x}, {}, {kPair}, {"n1"}, "a");
    a = graph.node(first).outputs[0];
    second = graph.add_node(test::kCopy, {a}, {}, {kPair}, {"n2"}, "y");
    y = graph.node(second).outputs[0];
    graph.add_output(y);
  }
};

std::string violation(const Graph& graph, Stage stage = Stage::imported) {
  Status s = verify(graph, stage);
  return s ? "" : s.diagnostic().message;
}

}  // namespace

TEST_CASE("uses, producers and users agree") {
  Chain c;
  CHECK(violation(c.graph) == "");
  CHECK(c.graph.producer(c.a) == &c.graph.node(c.first));
  CHECK(c.graph.producer(c.x) == nullptr);
  CHECK(c.graph.producer(kNoValue) == nullptr);
  CHECK(c.graph.only_user(c.a) == c.second);
  CHECK(c.graph.only_user(c.y) == kNoNode);
  c.graph.add_output(c.a);
  CHECK(c.graph.only_user(c.a) == kNoNode);  // an output counts as a use
  CHECK(c.graph.is_input(c.x));
  CHECK_FALSE(c.graph.is_output(c.x));
}

TEST_CASE("a value used twice by one node has two uses") {
  Chain c;
  c.graph.extend_inputs(c.second, 2, c.a);
  CHECK(c.graph.node(c.second).inputs == std::vector<ValueId>{c.a, kNoValue, c.a});
  CHECK(c.graph.value(c.a).users.size() == 2);
  CHECK(violation(c.graph) == "");
  c.graph.replace_uses(c.a, c.x);
  CHECK(c.graph.value(c.a).users.empty());
  CHECK(c.graph.value(c.x).users.size() == 3);
  CHECK(violation(c.graph) == "");
  c.graph.erase(c.first);
  CHECK_FALSE(c.graph.alive(c.first));
  CHECK(c.graph.value(c.x).users.size() == 2);
  CHECK(violation(c.graph) == "");
}

TEST_CASE("replacing uses reaches graph outputs and hands on the ONNX tensor and its name") {
  Chain c;
  c.graph.set_onnx(c.y, OnnxTensor{"scores", {2}, {}});
  NodeId now = c.graph.add_node(test::kCopy, {c.x}, {}, {kPair}, {"n3"}, "tmp", c.first);
  ValueId v = c.graph.node(now).outputs[0];
  c.graph.replace_uses(c.y, v);
  CHECK(c.graph.outputs()[0] == v);
  CHECK(c.graph.output_name(0) == "y");
  CHECK(c.graph.value(v).name == "y");
  REQUIRE(c.graph.value(v).onnx);
  CHECK(c.graph.value(v).onnx->name == "scores");
  CHECK(violation(c.graph) == "");
}

TEST_CASE("a value that stands for an ONNX tensor keeps it when it replaces another") {
  Chain c;
  c.graph.set_onnx(c.a, OnnxTensor{"a", {2}, {}});
  c.graph.set_onnx(c.y, OnnxTensor{"y", {2}, {}});
  c.graph.replace_uses(c.y, c.a);
  CHECK(c.graph.value(c.a).onnx->name == "a");
  CHECK(c.graph.value(c.a).name == "a");
}

TEST_CASE("nodes are inserted where asked and names stay unique") {
  Chain c;
  NodeId middle = c.graph.add_node(test::kCopy, {c.a}, {}, {kPair}, {"n"}, "a", c.second);
  CHECK(c.graph.order() == std::vector<NodeId>{c.first, middle, c.second});
  CHECK(c.graph.value(c.graph.node(middle).outputs[0]).name == "a_1");
  c.graph.erase(middle);
  c.graph.set_name(c.a, "a_1");  // names of erased nodes are free again
  CHECK(c.graph.value(c.a).name == "a_1");
  c.graph.set_name(c.a, "");
  CHECK(c.graph.value(c.a).name == "value");
  c.graph.set_name(c.a, "y");
  CHECK(c.graph.value(c.a).name == "y_1");
}

TEST_CASE("origins are merged without repeats") {
  Chain c;
  c.graph.add_origin(c.first, {"n1", "n9"});
  CHECK(c.graph.node(c.first).origin == std::vector<std::string>{"n1", "n9"});
}

TEST_CASE("a copy of a graph is independent") {
  Chain c;
  Graph copy = c.graph;
  copy.set_attr(c.first, "mode", std::string("b"));
  copy.set_output(0, c.a);
  copy.erase(c.second);
  CHECK(c.graph.node(c.first).attrs.all().empty());
  CHECK(c.graph.outputs()[0] == c.y);
  CHECK(violation(copy) == "");
  CHECK(violation(c.graph) == "");
}

TEST_CASE("the builder infers types and folds constants unless told not to") {
  Graph graph;
  GraphBuilder builder(graph, {"conv1"});
  ValueId w = builder.add_constant(Tensor::floats({2}, {1, 2}), "w");
  Result<ValueId> folded = builder.add(test::kCopy, {w});
  REQUIRE(folded.ok());
  CHECK(graph.constant(*folded));
  CHECK(graph.value(*folded).name == "w");  // nothing else uses it, so its name is kept
  builder.set_folding(false);
  Result<ValueId> kept = builder.add(test::kCopy, {w});
  REQUIRE(kept.ok());
  CHECK_FALSE(graph.constant(*kept));
  CHECK(graph.type(*kept) == kPair);
  CHECK_FALSE(builder.add(test::kCopy, {kNoValue}).ok());
}

TEST_CASE("the verifier finds what is wrong") {
  Chain c;
  SECTION("a stored type that inference does not give") {
    c.graph.set_type(c.a, TensorType{DType::f32, {3}, {}});
    CHECK_THAT(violation(c.graph), Contains("output 0 is f32[3], inference says f32[2]"));
  }
  SECTION("a use before the definition") {
    NodeId early = c.graph.add_node(test::kCopy, {c.a}, {}, {kPair}, {"n"}, "early", c.first);
    (void)early;
    CHECK_THAT(violation(c.graph), Contains("input a is used before it is defined"));
  }
  SECTION("operands that the operator refuses") {
    c.graph.set_input(c.second, 0, kNoValue);
    CHECK_THAT(violation(c.graph), Contains("an operand is missing"));
  }
  SECTION("a wrong number of results") {
    c.graph.add_node(test::kTwin, {c.x}, {}, {kPair}, {"n"}, "twin");
    CHECK_THAT(violation(c.graph), Contains("1 outputs, inference says 2"));
  }
  SECTION("no outputs") {
    Graph graph;
    graph.add_input("x", kPair);
    CHECK(violation(graph) == "the graph has no outputs.");
  }
  SECTION("an output that nothing defines") {
    Graph graph;
    ValueId x = graph.add_input("x", kPair);
    graph.add_output(x);
    graph.inputs.clear();
    CHECK(violation(graph) == "output x is never defined.");
  }
  SECTION("a value defined twice") {
    c.graph.inputs.push_back(c.a);
    CHECK(violation(c.graph) == "value a is defined twice.");
  }
  SECTION("an operator that is not core") {
    OpDef onnx_only = test::kCopy;
    onnx_only.name = "";
    c.graph.add_node(onnx_only, {c.x}, {}, {kPair}, {"n"}, "z");
    CHECK_THAT(violation(c.graph), Contains("not a core operator"));
  }
  SECTION("constant operands from the canonical stage on") {
    ValueId w = c.graph.add_constant("w", Tensor::floats({2}, {1, 2}));
    c.graph.add_node(test::kCopy, {w}, {}, {kPair}, {"n"}, "z");
    CHECK(violation(c.graph) == "");
    CHECK_THAT(violation(c.graph, Stage::canonical), Contains("all inputs are constant"));
  }
}

TEST_CASE("nodes keep their order through insertions and erasures") {
  Chain c;
  std::vector<NodeId> expected{c.first, c.second};
  std::mt19937 random(2);
  for (int i = 0; i < 300; ++i) {
    // Mostly at one place, where the numbers between neighbours run out.
    const size_t at = random() % 8 ? expected.size() - 1 : random() % expected.size();
    expected.insert(expected.begin() + static_cast<std::ptrdiff_t>(at), c.graph.add_node(test::kCopy, {c.graph.inputs[0]}, {}, {kPair}, {"n"}, "n", expected[at]));
    if (i % 5 == 4) {
      const size_t gone = random() % expected.size();
      if (expected[gone] == c.first || expected[gone] == c.second) continue;
      c.graph.erase(expected[gone]);
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(gone));
    }
  }
  CHECK(c.graph.order() == expected);
  for (size_t i = 1; i < expected.size(); ++i) CHECK(c.graph.is_before(expected[i - 1], expected[i]));
}
