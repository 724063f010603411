// SPDX-License-Identifier: Apache-2.0
// Inputs that are bound to constants: --freeze.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compiler/frontend/freeze.h"
#include "compiler/frontend/tensor_file.h"
#include "tests/kiln_command.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// What `text` makes of the input `type` ("int64[2] n"), or the message.
std::string frozen(const std::string& type, const std::string& text) {
  onnx::ModelProto model = graph_model("agraph (float[1,4] x, " + type + ") => (float[1,4] y) { y = Relu(x) }");
  ImportOptions options;
  options.frozen["n"] = text;
  Result<std::vector<FrozenInput>> all = read_frozen(options, model.graph());
  if (!all) return std::string(diagnostic_code(all.diagnostic().id)) + " " + all.diagnostic().message;
  REQUIRE(all->size() == 1);
  CHECK(all->front().place == 1);
  return to_string(all->front().value.type) + fmt::format(" {}", fmt::join(all->front().value.to_doubles(), " "));
}

}  // namespace

TEST_CASE("a frozen input gets the type and shape that the model says") {
  CHECK(frozen("int64[2] n", "3,-4") == "i64[2] 3 -4");
  CHECK(frozen("int64[2] n", "[3,4]") == "i64[2] 3 4");
  CHECK(frozen("int64[2] n", "7") == "i64[2] 7 7");
  CHECK(frozen("int64[N] n", "3,4,5") == "i64[3] 3 4 5");
  CHECK(frozen("int64[2,N] n", "3,4,5,6") == "i64[2,2] 3 4 5 6");
  CHECK(frozen("float[1] n", "1.5e3") == "f32[1] 1500");
  CHECK(frozen("double[1] n", "0.1") == "f64[1] 0.1");
  CHECK(frozen("float16[1] n", "0.5") == "f16[1] 0.5");
  CHECK(frozen("uint8[1] n", "255") == "u8[1] 255");
  CHECK(frozen("bool[2] n", "true,0") == "bool[2] 1 0");
}

TEST_CASE("values that do not fit a frozen input are refused with both sides") {
  CHECK(frozen("int64[2] n", "1,2,3") == "E105 --freeze n=1,2,3: the input is i64[2], 3 numbers are given.");
  CHECK(frozen("int64[2,N] n", "1") == "E105 --freeze n=1: the input is i64[2,N], 1 number is given.");
  CHECK(frozen("int64[M,N] n", "1,2") == "E105 --freeze n=1,2: the input is i64[M,N], 2 numbers are given.");
  CHECK(frozen("int64[1] n", "1.5") == "E105 --freeze n=1.5: '1.5' is no number of the input's type i64.");
  CHECK(frozen("uint8[1] n", "256") == "E105 --freeze n=256: '256' is no number of the input's type u8.");
  CHECK(frozen("uint8[1] n", "-1") == "E105 --freeze n=-1: '-1' is no number of the input's type u8.");
  CHECK(frozen("bool[1] n", "2") == "E105 --freeze n=2: '2' is no number of the input's type bool.");
  CHECK(frozen("float[1] n", "abc") == "E105 --freeze n=abc: 'abc' is no number of the input's type f32.");
  CHECK(frozen("float[1] n", "1,") == "E105 --freeze n=1,: the input is f32[1], 2 numbers are given.");
  CHECK(frozen("float[1] n", "none.npy").starts_with("E400 "));
  CHECK(frozen("float[1] m", "1") == "E103 --freeze names 'n', which is no input of the model.");
  CHECK(frozen("string[1] n", "1").starts_with("E302 "));
}

TEST_CASE("what depends on a frozen input alone folds away") {
  onnx::ModelProto model = graph_model(
      "agraph (float[1,4] x, int64[2] shape) => (float[A,B] y) { y = Reshape(x, shape) }");
  ImportOptions options;
  Imported open = import_bytes(model.SerializeAsString(), options);
  CHECK(open.text().find("hint: add `--freeze shape=VALUE`, with what your application uses.") != std::string::npos);
  options.frozen["shape"] = "2,2";
  Imported bound = import_bytes(model.SerializeAsString(), options);
  INFO(bound.text());
  REQUIRE(bound.model);
  CHECK(bound.graph().inputs.size() == 1);
  CHECK(bound.graph().type(bound.graph().outputs()[0]).shape == Shape{2, 2});
  REQUIRE(bound.model->info.frozen.size() == 1);
  CHECK(bound.model->info.frozen[0].name == "shape");
}

TEST_CASE("the hint names the inputs behind a value that is not constant, unless they are data") {
  auto text = [](const std::string& graph) { return import_bytes(graph_model(graph).SerializeAsString()).text(); };
  // Computed from two settings.
  CHECK(text("agraph (float[1,4] x, int64[1] a, int64[1] b) => (float[A,B] y) { s = Concat<axis = 0>(a, b)  y = Reshape(x, s) }")
            .find("add `--freeze a=VALUE` and `--freeze b=VALUE`") != std::string::npos);
  // Computed from the data.
  const std::string data = text("agraph (float[1,64] x) => (int64[A,B] y) { y = NonZero(x) }");
  CHECK(data.find("the input of NonZero is computed at run time") != std::string::npos);
  CHECK(text("agraph (float[1,64] x) => (int64[A,B] y) { r = Relu(x)  y = NonZero(r) }").find("--freeze") == std::string::npos);
}

TEST_CASE("a frozen input replaces the value that the model gives it, and cannot be state") {
  onnx::ModelProto model = graph_model("agraph (float[1,4] x, float[1] n) => (float[1,4] y) { y = Mul(x, n) }");
  onnx::TensorProto& value = *model.mutable_graph()->add_initializer();
  value.set_name("n");
  value.set_data_type(onnx::TensorProto::FLOAT);
  value.add_dims(1);
  value.add_float_data(7);
  ImportOptions options;
  options.frozen["n"] = "2";
  Imported bound = import_bytes(model.SerializeAsString(), options);
  REQUIRE(bound.model);
  bool found = false;
  for (size_t v = 0; v < bound.graph().value_count(); ++v)
    if (const Tensor* t = bound.graph().constant(ValueId{static_cast<uint32_t>(v)})) found = found || t->to_doubles() == std::vector<double>{2};
  CHECK(found);
  options.states.push_back({"y", "n"});
  CHECK(import_bytes(model.SerializeAsString(), options).text().find("--freeze n: the input is state by --state as well.") != std::string::npos);
}

TEST_CASE("the manifest lists frozen inputs, and the depfile the files they are from") {
  const TemporaryFolder folder = temporary_folder();
  onnx::ModelProto model = graph_model("agraph (float[1,4] x, float[4] n) => (float[1,4] y) { y = Mul(x, n) }");
  REQUIRE(write_file(folder.path() / "m.onnx", model.SerializeAsString()).ok());
  REQUIRE(write_file(folder.path() / "n.npy", save_npy(Tensor::floats({4}, {1, 2, 3, 4}))).ok());
  ProcessResult result = kiln_in(folder.path(), {"compile", "m.onnx", "-o", "out", "--freeze", "n=n.npy", "--depfile", "m.d"});
  INFO(result.output);
  REQUIRE(result.exit_code == 0);
  nlohmann::json manifest = nlohmann::json::parse(*read_file(folder.path() / "out" / "manifest.json"));
  REQUIRE(manifest["frozen"].size() == 1);
  CHECK(manifest["frozen"][0]["input"] == "n");
  CHECK(manifest["frozen"][0]["dtype"] == "f32");
  CHECK(manifest["frozen"][0]["values"] == std::vector<double>{1, 2, 3, 4});
  CHECK(manifest["inputs"].size() == 1);
  CHECK(read_file(folder.path() / "m.d")->find("n.npy") != std::string::npos);
  REQUIRE(write_file(folder.path() / "n.npy", save_npy(Tensor::int64s({1, 2, 3, 4}))).ok());
  ProcessResult wrong = kiln_in(folder.path(), {"compile", "m.onnx", "-o", "out", "--freeze", "n=n.npy"});
  CHECK(wrong.exit_code == 1);
  CHECK(wrong.output.find("--freeze n=n.npy: the input is f32[4], the data is i64[4].") != std::string::npos);
}
