// SPDX-License-Identifier: Apache-2.0
// Quantized real models: every layer on integers, in no more RAM and flash than they need.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "compiler/runner/process.h"
#include "tests/skip.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

nlohmann::json inspected(const std::string& model, std::vector<std::string> options) {
  const char* chosen = getenv("KILN_MODELS");
  fs::path file = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / model / "model.onnx";
  if (!fs::exists(file)) {
    KILN_SKIP("there is no " << model << " in KILN_MODELS");
    return nullptr;
  }
  std::vector<std::string> command{KILN_BINARY, "inspect", file.string(), "-q", "--json", "-"};
  command.insert(command.end(), options.begin(), options.end());
  Result<ProcessResult> result = run_process(command, ".");
  REQUIRE(result.ok());
  INFO(result->output);
  REQUIRE(result->exit_code == 0);
  nlohmann::json report = nlohmann::json::parse(result->output);
  report["model_file_bytes"] = fs::file_size(file);
  return report;
}

struct Bound {
  const char* model;
  int64_t arena_bytes;  ///< what is alive at the peak, and alignment
};

}  // namespace

TEST_CASE("MLPerf Tiny in int8 needs the arena of its integers") {
  const Bound bounds[] = {{"mlperf_tiny_kws", 16128}, {"mlperf_tiny_ic", 49280}, {"mlperf_tiny_vww", 55424}, {"mlperf_tiny_ad", 896}};
  for (const Bound& bound : bounds) {
    for (bool stripped : {false, true}) {
      std::string model = bound.model + std::string(stripped ? "_int8" : "_int8io");
      INFO(model);
      nlohmann::json report = inspected(model, stripped ? std::vector<std::string>{"--io-dtype", "int8"} : std::vector<std::string>{});
      if (report.is_null()) continue;
      CHECK(report["memory"]["arena_bytes"] <= bound.arena_bytes);
      CHECK(report["float_nodes"].empty());
      for (const char* side : {"inputs", "outputs"}) {
        CHECK(report[side][0]["dtype"] == "i8");
        CHECK(report[side][0]["scale"].is_number());
        CHECK(report[side][0]["zero_point"].is_number());
      }
    }
  }
}

TEST_CASE("quantized real models compute on integers and store their weights as such") {
  for (const char* model : {"mlperf_tiny_kws_int8", "mlperf_tiny_ic_int8", "mlperf_tiny_vww_int8", "mlperf_tiny_ad_int8",
                            "mlperf_tiny_sww_int8", "micro_speech_int8", "person_detect_int8", "hello_world_int8", "rnnoise_int8",
                            "mlperf_tiny_kws_qop", "mlperf_tiny_ic_qop", "mlperf_tiny_vww_qop", "mlperf_tiny_ad_qop", "micro_kws_m_qdq",
                            "micro_kws_m_qoperator", "cct2_transformer_qdq_u8s8", "espdl_tcn_qdq_a16w8"}) {
    INFO(model);
    nlohmann::json report = inspected(model, {});
    if (report.is_null()) continue;
    CHECK(report["float_nodes"] == nlohmann::json::array());
    CHECK(report["memory"]["weights_bytes"] <= report["model_file_bytes"]);
  }
}

TEST_CASE("integers at the boundary (--io-dtype int8) need a model that quantizes at its boundary") {
  Result<ProcessResult> result =
      run_process({KILN_BINARY, "inspect", KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx", "--io-dtype", "int8"}, ".");
  REQUIRE(result.ok());
  CHECK(result->exit_code == 1);
  CHECK(result->output.find("the model quantizes none of its inputs") != std::string::npos);
  CHECK(result->output.find("kiln quantize") != std::string::npos);
}
