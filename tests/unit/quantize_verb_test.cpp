// SPDX-License-Identifier: Apache-2.0
// kiln quantize as a program.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "compiler/driver/process.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/ir/random_tensor.h"
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
  CHECK(json({"--per-tensor"})["equalized_pairs"].get<int>() > 0);
  CHECK(json({"--per-tensor", "--no-equalize"})["equalized_pairs"] == 0);
  CHECK(json({"--per-tensor"})["per_channel"] == false);
  CHECK(json({"--equalize"})["equalized_pairs"].get<int>() > 0);
  nlohmann::json plain = json({}), kept = json({"--keep-float", plain["layers"][0]["name"].get<std::string>()});
  CHECK(kept["float_nodes"].size() > plain["float_nodes"].size());
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
