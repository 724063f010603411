// SPDX-License-Identifier: Apache-2.0
// kiln quantize as a program.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "compiler/frontend/tensor_file.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"

using namespace kiln;

namespace {

const std::string kDigits = std::string(KILN_SOURCE_DIR) + "/examples/digits/digits.onnx";

/// A folder with calibration data for the digits example.
struct Workplace {
  TemporaryFolder folder;
  std::string data = (folder.path() / "images.npy").string();

  static Workplace make() {
    Result<TemporaryFolder> folder = TemporaryFolder::create();
    REQUIRE(folder.ok());
    Workplace place{*std::move(folder)};
    REQUIRE(write_file(place.data, save_npy(random_tensor({DType::f32, {12, 1, 8, 8}, {}}, 1))).ok());
    return place;
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder.path() / name).string(); }
  [[nodiscard]] ProcessResult quantize(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {KILN_BINARY, "quantize"});
    Result<ProcessResult> result = run_process(arguments, folder.path());
    REQUIRE(result.ok());
    return *std::move(result);
  }
};

}  // namespace

TEST_CASE("kiln quantize writes a model and a table, and the same bytes again") {
  Workplace place = Workplace::make();
  ProcessResult first = place.quantize({kDigits, "--calibration", place.data, "-o", "a.onnx"});
  INFO(first.output);
  REQUIRE(first.exit_code == 0);
  CHECK(first.output.find("layer") == 0);
  CHECK(first.output.find("per channel") != std::string::npos);
  CHECK(first.output.find("wrote a.onnx") != std::string::npos);
  ProcessResult second = place.quantize({kDigits, "--calibration", place.data, "-o", "b.onnx", "--json", "-"});
  REQUIRE(second.exit_code == 0);
  CHECK(*read_file(place.path("a.onnx")) == *read_file(place.path("b.onnx")));
  auto json = nlohmann::json::parse(second.output);
  CHECK(json["schema_version"] == 1);
  CHECK(json["method"] == "percentile");
  CHECK(json["layers"].size() > 5);
  CHECK(json["parameter_bytes"].get<int64_t>() < json["parameter_bytes_before"].get<int64_t>() / 2);
  CHECK(json["outputs"][0]["snr_db"].get<double>() > 20);
}

TEST_CASE("every layer of a model that kiln quantized computes on integers") {
  Workplace place = Workplace::make();
  const std::string images = std::string(KILN_SOURCE_DIR) + "/examples/digits/calibration.npy";
  REQUIRE(place.quantize({kDigits, "--calibration", images, "--std", "16", "-o", "q.onnx"}).exit_code == 0);
  Result<ProcessResult> inspected = run_process({KILN_BINARY, "inspect", "q.onnx"}, place.folder.path());
  REQUIRE(inspected.ok());
  INFO(inspected->output);
  CHECK(inspected->output.find("every layer computes on integers") != std::string::npos);
}

TEST_CASE("options of kiln quantize change what it does") {
  Workplace place = Workplace::make();
  auto json = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {kDigits, "--calibration", place.data, "-o", "out.onnx", "--json", "-"});
    ProcessResult result = place.quantize(options);
    INFO(result.output);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.output);
  };
  CHECK(json({"--method", "minmax"})["method"] == "minmax");
  CHECK(json({"--activations", "int16"})["layers"][0]["dtype"] == "i16");
  CHECK(json({"--per-tensor"})["per_channel"] == false);
  CHECK(json({"--equalize"})["equalized_pairs"].get<int>() > 0);
  nlohmann::json plain = json({}), kept = json({"--keep-float", plain["layers"][0]["name"].get<std::string>()});
  CHECK(kept["float_nodes"].size() > plain["float_nodes"].size());
}

TEST_CASE("kiln quantize keeps to a drop of accuracy") {
  Workplace place = Workplace::make();
  REQUIRE(write_file(place.path("labels.npy"), save_npy(Tensor::int64s({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}))).ok());
  ProcessResult result =
      place.quantize({kDigits, "--calibration", place.data, "--labels", "labels.npy", "--max-drop", "0", "-o", "q.onnx", "--json", "-"});
  INFO(result.output);
  REQUIRE(result.exit_code == 0);
  auto json = nlohmann::json::parse(result.output);
  CHECK(json["goal"]["share"].get<double>() >= json["goal"]["share_float"].get<double>());
}

TEST_CASE("kiln compile quantizes on the way") {
  Workplace place = Workplace::make();
  auto compile = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {KILN_BINARY, "compile", kDigits, "--name", "digits"});
    Result<ProcessResult> result = run_process(arguments, place.folder.path());
    REQUIRE(result.ok());
    return *std::move(result);
  };
  ProcessResult direct = compile({"--quantize", "int8", "--calibration", place.data, "-o", "direct"});
  INFO(direct.output);
  REQUIRE(direct.exit_code == 0);
  ProcessResult quantized = place.quantize({kDigits, "--calibration", place.data, "-o", "digits.onnx"});
  REQUIRE(quantized.exit_code == 0);
  REQUIRE(run_process({KILN_BINARY, "compile", "digits.onnx", "--name", "digits", "-o", "twice"}, place.folder.path())->exit_code == 0);
  // The files differ in the model that they name: the float one, or the one written in between.
  auto code = [&](const char* folder, const char* file) {
    std::string text = *read_file(place.folder.path() / folder / file);
    size_t hash = text.find("sha256");
    return hash == std::string::npos ? text : text.erase(hash, std::string("sha256 0123456789abcdef").size());
  };
  for (const char* file : {"digits.cpp", "digits_weights.cpp", "digits.h"}) CHECK(code("direct", file) == code("twice", file));
  CHECK(read_file(place.folder.path() / "direct" / "digits_weights.cpp")->find("int8_t") != std::string::npos);
  ProcessResult no_data = compile({"--quantize", "int8", "-o", "x"});
  CHECK(no_data.exit_code == 1);
  CHECK(no_data.output.find("--quantize needs calibration data") != std::string::npos);
  CHECK(compile({"--calibration", place.data, "-o", "x"}).exit_code == 1);
}

TEST_CASE("a model that is quantized is not quantized again, and 8-bit integers for float inputs are warned of") {
  Workplace place = Workplace::make();
  REQUIRE(place.quantize({kDigits, "--calibration", place.data, "-o", "digits.onnx"}).exit_code == 0);
  ProcessResult again = place.quantize({"digits.onnx", "--calibration", place.data, "-o", "twice.onnx"});
  INFO(again.output);
  CHECK(again.exit_code == 3);
  CHECK(again.output.find("error E305: digits.onnx: the model is quantized already: node '") == 0);
  const std::string codes = (place.folder.path() / "codes.npy").string();
  REQUIRE(write_file(codes, save_npy(Tensor(TensorType{DType::i8, {4, 1, 8, 8}, {}}))).ok());
  ProcessResult warned = place.quantize({kDigits, "--calibration", codes, "-o", "codes.onnx"});
  INFO(warned.output);
  CHECK(warned.output.find("warning E105: ") != std::string::npos);
  CHECK(warned.output.find("is f32[1,1,8,8], the data is i8; it is taken as the numbers from -128 to 127.") != std::string::npos);
  CHECK(place.quantize({kDigits, "--calibration", codes, "--scale", "0.5", "-o", "codes.onnx"}).output.find("warning") == std::string::npos);
}

TEST_CASE("kiln quantize says what is wrong") {
  Workplace place = Workplace::make();
  ProcessResult no_data = place.quantize({kDigits, "-o", "out.onnx"});
  CHECK(no_data.exit_code == 1);
  CHECK(no_data.output.find("--calibration is required") != std::string::npos);
  ProcessResult node = place.quantize({kDigits, "--calibration", place.data, "-o", "out.onnx", "--keep-float", "nothing"});
  CHECK(node.exit_code == 1);
  CHECK(node.output.find("error E106") == 0);
  REQUIRE(write_file(place.path("wrong.npy"), save_npy(random_tensor({DType::f32, {5, 3, 8, 8}, {}}, 1))).ok());
  ProcessResult shape = place.quantize({kDigits, "--calibration", "wrong.npy", "-o", "out.onnx"});
  CHECK(shape.exit_code == 1);
  CHECK(shape.output.find("error E105") == 0);
  ProcessResult missing = place.quantize({kDigits, "--calibration", "nowhere", "-o", "out.onnx"});
  CHECK(missing.exit_code == 4);
  CHECK(!std::filesystem::exists(place.path("out.onnx")));
}
