// SPDX-License-Identifier: Apache-2.0
// The text form of graphs: printing, parsing, and that one undoes the other.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "compiler/ir/dot.h"
#include "compiler/ir/parse.h"
#include "compiler/ir/print.h"
#include "compiler/ir/random_tensor.h"
#include "tests/unit/test_ops.h"

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

/// Parses, prints, and expects the same text.
void check_fixed_point(const std::string& text, const PrintOptions& options = {}) {
  Result<Graph> graph = parse_graph(text, test::table());
  INFO(text);
  REQUIRE((graph.ok() ? "" : graph.diagnostic().message) == "");
  CHECK(print_graph(*graph, options) == text);
}

std::string error_of(const std::string& text) {
  Result<Graph> graph = parse_graph(text, test::table());
  REQUIRE(!graph.ok());
  CHECK(graph.diagnostic().id == DiagId::bad_ir_text);
  return graph.diagnostic().message;
}

/// A graph whose body is `body`, which must define %y.
std::string with_body(const std::string& body) { return "graph @g (%x: f32[2]) -> (%y) {\n" + body + "\n}\n"; }

Tensor constant_of(const std::string& literal, const std::string& type) {
  Result<Graph> graph = parse_graph(with_body("const %y: " + type + " = " + literal), test::table());
  INFO(literal);
  REQUIRE((graph.ok() ? "" : graph.diagnostic().message) == "");
  return *graph->constant(graph->outputs()[0]);
}

}  // namespace

TEST_CASE("printed graphs parse back to the same text") {
  check_fixed_point(R"(graph @kws (%image: f32[1,1,8,8], %state: i8[4] quant(scale=0.5, zero=-3)) -> (%y, %state as "state:0", %y) {
  const %w: f32[2,2] = [1, -2.5, 1e-30, 3]
  const %b: f32[8] = splat 0.1
  const %e: f32[0,3] = []
  const %q: i8[2,3] quant(scale=[0.5, 0.25], zero=[0, 1], axis=0) = [-128, 127, 0, 1, 2, 3]
  %"a:0": f32[1,1,8,8], %b2: f32[1,1,8,8] = twin(%image, %w, _, %b, %e, %q)  // "node \"one\"", "two\\2"
  %y: f32[1,1,8,8] = copy(%"a:0", %b2) {alpha=0.5, axes=[0, -1], axis=-2, big=1e+300, empty=reals [], inf=-inf, mode="re\x0aflect", names=["a", "b"], none=ints [], one=1.0, t=tensor i64[2] [1, -9223372036854775808], words=strings []}
}
)");
  check_fixed_point("graph @\"a b\" () -> (%c) {\n  const %c: bool[2] = [0, 1]\n}\n");
}

TEST_CASE("onnx tensors are printed on demand and parse back") {
  PrintOptions options;
  options.onnx_tensors = true;
  check_fixed_point(R"(graph @g (%x: f32[1,4,4,3] onnx("in put", [1,3,4,4], perm=[0,2,3,1])) -> (%y) {
  %y: f32[1,4,4,3] onnx("out", [1,48]) = copy(%x)
}
)", options);
}

TEST_CASE("constants keep every bit") {
  SECTION("floats") {
    Tensor t = Tensor::floats({6}, {0.1f, -0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::denorm_min(), 16777217.0f, -3e38f});
    Graph g;
    g.add_output(g.add_constant("c", t));
    Result<Graph> back = parse_graph(print_graph(g), test::table());
    REQUIRE(back.ok());
    CHECK(*back->constant(back->outputs()[0]) == t);
  }
  SECTION("not a number keeps its payload") {
    Tensor t(TensorType{DType::f32, {2}, {}});
    t.as<uint32_t>()[0] = 0x7fc12345u;
    Graph g;
    g.add_output(g.add_constant("c", t));
    Result<Graph> back = parse_graph(print_graph(g), test::table());
    REQUIRE(back.ok());
    CHECK(*back->constant(back->outputs()[0]) == t);
  }
  SECTION("every type, short and long") {
    for (const char* type : {"f32", "f64", "f16", "bf16", "i4", "u4", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "bool"}) {
      for (int64_t count : {1, 7, 200}) {
        Tensor t = random_tensor(TensorType{*dtype_from_name(type), {count}, {}}, 7);
        Graph g;
        g.add_output(g.add_constant("c", t));
        Result<Graph> back = parse_graph(print_graph(g), test::table());
        INFO(print_graph(g));
        REQUIRE(back.ok());
        CHECK(*back->constant(back->outputs()[0]) == t);
      }
    }
  }
}

TEST_CASE("literals of hand-written graphs") {
  CHECK(constant_of("splat 0.5", "f32[3]") == Tensor::floats({3}, {0.5f, 0.5f, 0.5f}));
  CHECK(constant_of("hex \"0000803f\"", "f32[1]") == Tensor::floats({1}, {1.0f}));
  CHECK(constant_of("18446744073709551615", "u64[]").as<uint64_t>()[0] == std::numeric_limits<uint64_t>::max());
  CHECK(constant_of("random 42", "f32[5]") == random_tensor(TensorType{DType::f32, {5}, {}}, 42));
  CHECK_FALSE(random_tensor(TensorType{DType::f32, {5}, {}}, 42) == random_tensor(TensorType{DType::f32, {5}, {}}, 43));
}

TEST_CASE("types may be left out, comments are skipped, the origin defaults to the name") {
  Result<Graph> g = parse_graph("; golden header\n" + with_body("%a = copy(%x) // no origin\n%b, %c = twin(%a) // \"n1\", \"n2\"\n%y = copy(%b)"), test::table());
  REQUIRE(g.ok());
  std::vector<NodeId> order = g->order();
  REQUIRE(order.size() == 3);
  CHECK(g->node(order[0]).origin == std::vector<std::string>{"a"});
  CHECK(g->node(order[1]).origin == std::vector<std::string>{"n1", "n2"});
  CHECK(print_type(g->type(g->outputs()[0])) == "f32[2]");
}

TEST_CASE("people's option elides constants") {
  Graph g;
  g.add_output(g.add_constant("c", random_tensor(TensorType{DType::f32, {32, 32}, {}}, 1)));
  PrintOptions options;
  options.elide_constants = true;
  CHECK_THAT(print_graph(g, options), Contains("const %c: f32[32,32] = <1024 elements>"));
  CHECK_THAT(error_of(print_graph(g, options)), Contains("2:26: the elements of this constant were elided"));
}

TEST_CASE("errors name line and column") {
  CHECK(error_of("") == "1:1: expected 'graph'.");
  CHECK(error_of("graph @g (%x: f33[2]) -> (%x) {}") == "1:15: unknown element type 'f33'.");
  CHECK(error_of("graph @g (%x) -> (%x) {}") == "1:11: input %x needs a type.");
  CHECK(error_of("graph @g (%x: f32[2]) -> (%x) {} x") == "1:34: text after the end of the graph.");
  CHECK(error_of("graph @g (%x: f32[2]) -> (%x) {") == "1:32: the text ends where '}' is expected.");
  CHECK(error_of(with_body("%y = copy(%z)")) == "2:11: value %z is not defined.");
  CHECK(error_of(with_body("%z = copy(%x)")) == "1:27: value %y is not defined.");
  CHECK(error_of(with_body("%x = copy(%x)")) == "2:1: value %x is defined twice.");
  CHECK(error_of(with_body("%y, %y = twin(%x)")) == "2:5: value %y is defined twice.");
  CHECK(error_of(with_body("%y, %z = copy(%x)")) == "2:10: 'copy' has 1 results here, 2 are named.");
  CHECK(error_of(with_body("%y = copy()")) == "2:6: copy: an operand is missing.");
  CHECK(error_of(with_body("%y = blur(%x)")) == "2:6: unknown operator 'blur'.");
  CHECK(error_of(with_body("%y: f32[3] = copy(%x)")) == "2:1: %y is given as f32[3], inference says f32[2].");
  CHECK(error_of(with_body("%y = copy(%x) {a=1, a=2}")) == "2:21: attribute 'a' is given twice.");
  CHECK(error_of(with_body("%y = copy(%x) {a=[]}")) == "2:18: an empty list needs its kind: ints [], reals [] or strings [].");
  CHECK(error_of(with_body("%y = copy(%x) {a=[1, \"b\"]}")) == "2:18: a list mixes integers, reals or strings.");
  CHECK(error_of(with_body("%y = copy(%x) {a=\"b}")) == "2:18: the string does not end on its line.");
  CHECK(error_of(with_body("%y = copy(%x) {a=\"\\q\"}")) == "2:20: unknown escape in a string.");
  CHECK(error_of(with_body("%y = copy(%x) {a=99999999999999999999}")) == "2:18: '99999999999999999999' is not an integer of this type.");
  CHECK(error_of(with_body("const %y = [1]")) == "2:7: constant %y needs a type.");
  CHECK(error_of(with_body("const %y: f32[2] = [1]")) == "2:20: 1 elements are given, f32[2] has 2.");
  CHECK(error_of(with_body("const %y: f32[1] = hex \"00\"")) == "2:20: 2 hexadecimal digits are given, f32[1] takes 8.");
  CHECK(error_of(with_body("const %y: u8[1] = hex \"0g\"")) == "2:19: a character of the string is not a hexadecimal digit.");
  CHECK(error_of(with_body("const %y: i8[1] = [128]")) == "2:20: '128' is not an integer of this type.");
  CHECK(error_of(with_body("const %y: u4[1] = [16]")) == "2:20: '16' is not a value of u4.");
  CHECK(error_of(with_body("const %y: f32[-1] = [1]")) == "2:14: shape [-1] has a negative dimension.");
  Result<Graph> huge = parse_graph("graph @g (%x: f32[99999,99999]) -> (%x) {}", test::table());
  REQUIRE(!huge.ok());
  CHECK(huge.diagnostic().id == DiagId::limit_exceeded);
}

TEST_CASE("every truncation of a text is refused without harm") {
  std::string text = print_graph(*parse_graph(
      with_body("const %w: i8[2,2] quant(scale=[1, 2], zero=[0, 0], axis=1) = [1, 2, 3, 4]\n%y: f32[2] = copy(%x, %w, _) {a=[1], s=\"\\x41\", t=tensor f32[1] [1]} // \"o\""), test::table()));
  for (size_t n = 0; n + 2 < text.size(); ++n) CHECK_FALSE(parse_graph(text.substr(0, n), test::table()).ok());
}

TEST_CASE("dot names nodes, attributes, constants and types") {
  Result<Graph> g = parse_graph(with_body("const %w: f32[9] = random 1\n%y = copy(%x, %w) {mode=\"a\"} // \"conv \\\"1\\\"\""), test::table());
  REQUIRE(g.ok());
  std::string dot = graph_to_dot(*g);
  CHECK_THAT(dot, Contains("digraph \"g\" {"));
  CHECK_THAT(dot, Contains(R"(n0 [label="copy\lmode=\"a\"\lconst f32[9]\lconv \"1\"\l"];)"));
  CHECK_THAT(dot, Contains(R"(v0 -> n0 [label="f32[2]"];)"));
  CHECK_THAT(dot, Contains(R"(n0 -> o0 [label="f32[2]"];)"));
}
