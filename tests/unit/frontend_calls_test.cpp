// SPDX-License-Identifier: Apache-2.0
// ONNX import: local functions, and an If with a constant condition. Other graphs within nodes: frontend_loops_test.cpp.
#include <fmt/format.h>

#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("local functions are inlined with their attributes", "[frontend]") {
  onnx::ModelProto model = parse_onnx(R"(
<ir_version: 8, opset_import: ["" : 13, "local" : 1]>
agraph (float[2] x) => (float[2] y) { a = local.outer <slope = 0.25> (x)  y = local.outer (a) }
<domain: "local", opset_import: ["" : 13, "local" : 1]>
outer <slope> (p, missing) => (q) { t = local.inner <alpha : float = @slope> (p)  q = Add(t, p) }
<domain: "local", opset_import: ["" : 13]>
inner <alpha> (t) => (r) { r = LeakyRelu <alpha : float = @alpha> (t) })");
  model.mutable_graph()->mutable_node(0)->set_name("first");
  Imported m = import_proto(model);
  INFO(m.text());
  REQUIRE(m.model);
  const Graph& g = m.graph();
  CHECK(ops_of(g) == "leaky_relu add leaky_relu add");
  const Node& relu = g.node(g.order()[0]);
  CHECK(relu.attrs.f("alpha") == 0.25);
  CHECK(relu.origin == std::vector<std::string>{"first/inner_0/LeakyRelu_0"});
  CHECK(g.value(relu.outputs[0]).name == "first/t");
  CHECK_FALSE(g.value(relu.outputs[0]).onnx);  // it is no tensor of the main graph
  const Node& add = g.node(g.order()[1]);
  CHECK(g.value(add.outputs[0]).onnx->name == "a");
  // Without the attribute the operator's own default holds, as ONNX has it.
  CHECK(g.node(g.order()[2]).attrs.f("alpha", 0.01) == Approx(0.01));
}

TEST_CASE("operators that ONNX defines by a function are inlined", "[frontend]") {
  // The body depends on the attributes and on the types of the inputs.
  Imported m = import_graph("agraph (float[3,5] x, int64[3] t) => (float y) { y = SoftmaxCrossEntropyLoss <reduction = \"sum\"> (x, t) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(ops_of(m.graph()).find("log_softmax") != std::string::npos);
  CHECK(m.graph().type(m.graph().outputs()[0]).shape.empty());
  // Attributes have their defaults: a window is periodic and of floats.
  m = import_graph("agraph (float[1] x) => (float[8] w) <int64 n = {8}> { w = HannWindow (n) }", {}, 17);
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(m.graph().constant(m.graph().outputs()[0])->to_doubles()[2] == Approx(0.5));

  CHECK(import_graph("agraph (float[3,5] x) => (float y) { y = SoftmaxCrossEntropyLoss (x, t) }").errors() == std::vector{DiagId::missing_tensor});
  CHECK(import_graph("agraph (float[1] x) => (float[8] w) <int64 n = {8}> { w = HannWindow (n) }", {}, 16).errors() == std::vector{DiagId::unsupported_node});
}

TEST_CASE("functions that cannot be inlined are refused", "[frontend]") {
  auto with_function = [](const std::string& call, const std::string& body) {
    return parse_onnx(
        "<ir_version: 8, opset_import: [\"\" : 13, \"local\" : 1]>\nagraph (float[2] x) => "
        "(float[2] y) { y = " +
        call +
        " }\n<domain: \"local\", opset_import: [\"\" : 13, \"local\" : 1]>\nf <alpha> (a) => (b) "
        "{ " +
        body + " }");
  };
  CHECK(import_proto(with_function("local.f (x)", "b = local.f (a)")).errors() ==
        std::vector{DiagId::bad_node});
  CHECK(import_proto(with_function("local.f (x, x)", "b = Relu (a)")).errors() ==
        std::vector{DiagId::bad_node});
  CHECK(import_proto(with_function("local.f <beta = 1> (x)", "b = Relu (a)")).errors() ==
        std::vector{DiagId::bad_node});
  CHECK(import_proto(with_function("local.f (x)", "c = Relu (a)")).errors() ==
        std::vector{DiagId::missing_tensor});
  CHECK(import_proto(with_function("local.g (x)", "b = Relu (a)")).errors() ==
        std::vector{DiagId::unsupported_operator});
  CHECK(import_proto(with_function("local.f (x)", "b = Nonsense (a)")).errors() ==
        std::vector{DiagId::unsupported_operator});
  onnx::ModelProto twice = with_function("local.f (x)", "b = Relu (a)");
  *twice.add_functions() = twice.functions(0);
  CHECK(import_proto(twice).errors() == std::vector{DiagId::bad_node});
  onnx::ModelProto outside = graph_model(
      "agraph (float[2] x) => (float[2] y) { y = LeakyRelu <alpha : float = @alpha> (x) }");
  CHECK(import_proto(outside).errors() == std::vector{DiagId::bad_node});
}

TEST_CASE("functions that grow without end are stopped", "[frontend]") {
  // Each function calls the next one ten times: 10^12 nodes.
  std::string text =
      "<ir_version: 8, opset_import: [\"\" : 13, \"local\" : 1]>\nagraph (float[2] x) => (float[2] "
      "y) { y = local.f0 (x) }\n";
  for (int i = 0; i < 12; ++i) {
    text += fmt::format(
        "<domain: \"local\", opset_import: [\"\" : 13, \"local\" : 1]>\nf{} (a0) => (a10) {{ ", i);
    for (int k = 0; k < 10; ++k)
      text += i == 11 ? fmt::format("a{} = Relu(a{}) ", k + 1, k)
                      : fmt::format("a{} = local.f{}(a{}) ", k + 1, i + 1, k);
    text += "}\n";
  }
  CHECK(import_proto(parse_onnx(text)).errors() == std::vector{DiagId::limit_exceeded});
}

TEST_CASE("defaults of function attributes are read", "[frontend]") {
  onnx::ModelProto model = parse_onnx(R"(
<ir_version: 9, opset_import: ["" : 13, "local" : 1]>
agraph (float[2] x) => (float[2] y) { a = local.f (x)  y = local.f <alpha = 0.75> (a) }
<domain: "local", opset_import: ["" : 13]>
f <other> (p) => (q) { q = LeakyRelu <alpha : float = @alpha> (p) })");
  onnx::AttributeProto fallback;
  fallback.set_name("alpha");
  fallback.set_type(onnx::AttributeProto::FLOAT);
  fallback.set_f(0.5f);
  // FunctionProto.attribute_proto, unknown to onnx 1.12.
  model.mutable_functions(0)->mutable_unknown_fields()->AddLengthDelimited(
      11, fallback.SerializeAsString());
  Imported m = import_proto(model);
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(m.graph().node(m.graph().order()[0]).attrs.f("alpha") == 0.5);
  CHECK(m.graph().node(m.graph().order()[1]).attrs.f("alpha") == 0.75);
}

TEST_CASE("of an If with a constant condition the chosen branch is imported", "[frontend]") {
  auto model = [](const std::string& condition) {
    return "agraph (float[2] x) => (float[2] y) <bool c = {" + condition +
           "}> { t = Sign(x) y = If (c) <"
           "then_branch = g1 () => (float[2] y) { u = Relu(t) y = Neg(u) },"
           "else_branch = g2 () => (float[2] z) { z = Nonsense(t) }> }";
  };
  Imported chosen = import_graph(model("1"));
  INFO(chosen.text());
  REQUIRE(chosen.model);
  CHECK(ops_of(chosen.graph()) == "sign relu neg");
  CHECK(chosen.graph().value(chosen.graph().outputs()[0]).onnx->name == "y");
  CHECK(chosen.graph().node(chosen.graph().order()[1]).origin ==
        std::vector<std::string>{"If_1/Relu_0"});
  CHECK(import_graph(model("0")).errors() == std::vector{DiagId::unsupported_operator});
}
