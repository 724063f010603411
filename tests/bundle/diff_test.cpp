// SPDX-License-Identifier: Apache-2.0
// `kiln run` and `kiln diff` as a user runs them, from the model file to the verdict.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "compiler/frontend/tensor_file.h"
#include "compiler/judge/diff.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "tests/kiln_command.h"
#include "tests/model_maker.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

const std::string kTiny = KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx";

bool has_onnxruntime() {
  if (OnnxRuntime::load().ok()) return true;
  KILN_SKIP("ONNX Runtime is not installed");
  return false;
}

/// The folder of a real model, or nothing with a notice.
std::optional<fs::path> model_folder(const std::string& name) {
  const char* chosen = getenv("KILN_MODELS");
  fs::path folder = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / name;
  if (fs::exists(folder / "model.onnx")) return folder;
  KILN_SKIP("there is no " << name << " in KILN_MODELS");
  return std::nullopt;
}

void write_tensor(const fs::path& path, const Tensor& tensor) { REQUIRE(write_file(path, save_npy(tensor)).ok()); }

/// The JSON report of `kiln diff`, which must end with `exit_code`.
nlohmann::json diff_json(std::vector<std::string> arguments, int exit_code) {
  TemporaryFolder folder = temporary_folder();
  std::string report = (folder.path() / "report.json").string();
  arguments.insert(arguments.begin(), "diff");
  arguments.insert(arguments.end(), {"--json", report});
  ProcessResult result = kiln_command(arguments);
  INFO(result.output);
  REQUIRE(result.exit_code == exit_code);
  Result<std::string> text = read_file(report);
  REQUIRE(text.ok());
  return nlohmann::json::parse(*text);
}

}  // namespace

TEST_CASE("run prints what the emitted code computes") {
  TemporaryFolder folder = temporary_folder();
  std::string input = (folder.path() / "x.npy").string();
  write_tensor(input, Tensor::floats({1, 4}, {-1, 0.5f, -0.25f, 3}));
  ProcessResult named = kiln_command({"run", kTiny, "--input", "x=" + input, "-q"});
  CHECK(named.exit_code == 0);
  CHECK(named.output == "y f32[1,4]\n  0 0.5 0 3\n");

  fs::path results = folder.path() / "results";
  ProcessResult unnamed = kiln_command({"run", kTiny, "--input", input, "-q", "-o", results.string()});
  INFO(unnamed.output);
  REQUIRE(unnamed.exit_code == 0);
  CHECK(unnamed.output.empty());
  Result<Tensor> written = load_tensor(results / "y.npy");
  REQUIRE(written.ok());
  CHECK(*written == Tensor::floats({1, 4}, {0, 0.5f, 0, 3}));
}

TEST_CASE("run names inputs that are missing, unknown or of a wrong type") {
  TemporaryFolder folder = temporary_folder();
  std::string input = (folder.path() / "x.npy").string();
  ProcessResult missing = kiln_command({"run", kTiny, "-q"});
  CHECK(missing.exit_code == 1);
  CHECK(missing.output.find("error E105: there is no data for input 'x' f32[1,4].") == 0);
  write_tensor(input, Tensor::floats({2, 2}, {1, 2, 3, 4}));
  ProcessResult shape = kiln_command({"run", kTiny, "-q", "--input", "x=" + input});
  CHECK(shape.exit_code == 1);
  CHECK(shape.output.find("input 'x' is f32[1,4], the data is f32[2,2].") != std::string::npos);
  write_tensor(input, Tensor::int64s({1, 2, 3, 4}));
  ProcessResult dtype = kiln_command({"run", kTiny, "-q", "--input", input});
  CHECK(dtype.exit_code == 1);
  CHECK(dtype.output.find("input 'x' is f32[1,4], the data is i64[4].") != std::string::npos);
  ProcessResult unknown = kiln_command({"run", kTiny, "-q", "--input", "z=" + input});
  CHECK(unknown.exit_code == 1);
  CHECK(unknown.output.find("the model has no input 'z'.") != std::string::npos);
  CHECK(kiln_command({"run", kTiny, "-q", "--input", "x=nowhere.npy"}).exit_code == 4);
  CHECK(kiln_command({"run", kTiny, "-q", "--target", "cortex-m4", "--input", input}).exit_code == 1);
}

TEST_CASE("diff finds a model equal, output by output and layer by layer") {
  if (!has_onnxruntime()) return;
  nlohmann::json report = diff_json({kTiny, "--layers", "--random", "4", "--seed", "9", "-q"}, 0);
  CHECK(report["schema_version"] == 1);
  CHECK(report["pass"] == true);
  CHECK(report["sets"].size() == 4);
  REQUIRE(report["outputs"].size() == 4);
  CHECK(report["outputs"][0]["name"] == "y");
  CHECK(report["outputs"][0]["max_abs"] == 0);
  REQUIRE(report["layers"].size() == 1);
  CHECK(report["layers"][0]["onnx_tensor"] == "y");
  CHECK(report["first_divergence"].is_null());
}

/// A model with one stored set: x and y, as the ONNX backend tests have them.
class StoredSet {
 public:
  explicit StoredSet(const std::string& bytes) : folder_(temporary_folder()) {
    fs::create_directory(set());
    REQUIRE(write_file(folder_.path() / "model.onnx", bytes).ok());
  }
  void write(const std::string& name, const Tensor& tensor) const {
    REQUIRE(write_file(set() / name, to_proto(tensor, "").SerializeAsString()).ok());
  }
  [[nodiscard]] std::string model() const { return (folder_.path() / "model.onnx").string(); }
  [[nodiscard]] std::string path() const { return folder_.path().string(); }

 private:
  [[nodiscard]] fs::path set() const { return folder_.path() / "test_data_set_0"; }
  TemporaryFolder folder_;
};

TEST_CASE("diff compares with stored outputs and says when they are those of another model") {
  if (!has_onnxruntime()) return;
  const StoredSet stored(*read_file(kTiny));
  stored.write("input_0.pb", Tensor::floats({1, 4}, {-1, 2, 3, -4}));
  stored.write("output_0.pb", Tensor::floats({1, 4}, {0, 2, 3, 0}));
  nlohmann::json good = diff_json({stored.model(), "-q"}, 0);  // finds the stored set by itself
  REQUIRE(good["outputs"].size() == 2);
  CHECK(good["outputs"][1]["reference"] == "stored");
  CHECK(good["outputs"][1]["counts"] == true);
  CHECK(good["sets"][0] == "test_data_set_0");
  CHECK(good["verdict"] == "same");

  // ONNX Runtime is as far from them as the emitted code, so that this is no fault of the code.
  stored.write("output_0.pb", Tensor::floats({1, 4}, {0, 2.5f, 3, 0}));
  nlohmann::json other = diff_json({stored.model(), "-q", "--inputs", stored.path()}, 0);
  CHECK(other["pass"] == true);
  CHECK(other["outputs"][0]["pass"] == true);
  CHECK(other["outputs"][1]["pass"] == false);
  CHECK(other["outputs"][1]["counts"] == false);
  CHECK(other["outputs"][1]["wrong"] == 1);
  CHECK(other["outputs"][1]["worst"]["index"] == 1);
  CHECK(other["outputs"][1]["onnxruntime_max_abs"] == 0.5);
  ProcessResult text = kiln_command({"diff", stored.model()});
  CHECK(text.exit_code == 0);
  CHECK(text.output.find("the stored outputs 'y' are not this model's: ONNX Runtime differs from them as much, by 0.5, the emitted code by 0.5; "
                         "they do not count") != std::string::npos);
  CHECK(text.output.find("not this model's (1 of 4)") != std::string::npos);
}

TEST_CASE("a failure against stored outputs counts unless ONNX Runtime fails as badly") {
  DiffReport report;
  Comparison wrong;
  wrong.elements = wrong.wrong = wrong.different = 1;
  wrong.max_abs = 1;
  report.outputs.push_back({"y", "stored", "s", {}, {}, wrong, 1.0, false});
  CHECK(report.pass());
  CHECK(report.worst_failure() == nullptr);
  report.outputs.front().counts = true;
  CHECK_FALSE(report.pass());
  CHECK(report.worst_failure() == &report.outputs.front());
}

TEST_CASE("a step of a grid is allowed and said; with a tolerance of the user's nothing is") {
  if (!has_onnxruntime()) return;
  ModelMaker m;
  m.input("x", DType::f32, {1, 4});
  const std::string scale = m.number(0.5f), zero = m.integer<int8_t>(0);
  m.output(m.node("DequantizeLinear", {m.node("QuantizeLinear", {"x", scale, zero}), scale, zero}), DType::f32);
  const StoredSet stored(m.bytes());
  stored.write("input_0.pb", Tensor::floats({1, 4}, {1, 2, 3, 4}));
  stored.write("output_0.pb", Tensor::floats({1, 4}, {1, 2.5f, 3, 4}));
  nlohmann::json report = diff_json({stored.model(), "-q", "--layers"}, 0);
  CHECK(report["verdict"] == "within_allowances");
  CHECK(report["pass"] == true);
  CHECK(report["tolerance"]["explicit"] == false);
  const nlohmann::json& output = report["outputs"][1];
  CHECK(output["allowances"]["quantization_step"]["absolute"] == 0.5);
  CHECK_FALSE(output["allowances"]["quantization_step"]["reason"].get<std::string>().empty());
  CHECK(output["allowed"] == 1);
  CHECK(output["wrong"] == 0);
  for (const nlohmann::json& layer : report["layers"])
    if (layer.contains("allowances")) CHECK(layer["allowances"].contains("quantization_step"));
  ProcessResult text = kiln_command({"diff", stored.model()});
  INFO(text.output);
  CHECK(text.output.find("  grid step  verdict") != std::string::npos);
  CHECK(text.output.find("  allowed (1 of 4)") != std::string::npos);
  CHECK(text.output.find("not equal within the tolerance, but with what is allowed beyond it") != std::string::npos);
  CHECK(text.output.find("grid step: allowed beyond the tolerance; ONNX Runtime sums floats") != std::string::npos);

  for (const char* option : {"--atol", "--rtol"}) {
    nlohmann::json strict = diff_json({stored.model(), "-q", "--layers", option, "0.0001"}, 0);  // the stored value is not the model's
    CHECK(strict["tolerance"]["explicit"] == true);
    CHECK(strict["outputs"][1]["wrong"] == 1);
    CHECK(strict["outputs"][1]["allowances"].empty());
    for (const nlohmann::json& layer : strict["layers"])
      if (layer.contains("allowances")) CHECK(layer["allowances"].empty());
  }
  CHECK(diff_json({stored.model(), "-q", "--atol", "0.5"}, 0)["verdict"] == "within_tolerance");
}

TEST_CASE("an absolute tolerance of the user's holds for integers as well") {
  if (!has_onnxruntime()) return;
  ModelMaker m;
  m.input("x", DType::f32, {1, 4});
  m.output(m.node("QuantizeLinear", {"x", m.number(0.5f), m.integer<int8_t>(0)}), DType::i8);
  const StoredSet stored(m.bytes());
  stored.write("input_0.pb", Tensor::floats({1, 4}, {1, 2, 3, 4}));
  stored.write("output_0.pb", Tensor::of<int8_t>({1, 4}, std::vector<int8_t>{2, 7, 6, 8}));  // the second is 4
  CHECK(diff_json({stored.model(), "-q", "--atol", "3"}, 0)["outputs"][1]["pass"] == true);
  CHECK(diff_json({stored.model(), "-q", "--atol", "2"}, 0)["outputs"][1]["pass"] == false);
  CHECK(diff_json({stored.model(), "-q", "--rtol", "9"}, 0)["outputs"][1]["pass"] == false);
}

TEST_CASE("layers are compared in the input set in which the output is furthest off") {
  if (!has_onnxruntime()) return;
  ModelMaker m;
  m.input("x", DType::f32, {1, 64});
  m.output(m.node("Exp", {m.node("Mul", {"x", m.number(7)})}), DType::f32);
  const StoredSet place(m.bytes());
  for (const char* seed : {"1", "2", "3"}) {
    nlohmann::json report = diff_json({place.model(), "-q", "--random", "6", "--seed", seed, "--layers"}, 0);
    std::string worst;
    double most = -1;
    for (const nlohmann::json& output : report["outputs"])
      if (output["max_abs"].get<double>() > most) {
        most = output["max_abs"];
        worst = output["set"];
      }
    INFO(report.dump(1));
    CHECK(report["layer_set"] == worst);
    // The results of the layer that makes the output are those of that set.
    CHECK(report["layers"].back()["max_abs"] == most);
  }
}

TEST_CASE("layers of a model that keeps state are those of the worst step of a sequence") {
  if (!has_onnxruntime()) return;
  nlohmann::json report = diff_json({KILN_SOURCE_DIR "/tests/data/tiny_sum.onnx", "--state", "t=s", "--steps", "5", "-q", "--layers"}, 0);
  CHECK(report["first_divergence"].is_null());
  CHECK(report["layer_set"].get<std::string>().starts_with("random 0 step "));
}

TEST_CASE("a frozen input is a constant for both sides, and stored data for it are left out") {
  if (!has_onnxruntime()) return;
  ModelMaker m;
  m.input("rate", DType::i64, {});
  m.input("x", DType::f32, {1, 4});
  m.output(m.node("Mul", {"x", m.node("Cast", {"rate"}, {{"to", int64_t{1}}})}), DType::f32);
  const StoredSet stored(m.bytes());
  stored.write("input_0.pb", Tensor::int64s({3}).reshaped({}));
  stored.write("input_1.pb", Tensor::floats({1, 4}, {1, 2, 3, 4}));
  stored.write("output_0.pb", Tensor::floats({1, 4}, {3, 6, 9, 12}));
  nlohmann::json report = diff_json({stored.model(), "-q", "--freeze", "rate=3"}, 0);
  CHECK(report["verdict"] == "same");
  CHECK(report["outputs"][1]["counts"] == true);
  // With another value the stored outputs are those of another model.
  CHECK(diff_json({stored.model(), "-q", "--freeze", "rate=4"}, 0)["outputs"][1]["counts"] == false);
}

TEST_CASE("diff refuses data that does not fit") {
  if (!has_onnxruntime()) return;
  TemporaryFolder folder = temporary_folder();
  write_tensor(folder.path() / "x.npy", Tensor::floats({1, 5}, {1, 2, 3, 4, 5}));
  ProcessResult result = kiln_command({"diff", kTiny, "-q", "--inputs", (folder.path() / "x.npy").string()});
  CHECK(result.exit_code == 1);
  CHECK(result.output.find("input 'x' is f32[1,4], the data is f32[1,5].") != std::string::npos);
  CHECK(kiln_command({"diff", kTiny, "-q", "--inputs", (folder.path() / "nothing").string()}).exit_code == 4);
  CHECK(kiln_command({"diff", kTiny, "-q", "--atol", "-1"}).exit_code == 1);
}

TEST_CASE("without ONNX Runtime diff says how to get it") {
  std::optional<std::string> old;
  if (const char* value = getenv("KILN_ONNXRUNTIME")) old = value;
  setenv("KILN_ONNXRUNTIME", "/nowhere/libonnxruntime.so.1", 1);
  ProcessResult result = kiln_command({"diff", kTiny, "-q"});
  old ? setenv("KILN_ONNXRUNTIME", old->c_str(), 1) : unsetenv("KILN_ONNXRUNTIME");
  CHECK(result.exit_code == 4);
  CHECK(result.output.find("error E404: ") == 0);
  CHECK(result.output.find("scripts/setup") != std::string::npos);
}

TEST_CASE("the verdict depends on the tolerance") {
  std::optional<fs::path> folder = model_folder("mlperf_tiny_kws_float");
  if (!folder || !has_onnxruntime()) return;
  std::string model = (*folder / "model.onnx").string();
  nlohmann::json exact = diff_json({model, "-q", "--atol", "0", "--rtol", "0", "--layers"}, 5);
  CHECK(exact["first_divergence"]["name"].get<std::string>().starts_with("step "));
  nlohmann::json layers = diff_json({model, "-q", "--layers"}, 0);
  CHECK(layers["first_divergence"].is_null());
  size_t compared = 0;
  for (const nlohmann::json& layer : layers["layers"]) compared += layer["onnx_tensor"].is_null() ? 0 : 1;
  CHECK(compared >= 10);
}

TEST_CASE("real float models equal ONNX Runtime and their stored outputs") {
  if (!has_onnxruntime()) return;
  for (const char* name : {"hello_world_float", "magic_wand_float", "mlperf_tiny_ad_float", "mlperf_tiny_ic_float", "mlperf_tiny_vww_float",
                           "alibaba_kws_float", "alibaba_vww_float", "mnist_atmega", "mnist_cntk_opset8"}) {
    std::optional<fs::path> folder = model_folder(name);
    if (!folder) continue;
    INFO(name);
    nlohmann::json report = diff_json({(*folder / "model.onnx").string(), "-q", "--layers", "--cpu", "native"}, 0);
    size_t stored = 0;
    for (const nlohmann::json& output : report["outputs"]) stored += output["reference"] == "stored" ? 1 : 0;
    CHECK(stored > 0);
    CHECK(report["first_divergence"].is_null());
  }
}
