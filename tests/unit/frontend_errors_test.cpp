// SPDX-License-Identifier: Apache-2.0
// ONNX import: what is refused, with which message, and that one run lists all that can be listed.
#include <fmt/format.h>

#include <fstream>

#include "compiler/ir/limits.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

std::string relu_bytes() {
  return graph_model("agraph (float[1,4] x) => (float[1,4] y) { y = Relu(x) }").SerializeAsString();
}

std::vector<DiagId> errors_of(const std::string& graph, int opset = 13) {
  return import_graph(graph, {}, opset).errors();
}

// `depth` branches within branches around one Relu.
onnx::GraphProto nested_branches(int depth) {
  onnx::GraphProto graph;
  onnx::NodeProto* node = graph.add_node();
  graph.add_output()->set_name("y");
  node->add_output("y");
  if (depth == 0) {
    node->set_op_type("Relu");
    node->add_input("x");
    return graph;
  }
  node->set_op_type("If");
  node->add_input("c");
  for (const char* name : {"then_branch", "else_branch"}) {
    onnx::AttributeProto* branch = node->add_attribute();
    branch->set_name(name);
    branch->set_type(onnx::AttributeProto::GRAPH);
    if (name[0] == 't')
      *branch->mutable_g() = nested_branches(depth - 1);
    else
      branch->mutable_g();
  }
  return graph;
}

Imported import_nested(int depth) {
  onnx::ModelProto model =
      graph_model("agraph (float[2] x) => (float[2] y) <bool c = {1}> { y = Relu(x) }");
  *model.mutable_graph()->mutable_node() = nested_branches(depth).node();
  for (auto& attribute : *model.mutable_graph()->mutable_node(0)->mutable_attribute())
    if (attribute.name() == "else_branch") attribute.mutable_g()->add_output()->set_name("x");
  return import_proto(model);
}

}  // namespace

TEST_CASE("files that are no ONNX model are refused", "[frontend]") {
  CHECK(import_bytes("").errors() == std::vector{DiagId::not_onnx});
  CHECK(import_bytes("this is no model").errors() == std::vector{DiagId::not_onnx});
  CHECK(import_bytes("PK\x03\x04 and so on").text().find("zip") != std::string::npos);
  CHECK(import_bytes("0000TFL3").text().find("tf2onnx") != std::string::npos);
  CHECK(import_bytes("version https://git-lfs.github.com/spec/v1").text().find("lfs") !=
        std::string::npos);
  onnx::TensorProto tensor;
  tensor.add_dims(1);
  CHECK(import_bytes(tensor.SerializeAsString()).errors() == std::vector{DiagId::not_onnx});
}

TEST_CASE("every truncation of a model is refused or complete", "[frontend]") {
  std::string bytes = relu_bytes();
  for (size_t n = 0; n < bytes.size(); ++n) {
    Imported m = import_bytes(bytes.substr(0, n));
    INFO(n << ": " << m.text());
    CHECK(m.errors().size() == 1);
  }
}

TEST_CASE("paths that are no readable file are refused", "[frontend]") {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  CHECK(import_file(folder->path()).errors() == std::vector{DiagId::cannot_read});
  CHECK(import_file(folder->path() / "none.onnx").errors() == std::vector{DiagId::cannot_read});
  CHECK(import_file(folder->path() / "none.onnx").text().find("none.onnx") != std::string::npos);
}

TEST_CASE("the opset must be one that is known", "[frontend]") {
  const std::string graph = "agraph (float[1,4] x) => (float[1,4] y) { y = Relu(x) }";
  for (int opset = 6; opset <= 26; ++opset) CHECK(import_graph(graph, {}, opset).model);
  CHECK(errors_of(graph, 0) == std::vector{DiagId::unsupported_node});
  CHECK(errors_of(graph, 27) == std::vector{DiagId::unsupported_node});
  // Relu had another definition before opset 6; Add took part in broadcasting by attributes until 7.
  CHECK(errors_of(graph, 5) == std::vector{DiagId::unsupported_node});
  CHECK(errors_of("agraph (float[1,4] x) => (float[1,4] y) { y = Add(x, x) }", 6) == std::vector{DiagId::unsupported_node});
  onnx::ModelProto model = graph_model(graph);
  model.clear_opset_import();
  CHECK(import_proto(model).errors() == std::vector{DiagId::bad_opset});
  for (int version : {13, 14}) {
    auto* import = model.add_opset_import();
    import->set_domain(version == 13 ? "" : "ai.onnx");
    import->set_version(version);
  }
  CHECK(import_proto(model).errors() == std::vector{DiagId::bad_opset});
}

TEST_CASE("all independent problems are listed in one run", "[frontend]") {
  Imported m = import_graph(
      "agraph (float[2] x, float[3] z) => (float[2] y, float[2] v) {"
      " a = Nonsense(x) b = Relu(a) c = OtherNonsense(b)"  // the third has no record, though it
                                                           // reads a failed one
      " d = Relu <axis = 1> (x) e = LeakyRelu <alpha = 1> (x) f = Add(x, z)"
      " g = Add(x, nowhere) h = Relu(g) y = Sum(c, d, e, f, h) v = Neg(x) }");
  INFO(m.text());
  CHECK(m.errors() == std::vector{DiagId::unsupported_operator, DiagId::unsupported_operator,
                                  DiagId::unsupported_node, DiagId::bad_node, DiagId::bad_node,
                                  DiagId::missing_tensor});
  CHECK(m.text().find("node 'Nonsense_0' (Nonsense)") != std::string::npos);
  CHECK(m.text().find("attribute 'axis' of Relu") != std::string::npos);
  CHECK(m.text().find("'alpha' is an int, it must be a float") != std::string::npos);
  CHECK(m.text().find("tensor 'nowhere'") != std::string::npos);
}

TEST_CASE("operators of other domains are named with them", "[frontend]") {
  Imported m = import_graph("agraph (float[2] x) => (float[2] y) { y = com.example.Magic(x) }");
  CHECK(m.errors() == std::vector{DiagId::unsupported_operator});
  CHECK(m.text().find("'Magic' of domain 'com.example'") != std::string::npos);
  onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] y) { y = Relu(x) }");
  model.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
  CHECK(import_proto(model).model);
}

TEST_CASE("cycles are refused with the nodes on them", "[frontend]") {
  Imported m =
      import_graph("agraph (float[2] x) => (float[2] y) { a = Add(x, b) b = Relu(a) y = Neg(b) }");
  CHECK(m.errors() == std::vector{DiagId::cyclic_graph});
  CHECK(m.text().find("'Add_0' (Add), 'Relu_1' (Relu)") != std::string::npos);
  CHECK(errors_of("agraph (float[2] x) => (float[2] y) { y = Add(x, y) }") ==
        std::vector{DiagId::cyclic_graph});
}

TEST_CASE("a tensor has one definition", "[frontend]") {
  CHECK(errors_of("agraph (float[2] x) => (float[2] y) { y = Relu(x) y = Neg(x) }") ==
        std::vector{DiagId::duplicate_tensor});
  CHECK(errors_of("agraph (float[2] x) => (float[2] y) { x = Relu(x) y = Neg(x) }") ==
        std::vector{DiagId::cyclic_graph});
  CHECK(errors_of("agraph (float[2] x, float[2] z) => (float[2] y) { z = Relu(x) y = Neg(z) }") ==
        std::vector{DiagId::duplicate_tensor});
  CHECK(errors_of("agraph (float[2] x, float[2] x) => (float[2] y) { y = Relu(x) }") ==
        std::vector{DiagId::duplicate_tensor});
  CHECK(errors_of("agraph (float[2] x) => (float[2] y) <float[1] w = {1}, float[1] w = {2}> { y = "
                  "Add(x, w) }") == std::vector{DiagId::duplicate_tensor});
}

TEST_CASE("nodes that break their operator's rules are refused", "[frontend]") {
  CHECK(errors_of("agraph (float[2] x, float[3] z) => (float[2] y) { y = Add(x, z) }") ==
        std::vector{DiagId::bad_node});
  CHECK(errors_of("agraph (float[2] x, int64[2] z) => (float[2] y) { y = Add(x, z) }") ==
        std::vector{DiagId::bad_node});
  CHECK(errors_of("agraph (float[2] x) => (float[2] y) { y = Relu() }") ==
        std::vector{DiagId::bad_node});
  CHECK(errors_of("agraph (float[2] x) => (float[2] y) { y = Relu(x, x) }") ==
        std::vector{DiagId::bad_node});
  CHECK(errors_of("agraph (float[2] x) => (float[2] y, float[2] z) { y, z = Relu(x) }") ==
        std::vector{DiagId::bad_node});
  CHECK(
      errors_of(
          "agraph (float[2] x) => (float[2] y) { y = LeakyRelu <alpha = 1.0, alpha = 2.0> (x) }") ==
      std::vector{DiagId::bad_node});
  CHECK(errors_of("agraph (float[2] x) => (int64[2] y) { y = Relu(x) }") ==
        std::vector{DiagId::bad_node});
  CHECK(errors_of("agraph (float[2] x) => () { y = Relu(x) }") == std::vector{DiagId::no_outputs});
  CHECK(errors_of("agraph (float[2] x) => (float[2] z) { y = Relu(x) }") ==
        std::vector{DiagId::missing_tensor});
}

TEST_CASE("tensors without elements are refused where they would be computed", "[frontend]") {
  CHECK(
      errors_of("agraph (float[4] x) => (float[0] y) <int64[1] s = {2}> { y = Slice(x, s, s) }") ==
      std::vector{DiagId::unsupported_tensor});
}

TEST_CASE("constants do not explode", "[frontend]") {
  CHECK(errors_of("agraph (float[1] x) => (float[1] y) <float[8192,1] a = {1}, float[1,8192] b = "
                  "{1}> { y = Add(a, b) }") == std::vector{DiagId::bad_initializer});
  onnx::ModelProto model = graph_model(
      "agraph (float[1] x) => (float[8192,8192] y) <float[1] a = {1}, float[1] b = {1}> { y = "
      "Add(a, b) }");
  for (int i = 0; i < 2; ++i) {
    onnx::TensorProto* tensor = model.mutable_graph()->mutable_initializer(i);
    tensor->clear_dims();
    tensor->clear_float_data();
    tensor->add_dims(i == 0 ? 8192 : 1);
    tensor->add_dims(i == 0 ? 1 : 8192);
    for (int k = 0; k < 8192; ++k) tensor->add_float_data(1);
  }
  CHECK(import_proto(model).errors() == std::vector{DiagId::limit_exceeded});
}

TEST_CASE("deep nesting is refused", "[frontend]") {
  CHECK(import_nested(3).model);
  // A graph in an attribute takes three levels of protobuf messages, of which there may be
  // limits::kMessageDepth.
  CHECK(import_nested(40).errors() == std::vector{DiagId::limit_exceeded});
  CHECK(import_nested(400).errors().size() == 1);
  // Functions calling functions go no deeper than limits::kNesting.
  std::string text =
      "<ir_version: 8, opset_import: [\"\" : 13, \"local\" : 1]>\nagraph (float[2] x) => (float[2] "
      "y) { y = local.f0 (x) }\n";
  for (size_t i = 0; i < limits::kNesting + 1; ++i)
    text += fmt::format(
        "<domain: \"local\", opset_import: [\"\" : 13, \"local\" : 1]>\nf{} (a) => (b) {{ b = {} "
        "(a) }}\n",
        i, i == limits::kNesting ? "Relu" : fmt::format("local.f{}", i + 1));
  CHECK(import_proto(parse_onnx(text)).errors() == std::vector{DiagId::limit_exceeded});
}

TEST_CASE("long chains are no problem", "[frontend]") {
  onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] y) { y = Relu(x) }");
  auto chain = [&](int length) {
    model.mutable_graph()->clear_node();
    for (int i = length; i-- > 0;) {  // last first, so that sorting has to go all the way
      onnx::NodeProto* node = model.mutable_graph()->add_node();
      node->set_op_type("Relu");
      node->add_input(i == 0 ? "x" : fmt::format("t{}", i));
      node->add_output(i + 1 == length ? "y" : fmt::format("t{}", i + 1));
    }
    return import_proto(model);
  };
  Imported m = chain(20'000);
  REQUIRE(m.model);
  CHECK(m.graph().order().size() == 20'000);
  CHECK(chain(static_cast<int>(limits::kNodes) + 1).errors() ==
        std::vector{DiagId::limit_exceeded});
}

TEST_CASE("names must be plain text", "[frontend]") {
  auto with_name = [](const std::string& name) {
    onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] y) { y = Relu(x) }");
    model.mutable_graph()->mutable_node(0)->set_name(name);
    return import_proto(model);
  };
  CHECK(with_name("größe/層;1:0").model);
  CHECK(with_name("a\nb").errors() == std::vector{DiagId::not_onnx});
  CHECK(with_name("\x1b[31m").errors() == std::vector{DiagId::not_onnx});
  CHECK(with_name("\xff").errors() == std::vector{DiagId::not_onnx});
  CHECK(with_name("\xc0\x80").errors() == std::vector{DiagId::not_onnx});
  CHECK(with_name("\xed\xa0\x80").errors() == std::vector{DiagId::not_onnx});
  CHECK(with_name(std::string(5000, 'a')).errors() == std::vector{DiagId::limit_exceeded});
}

TEST_CASE("producers that are no text are left out", "[frontend]") {
  onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] y) { y = Relu(x) }");
  model.set_producer_name("py\ntorch");
  Imported m = import_proto(model);
  REQUIRE(m.model);
  CHECK(m.model->info.producer.empty());
  model.set_producer_name("pytorch");
  model.set_producer_version("2.1");
  CHECK(import_proto(model).model->info.producer == "pytorch 2.1");
}
