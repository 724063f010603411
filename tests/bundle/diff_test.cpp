// SPDX-License-Identifier: Apache-2.0
// `kiln run` and `kiln diff` as a user runs them, from the model file to the verdict.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "compiler/frontend/tensor_file.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "tests/kiln_command.h"
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

TEST_CASE("diff compares with stored outputs and says which element is wrong") {
  if (!has_onnxruntime()) return;
  TemporaryFolder folder = temporary_folder();
  fs::path set = folder.path() / "test_data_set_0";
  fs::create_directory(set);
  fs::copy(kTiny, folder.path() / "model.onnx");
  // TensorProto: dims 1 and 4, data type float, raw data.
  auto write_pb = [&](const std::string& name, const std::vector<float>& values) {
    std::string raw(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    std::ofstream(set / name, std::ios::binary) << std::string("\x08\x01\x08\x04\x10\x01\x4a\x10", 8) << raw;
  };
  write_pb("input_0.pb", {-1, 2, 3, -4});
  write_pb("output_0.pb", {0, 2, 3, 0});
  std::string model = (folder.path() / "model.onnx").string();
  nlohmann::json good = diff_json({model, "-q"}, 0);  // finds the stored set by itself
  REQUIRE(good["outputs"].size() == 2);
  CHECK(good["outputs"][1]["reference"] == "stored");
  CHECK(good["sets"][0] == "test_data_set_0");

  write_pb("output_0.pb", {0, 2.5f, 3, 0});
  nlohmann::json bad = diff_json({model, "-q", "--inputs", folder.path().string()}, 5);
  CHECK(bad["pass"] == false);
  CHECK(bad["outputs"][0]["pass"] == true);
  CHECK(bad["outputs"][1]["wrong"] == 1);
  CHECK(bad["outputs"][1]["worst"]["index"] == 1);
  ProcessResult text = kiln_command({"diff", model});
  CHECK(text.exit_code == 5);
  CHECK(text.output.find(
            "error E500: output 'y' differs from stored in 1 of 4 elements of test_data_set_0; the worst, [0,1], is 2, expected 2.5.") !=
        std::string::npos);
  CHECK(text.output.find("DIFFERS (1 of 4)") != std::string::npos);
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
