// SPDX-License-Identifier: Apache-2.0
// What a user reads of a model that kiln cannot compile: every node in one run, by reason, with what would help.
#include "compiler/support/problems.h"

#include <nlohmann/json.hpp>

#include "tests/kiln_command.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

std::string text_of(const Diagnostics& diagnostics) {
  std::string text;
  for (const Problem& p : list_problems(diagnostics)) text += to_string(p) + "\n";
  return text;
}

/// Two operators that nobody knows, one of them five times; a list of repeats from run time; an attribute. What reads their results is
/// not looked at.
constexpr const char* kUnsupported =
    "g (float[4] x, int64[1] n) => (float[4] y, float[?] z) {"
    " a = com.example.Magic (x) b = com.example.Magic (x) d = com.example.Magic (a) e = com.example.Magic (b) f = com.example.Magic (x)"
    " s = StringNormalizer (x)"
    " g = Tile (x, n) k = Relu <axis = 1> (x) l = LeakyRelu <axis = 1> (x)"
    " h = Add (a, b) i = Sub (h, d) j = Mul (i, e) m = Add (j, f) y = Sum (m, s, k, l) z = Relu (g) }";

constexpr const char* kUnsupportedText =
    "error E300: m.onnx: nodes 'Magic_0' (Magic), 'Magic_1' (Magic), 'Magic_2' (Magic) and 2 more: operator 'Magic' of domain "
    "'com.example' is not supported.\n"
    "  hint: replace it by standard operators, or add it to the model as a function that uses them.\n"
    "error E300: m.onnx: node 'StringNormalizer_5' (StringNormalizer): operator 'StringNormalizer' is not supported.\n"
    "  hint: process text outside of the model: tensors of strings are not supported.\n"
    "error E301: m.onnx: node 'Tile_6' (Tile): input 'repeats' is computed at run time, it must be a constant.\n"
    "  hint: add `--freeze n=VALUE`, with what your application uses.\n"
    "error E301: m.onnx: node 'Relu_7' (Relu): attribute 'axis' of Relu is not supported.\n"
    "error E301: m.onnx: node 'LeakyRelu_8' (LeakyRelu): attribute 'axis' of LeakyRelu is not supported.\n"
    "note E301: m.onnx: 6 more nodes depend on those above and were not looked at yet.\n";

std::string unsupported_bytes() { return graph_model(kUnsupported).SerializeAsString(); }

}  // namespace

TEST_CASE("all unsupported nodes are listed by reason", "[problems]") {
  Diagnostics diagnostics;
  CHECK(!import_model_bytes(unsupported_bytes(), "m.onnx", {}, diagnostics));
  CHECK(text_of(diagnostics) == kUnsupportedText);
  CHECK(diagnostics.exit_code() == ExitCode::unsupported);
}

TEST_CASE("what is malformed comes before what is unsupported", "[problems]") {
  Diagnostics diagnostics;
  const std::string bytes =
      graph_model("g (float[4] x, float[3] z) => (float[4] y) { a = Magic (x) b = Add (x, z) c = Add (z, x) y = Sum (a, b, c) }")
          .SerializeAsString();
  CHECK(!import_model_bytes(bytes, "m.onnx", {}, diagnostics));
  const std::vector<Problem> problems = list_problems(diagnostics);
  REQUIRE(problems.size() == 4);
  CHECK(problems[0].said.id == DiagId::bad_node);
  CHECK(problems[2].said.id == DiagId::unsupported_operator);
  CHECK(problems[3].said.severity == Severity::note);
}

TEST_CASE("messages that differ stay apart", "[problems]") {
  Diagnostics diagnostics;
  diagnostics.report(error(DiagId::bad_node, "one.").at_node("'a' (A)"));
  diagnostics.report(error(DiagId::bad_node, "two.").at_node("'b' (B)"));
  diagnostics.report(error(DiagId::bad_node, "one.").at_node("'c' (C)"));
  diagnostics.report(error(DiagId::bad_node, "one.", "with a hint.").at_node("'d' (D)"));
  diagnostics.note(DiagId::batch_assumed, "said twice.");
  diagnostics.note(DiagId::batch_assumed, "said twice.");
  CHECK(text_of(diagnostics) ==
        "error E206: nodes 'a' (A), 'c' (C): one.\n"
        "error E206: node 'b' (B): two.\n"
        "error E206: node 'd' (D): one.\n  hint: with a hint.\n"
        "note N001: said twice.\n"
        "note N001: said twice.\n");
}

TEST_CASE("the list of problems as JSON", "[problems]") {
  const TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "m.onnx", unsupported_bytes()).ok());
  const ProcessResult run = kiln_in(folder.path(), {"compile", "m.onnx", "-o", "out", "--json", "p.json"});
  CHECK(run.exit_code == 3);
  CHECK(run.output.find(std::string(kUnsupportedText).substr(0, 120)) != std::string::npos);
  CHECK(!std::filesystem::exists(folder.path() / "out"));
  Result<std::string> text = read_file(folder.path() / "p.json");
  REQUIRE(text.ok());
  const nlohmann::json j = nlohmann::json::parse(*text);
  CHECK(j["exit_code"] == 3);
  REQUIRE(j["messages"].size() == 6);
  CHECK(j["messages"][0]["code"] == "E300");
  CHECK(j["messages"][0]["nodes"].size() == 5);
  CHECK(j["messages"][0]["nodes"][4] == nlohmann::json{{"name", "Magic_4"}, {"type", "Magic"}});
  CHECK(j["messages"][2]["hint"].get<std::string>().find("--freeze n=VALUE") != std::string::npos);
  CHECK(j["messages"][5]["severity"] == "note");

  const ProcessResult shown = kiln_in(folder.path(), {"inspect", "m.onnx", "--json", "-", "--quiet"});
  CHECK(shown.exit_code == 3);
  CHECK(shown.output.find("\"exit_code\": 3") != std::string::npos);
}

TEST_CASE("unknown operators come with advice", "[problems]") {
  auto hint = [](const std::string& node, const std::string& imports = "") {
    Diagnostics diagnostics;
    const std::string head = "<ir_version: 8, opset_import: [\"\" : 13" + imports + "]>\n";
    CHECK(!import_model_bytes(parse_onnx(head + "g (float[4] x) => (float[4] y) { y = " + node + " (x) }").SerializeAsString(), "m.onnx",
                              {}, diagnostics));
    return diagnostics.all().front().hint;
  };
  CHECK(hint("StringSplit").find("text") != std::string::npos);
  CHECK(hint("RandomUniformLike").find("as an input") != std::string::npos);
  CHECK(hint("ImageDecoder").find("images") != std::string::npos);
  CHECK(hint("com.microsoft.Nothing").find("its optimizer") != std::string::npos);
  CHECK(hint("ai.onnx.ml.TreeEnsembleClassifier").find("classical") != std::string::npos);
  CHECK(hint("ai.onnx.preview.training.Adam").find("inference") != std::string::npos);
  CHECK(hint("Nonsense").find("kiln ops") != std::string::npos);
}
