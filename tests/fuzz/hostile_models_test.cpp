// SPDX-License-Identifier: Apache-2.0
// Models made to do harm, one for each kind that has been published against readers of ONNX and TFLite models. None of them may crash
// the compiler, keep it busy for long, take much memory or make it write code that the model's author chose.
//
//   files beside the model   CVE-2022-25882, CVE-2024-27318, CVE-2024-27319, CVE-2026-27489, CVE-2026-34445, CVE-2026-34446:
//                            tests/unit/external_data_test.cpp
//   division by zero, sizes  CVE-2021-37680, CVE-2022-21741, CVE-2023-27579: zero strides, groups, dimensions, scales, steps
//   indices out of bounds    CVE-2020-15212 and those of ONNX Runtime: constant positions outside of their tensor
//   overflow                 dimensions, pads, repeats and counts near 2^31 and 2^63
//   nesting, growth          functions and branches without end, constants that grow from node to node
//   names                    text that ends a comment of the emitted code, or continues it on the next line
#include "compiler/emit/bundle.h"
#include "tests/fuzz/model_trial.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

struct HostileGraph {
  const char* name;
  const char* graph;
  int opset = 13;
};

/// All of them break a rule of ONNX or a limit of kiln and so have to be refused.
constexpr HostileGraph kRefused[] = {
    // division by zero
    {"stride 0", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <strides = [0,1]> (x, w) }"},
    {"negative stride", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <strides = [-1,-1]> (x, w) }"},
    {"dilation 0", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <dilations = [0,0]> (x, w) }"},
    {"group 0", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <group = 0> (x, w) }"},
    {"negative group", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <group = -1> (x, w) }"},
    {"more groups than channels", "g (float[1,2,4,4] x, float[4,1,2,2] w) => (float[1,4,3,3] y) { y = Conv <group = 4> (x, w) }"},
    {"kernel of the attribute and of the weights differ", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <kernel_shape = [3,3]> (x, w) }"},
    {"pool kernel 0", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) { y = MaxPool <kernel_shape = [0,0]> (x) }"},
    {"pool stride 0", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) { y = AveragePool <kernel_shape = [2,2], strides = [0,0]> (x) }"},
    {"pool kernel of one number", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) { y = AveragePool <kernel_shape = [2]> (x) }"},
    {"block size 0", "g (float[1,4,2,2] x) => (float[1,1,4,4] y) { y = DepthToSpace <blocksize = 0> (x) }"},
    {"block size beyond the channels", "g (float[1,4,2,2] x) => (float[1,1,4,4] y) { y = DepthToSpace <blocksize = 2147483647> (x) }"},
    {"slice step 0", "g (float[4] x) => (float[4] y) <int64[1] a = {0}, int64[1] e = {4}, int64[1] i = {0}, int64[1] s = {0}> { y = Slice (x, a, e, i, s) }"},
    {"range without a step", "g (float[4] x) => (float[4] y) <int64 a = {0}, int64 e = {4}, int64 s = {0}> { r = Range (a, e, s) f = Cast <to = 1> (r) y = Add (x, f) }"},
    {"resize to nothing", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[0] r, float[4] s = {1.0, 1.0, 0.0, 0.0}> { y = Resize (x, r, s) }"},
    {"resize by minus one", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[0] r, float[4] s = {1.0, 1.0, -1.0, -1.0}> { y = Resize (x, r, s) }"},
    {"split into nothing", "g (float[4] x) => (float[4] y) { y = Split <num_outputs = 0> (x) }", 18},
    {"reshape -1 beside 0 elements", "g (float[2,3] x) => (float[2] y) <int64[3] s = {0, -1, 0}> { y = Reshape <allowzero = 1> (x, s) }", 14},
    {"two unknown dimensions", "g (float[2,3] x) => (float[2] y) <int64[2] s = {-1, -1}> { y = Reshape (x, s) }"},
    {"groups of a normalization 0", "g (float[1,4,2] x, float[4] w) => (float[1,4,2] y) { y = GroupNormalization <num_groups = 0> (x, w, w) }", 21},
    {"no classes", "g (int64[2] x) => (float[2,0] y) <int64 d = {0}, float[2] v = {0.0, 1.0}> { y = OneHot (x, d, v) }"},
    // overflow
    {"dimensions whose product overflows", "g (float[4294967296,4294967296] x) => (float[1] y) { y = Relu (x) }"},
    {"dimension of 2^63 - 1", "g (float[9223372036854775807] x) => (float[1] y) { y = Relu (x) }"},
    {"negative dimension", "g (float[-5,2] x) => (float[1] y) { y = Relu (x) }"},
    {"pads of 2^62", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <pads = [4611686018427387904,0,4611686018427387904,0]> (x, w) }"},
    {"negative pads that eat everything", "g (float[4] x) => (float[4] y) <int64[2] p = {-3, -3}> { y = Pad (x, p) }"},
    {"constant pads of 2^40", "g (float[4] x) => (float[4] y) <int64[2] p = {1099511627776, 0}> { y = Pad (x, p) }"},
    {"kernel of 2^31", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) { y = MaxPool <kernel_shape = [2147483648,2147483648]> (x) }"},
    {"dilation of 2^62", "g (float[1,1,4,4] x, float[1,1,2,2] w) => (float[1,1,4,4] y) { y = Conv <dilations = [4611686018427387904,1]> (x, w) }"},
    {"tile by 2^40", "g (float[4] x) => (float[4] y) <int64[1] r = {1099511627776}> { y = Tile (x, r) }"},
    {"tile by -1", "g (float[4] x) => (float[4] y) <int64[1] r = {-1}> { y = Tile (x, r) }"},
    {"expand to 2^62", "g (float[1] x) => (float[4] y) <int64[2] r = {2147483648, 2147483648}> { y = Expand (x, r) }"},
    {"constant of 2^40 elements", "g (float[1] x) => (float[4] y) <int64[1] s = {1099511627776}> { c = ConstantOfShape (s) y = Add (x, c) }"},
    {"constant of a negative shape", "g (float[1] x) => (float[4] y) <int64[1] s = {-4}> { c = ConstantOfShape (s) y = Add (x, c) }"},
    {"range of 2^62 elements", "g (float[1] x) => (float[4] y) <int64 a = {0}, int64 e = {4611686018427387904}, int64 s = {1}> { r = Range (a, e, s) f = Cast <to = 1> (r) y = Add (x, f) }"},
    {"resize by 2^40", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[0] r, float[4] s = {1.0, 1.0, 1e12, 1e12}> { y = Resize (x, r, s) }"},
    {"resize to 2^62", "g (float[1,1,4,4] x) => (float[1,1,4,4] y) <float[0] r, float[0] s, int64[4] n = {1, 1, 2147483648, 2147483648}> { y = Resize (x, r, s, n) }"},
    {"depth of 2^62", "g (int64[2] x) => (float[2,1] y) <int64 d = {4611686018427387904}, float[2] v = {0.0, 1.0}> { y = OneHot (x, d, v) }"},
    {"axis of -2^63", "g (float[2,3] x) => (float[2,3] y) { y = Softmax <axis = -9223372036854775808> (x) }"},
    {"axis of 2^63 - 1", "g (float[2,3] x) => (float[2,3] y) { y = Concat <axis = 9223372036854775807> (x, x) }"},
    {"flatten at 2^40", "g (float[2,3] x) => (float[2,3] y) { y = Flatten <axis = 1099511627776> (x) }"},
    {"shape of the transposed with a dimension twice", "g (float[2,3] x) => (float[2,3] y) { y = Transpose <perm = [0,0]> (x) }"},
    {"shape of the transposed outside", "g (float[2,3] x) => (float[2,3] y) { y = Transpose <perm = [0,7]> (x) }"},
    {"lists of parts that overflow", "g (float[4] x) => (float[4] y, float[4] z) <int64[2] p = {9223372036854775807, 5}> { y, z = Split (x, p) }"},
    {"2^40 outputs", "g (float[4] x) => (float[4] y) { y = Split <num_outputs = 1099511627776> (x) }", 18},
    {"more dimensions than any kernel loops over", "g (float[1,1,1,1,1,1,1,1,1] x) => (float[1] y) { y = Relu (x) }"},
    // indices out of bounds
    {"gather beyond the end", "g (float[4] x) => (float[1] y) <int64[1] i = {4}> { y = Gather (x, i) }"},
    {"gather before the start", "g (float[4] x) => (float[1] y) <int64[1] i = {-5}> { y = Gather (x, i) }"},
    {"gather at 2^62", "g (float[4] x) => (float[1] y) <int64[1] i = {4611686018427387904}> { y = Gather (x, i) }"},
    {"gather of a constant at 2^62", "g (float[1] x) => (float[1] y) <float[4] c = {0.0, 1.0, 2.0, 3.0}, int64[1] i = {4611686018427387904}> { z = Gather (c, i) y = Add (x, z) }"},
    {"gather of elements outside", "g (float[2,2] x) => (float[1,1] y) <int64[1,1] i = {2}> { y = GatherElements (x, i) }"},
    {"squeeze of a dimension that is not 1", "g (float[2,3] x) => (float[2] y) <int64[1] a = {1}> { y = Squeeze (x, a) }"},
    {"unsqueeze at 2^40", "g (float[2,3] x) => (float[2] y) <int64[1] a = {1099511627776}> { y = Unsqueeze (x, a) }"},
    {"one axis twice", "g (float[2,3] x) => (float[2] y) { y = ReduceMean <axes = [0, -2]> (x) }"},
    // types
    {"type 0", "g (float[2] x) => (float[2] y) { y = Cast <to = 0> (x) }"},
    {"type 2^40", "g (float[2] x) => (float[2] y) { y = Cast <to = 1099511627776> (x) }"},
    {"sum of two types", "g (float[2] x, int64[2] z) => (float[2] y) { y = Add (x, z) }"},
    // structure
    {"a node that reads itself", "g (float[2] x) => (float[2] y) { y = Add (x, y) }"},
    {"a cycle", "g (float[2] x) => (float[2] y) { a = Add (x, b) b = Relu (a) y = Neg (b) }"},
    {"an output that nothing computes", "g (float[2] x) => (float[2] y) { z = Relu (x) }"},
    {"an input twice", "g (float[2] x, float[2] x) => (float[2] y) { y = Relu (x) }"},
};

std::string bytes_of(const HostileGraph& g) { return graph_model(g.graph, g.opset).SerializeAsString(); }

/// Functions f0 ... f<count - 1>, each with `body` where %d is the number of the next.
onnx::ModelProto with_functions(size_t count, bool recursive) {
  onnx::ModelProto model = parse_onnx("<ir_version: 8, opset_import: [\"\" : 13, \"local\" : 1]>\ng (float[2] x) => (float[2] y) { y = local.f0 (x) }");
  for (size_t i = 0; i < count; ++i) {
    onnx::FunctionProto* f = model.add_functions();
    f->set_name(fmt::format("f{}", i));
    f->set_domain("local");
    f->add_input("a");
    f->add_output("b");
    onnx::NodeProto* node = f->add_node();
    node->add_input("a");
    node->add_output("b");
    const bool last = i + 1 == count;
    node->set_op_type(!last ? fmt::format("f{}", i + 1) : recursive ? "f0" : "Relu");
    if (!last || recursive) node->set_domain("local");
    for (const char* domain : {"", "local"}) {
      onnx::OperatorSetIdProto* opset = f->add_opset_import();
      opset->set_domain(domain);
      opset->set_version(domain[0] ? 1 : 13);
    }
  }
  return model;
}

std::string text_of_all(const std::string& bytes, Diagnostics& diagnostics) {
  std::optional<ImportedModel> model = import_model_bytes(bytes, "hostile.onnx", {}, diagnostics);
  if (!model) return {};
  std::optional<Compiled> compiled = compile_graph(*std::move(model), {}, diagnostics);
  std::string text;
  if (compiled)
    for (const OutputFile& file : emit_bundle(compiled->program, compiled->target, compiled->info, {})) text += file.bytes;
  return text;
}

}  // namespace

TEST_CASE("hostile graphs are refused", "[fuzz]") {
  ModelTrial trial;
  for (const HostileGraph& g : kRefused) {
    INFO(g.name);
    const int accepted = trial.accepted();
    CHECK(trial.run(bytes_of(g), g.name) == "");
    CHECK(trial.accepted() == accepted);
  }
}

TEST_CASE("functions that call each other without end are refused", "[fuzz]") {
  ModelTrial trial;
  CHECK(trial.run(with_functions(1, true).SerializeAsString(), "a function that calls itself") == "");
  CHECK(trial.run(with_functions(20, true).SerializeAsString(), "functions in a circle") == "");
  CHECK(trial.run(with_functions(50'000, false).SerializeAsString(), "a chain of 50,000 functions") == "");
  CHECK(trial.accepted() == 0);
  CHECK(trial.run(with_functions(5, false).SerializeAsString(), "five functions") == "");
  CHECK(trial.accepted() == 1);
}

TEST_CASE("constants that grow from node to node are refused", "[fuzz]") {
  // Each node makes a constant within the limit of one; all of them are beyond that of all.
  std::string bytes, work, doubling;
  for (int i = 0; i < 40; ++i) {
    bytes += fmt::format(" a{} = ConstantOfShape (s) x{} = ReduceSum <keepdims = 0> (a{}) x{}b = Add (x{}, x{})", i, i + 1, i, i + 1, i + 1, i ? fmt::format("{}b", i) : "0");
    work += fmt::format(" x{} = MatMul (m, x{})", i + 1, i);
    doubling += fmt::format(" x{} = Concat <axis = 0> (x{}, x{})", i + 1, i, i);
  }
  ModelTrial trial;
  const std::vector<std::pair<const char*, std::string>> graphs = {
      {"many constants", "g (float z) => (float y) <int64[1] s = {16777000}, float x0 = {1.0}> {" + bytes + " y = Add (z, x40b) }"},
      {"much work", "g (float[500,500] z) => (float[500,500] y) <int64[2] s = {500, 500}> { m = ConstantOfShape (s) x0 = ConstantOfShape (s)" + work + " y = Add (z, x40) }"},
      {"doubling", "g (float[1] z) => (float[1] y) <float[1] x0 = {1.0}> {" + doubling + " y = Add (z, x40) }"}};
  for (const auto& [name, graph] : graphs) {
    INFO(name);
    const std::string problem = trial.run(graph_model(graph).SerializeAsString(), name);
    CHECK(problem == "");
  }
  CHECK(trial.accepted() == 0);
}

TEST_CASE("models that are too large to evaluate compile soon", "[fuzz]") {
  ModelTrial trial;
  CHECK(trial.run(graph_model("g (float[1,64,512,512] x) => (float[1,64,512,512] y) { y = Relu (x) }").SerializeAsString(), "64 MiB") == "");
  CHECK(trial.run(graph_model("g (float[20000,20000] x) => (float[1] y) { y = Relu (x) }").SerializeAsString(), "1.6 GB") == "");
  CHECK(trial.run(graph_model("g (float[4000,4000] x) => (float[4000,4000] y) { y = MatMul (x, x) }").SerializeAsString(), "64 G operations") == "");
}

TEST_CASE("names cannot leave the comments and strings of emitted code", "[fuzz]") {
  for (const std::string& name : std::vector<std::string>{"*/ int evil; /*", "a\\", "\" evil \"", "?" "?/", "%s%n", "R\"(", "//", "\xe2\x80\xae" "reversed", "${CMAKE_EVIL}"}) {
    INFO(name);
    onnx::ModelProto model = graph_model("g (float[2] x) => (float[2] y) { t = Relu (x) y = Neg (t) }");
    model.mutable_graph()->mutable_input(0)->set_name(name);
    model.mutable_graph()->mutable_node(0)->set_input(0, name);
    model.mutable_graph()->mutable_node(0)->set_name(name);
    model.set_producer_name(name);
    Diagnostics diagnostics;
    const std::string text = text_of_all(model.SerializeAsString(), diagnostics);
    REQUIRE(!diagnostics.has_errors());
    for (size_t at = text.find("*/ int evil"); at != std::string::npos; at = text.find("*/ int evil", at + 1)) {
      // It ends no comment where that ends with the line, and nothing in a string of manifest.json.
      const size_t start = text.find_first_not_of(' ', text.rfind('\n', at) + 1);
      CHECK((text[start] == '"' || text.compare(start, 2, "//") == 0));
    }
    for (size_t at = text.find("\\\n"); at != std::string::npos; at = text.find("\\\n", at + 1)) {
      // A line that goes on: only in macros, never in a comment.
      const size_t start = text.rfind('\n', at) + 1;
      CHECK(text.substr(start, at - start).find("//") == std::string::npos);
    }
  }
  for (const std::string& name : std::vector<std::string>{"a\nb", std::string("a\0b", 3), "a\x1b[31m", "\xff\xfe", "a\xc2\x85"}) {
    onnx::ModelProto model = graph_model("g (float[2] x) => (float[2] y) { t = Relu (x) y = Neg (t) }");
    model.mutable_graph()->mutable_node(0)->set_name(name);
    CHECK(import_proto(model).errors() == std::vector{DiagId::not_onnx});
  }
}
