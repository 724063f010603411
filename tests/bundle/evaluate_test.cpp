// SPDX-License-Identifier: Apache-2.0
// `kiln evaluate` as a user runs it. The small model is y = Relu(x) on four numbers, so its class is the largest input.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "compiler/frontend/tensor_file.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "tests/skip.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

const std::string kTiny = KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx";

ProcessResult evaluate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {KILN_BINARY, "evaluate", "-q"});
  Result<ProcessResult> result = run_process(arguments, ".");
  REQUIRE(result.ok());
  return *std::move(result);
}

nlohmann::json evaluate_json(std::vector<std::string> arguments, int exit_code = 0) {
  TemporaryFolder folder = *TemporaryFolder::create();
  std::string report = (folder.path() / "report.json").string();
  arguments.insert(arguments.end(), {"--json", report});
  ProcessResult result = evaluate(arguments);
  INFO(result.output);
  REQUIRE(result.exit_code == exit_code);
  return nlohmann::json::parse(*read_file(report));
}

bool has_onnxruntime() {
  if (OnnxRuntime::load().ok()) return true;
  KILN_SKIP("ONNX Runtime is not installed");
  return false;
}

/// Five samples of four classes with the labels 0, 1, 2, 3, 0; the last is taken for class 2.
class Samples {
 public:
  Samples() {
    write("x.npy", Tensor::floats({5, 4}, {9, 1, 2, 3, 1, 9, 2, 3, 1, 2, 9, 3, 1, 2, 3, 9, 2, 0, 5, 1}));
    write("labels.npy", Tensor::int64s({0, 1, 2, 3, 0}));
  }
  std::string write(const std::string& name, const Tensor& tensor) const {
    fs::path path = folder_.path() / name;
    REQUIRE(write_file(path, save_npy(tensor)).ok());
    return path.string();
  }
  [[nodiscard]] std::string path(const std::string& name = "") const { return (folder_.path() / name).string(); }

 private:
  TemporaryFolder folder_ = *TemporaryFolder::create();
};

void check_refused(const std::vector<std::string>& arguments, const std::string& message) {
  ProcessResult result = evaluate(arguments);
  CHECK(result.exit_code == 1);
  INFO(result.output);
  CHECK(result.output.find(message) != std::string::npos);
}

/// A folder of shared/models, or nothing with a notice.
std::optional<fs::path> shared(const std::string& name) {
  const char* chosen = getenv("KILN_MODELS");
  fs::path folder = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / name;
  if (fs::exists(folder)) return folder;
  KILN_SKIP("there is no " << name << " in KILN_MODELS");
  return std::nullopt;
}

}  // namespace

TEST_CASE("evaluate counts right classes, with interval, classes and confusion") {
  Samples samples;
  nlohmann::json report = evaluate_json({kTiny, "--data", samples.path(), "--metric", "top1"});
  CHECK(report["schema_version"] == 1);
  CHECK(report["metric"] == "top1");
  REQUIRE(report["results"].size() == 1);
  CHECK(report["results"][0]["engine"] == "emitted code");
  CHECK(report["results"][0]["value"] == 0.8);
  CHECK(report["results"][0]["samples"] == 5);
  CHECK(report["results"][0]["interval"][0].get<double>() == Approx(0.3755).margin(1e-4));
  CHECK(report["results"][0]["interval"][1].get<double>() == Approx(0.9638).margin(1e-4));
  CHECK(report["confusion"] == nlohmann::json({{1, 0, 1, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}));
  CHECK(report["classes"][0]["recall"] == 0.5);
  CHECK(report["classes"][2]["precision"] == 0.5);
  CHECK(report["pass"] == true);
  nlohmann::json second = evaluate_json({kTiny, "--data", samples.path(), "--metric", "top2"});
  CHECK(second["results"][0]["value"] == 1.0);
  nlohmann::json part = evaluate_json({kTiny, "--data", samples.path(), "--metric", "top1", "--skip", "3", "--limit", "2"});
  CHECK(part["results"][0]["value"] == 0.5);
}

TEST_CASE("evaluate runs the emitted code and ONNX Runtime side by side") {
  if (!has_onnxruntime()) return;
  Samples samples;
  nlohmann::json report = evaluate_json({kTiny, "--data", samples.path(), "--metric", "top1", "--run", "both"});
  REQUIRE(report["results"].size() == 2);
  CHECK(report["results"][1]["engine"] == "ONNX Runtime");
  CHECK(report["results"][1]["value"] == 0.8);
  CHECK(report["difference"]["same_predictions"] == 5);
  CHECK(report["difference"]["largest"] == 0);
  CHECK(evaluate_json({kTiny, "--data", samples.path(), "--metric", "top1", "--run", "ort"})["results"][0]["engine"] == "ONNX Runtime");
}

TEST_CASE("evaluate's gates end with code 5 and say both numbers") {
  Samples samples;
  std::vector<std::string> run{kTiny, "--data", samples.path(), "--metric", "top1"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), run.begin(), run.end());
    return more;
  };
  CHECK(evaluate(with({"--min", "0.8"})).exit_code == 0);
  ProcessResult low = evaluate(with({"--min", "0.81"}));
  CHECK(low.exit_code == 5);
  CHECK(low.output.find("error E501: top1 is 0.8000 on 5 samples, --min is 0.81.\n  hint: the 95 % interval is 0.3755 to 0.9638.") !=
        std::string::npos);
  nlohmann::json same = evaluate_json(with({"--baseline", kTiny, "--max-drop", "0"}));
  CHECK(same["drop"] == 0);
  CHECK(same["baseline"]["value"] == 0.8);
  // A limit below zero asks for an improvement, which the model over itself is not.
  nlohmann::json worse = evaluate_json(with({"--baseline", kTiny, "--max-drop", "-1"}), 5);
  CHECK(worse["pass"] == false);
  CHECK(worse["gates"][0]["pass"] == false);
  ProcessResult drop = evaluate(with({"--baseline", kTiny, "--max-drop", "-1"}));
  CHECK(drop.output.find("error E502: top1 is 0.8000, 0 percentage points worse than 0.8000 of '" + kTiny + "'; --max-drop is -1.") !=
        std::string::npos);
}

TEST_CASE("evaluate measures errors against labels, a teacher and the input") {
  Samples samples;
  std::string x = samples.path("x.npy");
  // Relu gives the inputs back; all differences are 0 but two: 2 (off by 2) and 5 (off by 1).
  std::string truth = samples.write("truth.npy", Tensor::floats({5, 4}, {9, 1, 2, 3, 1, 9, 2, 3, 1, 2, 9, 3, 1, 2, 3, 9, 0, 0, 6, 1}));
  nlohmann::json rmse = evaluate_json({kTiny, "--data", x, "--labels", truth, "--metric", "rmse"});
  CHECK(rmse["results"][0]["value"].get<double>() == Approx(std::sqrt(5.0 / 20)));
  nlohmann::json mae = evaluate_json({kTiny, "--data", x, "--labels", truth, "--metric", "mae", "--max", "0.15"});
  CHECK(mae["results"][0]["value"].get<double>() == Approx(3.0 / 20));
  CHECK(evaluate({kTiny, "--data", x, "--labels", truth, "--metric", "mae", "--max", "0.14"}).exit_code == 5);
  CHECK(evaluate_json({kTiny, "--data", x, "--against", kTiny, "--metric", "mae"})["results"][0]["value"] == 0);
  CHECK(evaluate_json({kTiny, "--data", x, "--against", kTiny, "--metric", "agreement"})["results"][0]["value"] == 1);
  // The model loses what is negative: -1 and -3 of 4 numbers.
  std::string negative = samples.write("n.npy", Tensor::floats({1, 4}, {-1, 2, -3, 4}));
  nlohmann::json own = evaluate_json({kTiny, "--data", negative, "--metric", "mae", "--score", "reconstruction"});
  CHECK(own["results"][0]["value"] == 1);
}

TEST_CASE("evaluate ranks scores") {
  Samples samples;
  std::string x = samples.path("x.npy");
  std::string labels = samples.write("binary.npy", Tensor::int64s({0, 1, 1, 0, 0}));
  // Element 2 of the outputs: 2 2 9 3 5; positives score 2 and 9, negatives 2, 3 and 5: 0.5 + 3 of 6 pairs.
  nlohmann::json report = evaluate_json({kTiny, "--data", x, "--labels", samples.write("two.npy", Tensor::int64s({0, 2, 2, 0, 0})),
                                         "--metric", "auc", "--score", "output:2"});
  CHECK(report["results"][0]["value"].get<double>() == Approx(3.5 / 6));
  CHECK(report.find("confusion") == report.end());
  // Reconstruction: only the two samples with negative numbers are not given back.
  std::string lossy = samples.write("lossy.npy", Tensor::floats({3, 4}, {1, 2, 3, 4, -1, 0, 0, 0, -2, 0, 0, 0}));
  nlohmann::json anomaly = evaluate_json({kTiny, "--data", lossy, "--labels", samples.write("l.npy", Tensor::int64s({0, 1, 1})), "--metric",
                                          "auc", "--score", "reconstruction", "--min", "1"});
  CHECK(anomaly["results"][0]["value"] == 1);
  check_refused({kTiny, "--data", x, "--labels", labels, "--metric", "auc"},
                "--metric auc tells two classes apart, the output has 4 numbers.");
  check_refused({kTiny, "--data", x, "--labels", labels, "--metric", "auc", "--score", "output:4"}, "the output has 4 numbers.");
  check_refused({kTiny, "--data", x, "--labels", labels, "--metric", "auc", "--score", "best"}, "--score best: that is no score.");
}

TEST_CASE("evaluate's page stands for itself and names its classes") {
  TemporaryFolder folder = *TemporaryFolder::create();
  auto write = [&](const std::string& name, const std::vector<float>& values) {
    fs::create_directories((folder.path() / name).parent_path());
    REQUIRE(write_file(folder.path() / name, save_npy(Tensor::floats({1, 4}, values))).ok());
  };
  write("d/<one>/a.npy", {3, 0, 0, 0});
  write("d/two & three/a.npy", {3, 0, 0, 0});
  std::string page = (folder.path() / "report.html").string();
  ProcessResult result = evaluate({kTiny, "--data", (folder.path() / "d").string(), "--metric", "top1", "--html", page});
  INFO(result.output);
  REQUIRE(result.exit_code == 0);
  CHECK(result.output.find("0.5000") != std::string::npos);
  std::string html = *read_file(page);
  CHECK(html.find("&lt;one&gt;") != std::string::npos);
  CHECK(html.find("two &amp; three taken for &lt;one&gt;: 1 (100.0 %)") != std::string::npos);
  CHECK(html.find("<one>") == std::string::npos);
  for (const char* outside : {"http", "src=", "href=", "@import", "<script"}) CHECK(html.find(outside) == std::string::npos);
}

TEST_CASE("evaluate refuses what does not go together") {
  Samples samples;
  std::string x = samples.path("x.npy"), all = samples.path();
  check_refused({kTiny, "--data", x, "--metric", "top1"}, "--metric top1 needs labels, the data has none.");
  check_refused({kTiny, "--data", all, "--metric", "best"}, "there is no metric 'best'.");
  check_refused({kTiny, "--data", all, "--metric", "agreement"}, "--metric agreement needs a model to agree with.");
  check_refused({kTiny, "--data", all, "--metric", "top1", "--against", kTiny}, "--against does not go with --metric top1.");
  check_refused({kTiny, "--data", all, "--metric", "top1", "--max", "1"}, "--max does not go with --metric top1, of which more is better.");
  check_refused({kTiny, "--data", all, "--metric", "mae", "--min", "1"}, "--min does not go with --metric mae, of which less is better.");
  check_refused({kTiny, "--data", all, "--metric", "top1", "--max-drop", "1"}, "--max-drop needs a model to compare with.");
  check_refused({kTiny, "--data", all, "--metric", "top1", "--score", "reconstruction"},
                "--score reconstruction is for --metric auc, rmse and mae");
  check_refused({kTiny, "--data", all, "--metric", "top1", "--score", "output:1"}, "--score output:INDEX is for --metric auc.");
  check_refused({kTiny, "--data", all, "--metric", "top1", "--output", "z"}, "--output z: the model has no such output.");
  check_refused({kTiny, "--data", all, "--metric", "mae"}, "the output has 4 numbers, a label has 1.");
  std::string high = samples.write("high.npy", Tensor::int64s({0, 1, 2, 4, 0}));
  check_refused({kTiny, "--data", x, "--labels", high, "--metric", "top1"}, "sample 'x.npy[3]' has label 4, the output has 4 numbers.");
  std::string odd = samples.write("odd.npy", Tensor::floats({5}, {0, 1, 0.5f, 1, 0}));
  check_refused({kTiny, "--data", x, "--labels", odd, "--metric", "top1"}, "the label of sample 'x.npy[2]' is no class (0, 1, 2, ...).");
  check_refused({kTiny, "--data", x, "--labels", samples.write("ones.npy", Tensor::int64s({1, 1, 1, 1, 1})), "--metric", "auc", "--score",
                 "output:1"},
                "5 of 5 samples are positive; the area under the ROC curve needs both kinds.");
  CHECK(evaluate({kTiny, "--data", samples.path("gone"), "--metric", "top1"}).exit_code == 4);
  std::string labels = samples.path("labels.npy");
  CHECK(evaluate({kTiny, "--data", x, "--labels", labels, "--metric", "top1", "--baseline", samples.path("gone.onnx")}).exit_code == 4);
}

TEST_CASE("real models have the accuracy that is known of them") {
  std::optional<fs::path> data = shared("eval_data");
  if (!data || !has_onnxruntime()) return;
  struct Case {
    const char *model, *x;
    std::vector<std::string> options;
    double accuracy;
  };
  // Measured with ONNX Runtime and NumPy, see the README of the models.
  for (const Case& c : {Case{"mlperf_tiny_kws_float", "kws01/x_int8.npy", {"--mean", "83", "--scale", "0.58470"}, 0.914},
                        Case{"mnist_atmega", "mnist/x_uint8.npy", {"--scale", "0.00392156862745098", "--resize", "bilinear"}, 0.926},
                        Case{"alibaba_vww_float", "vww10/x_float32.npy", {"--layout", "nhwc"}, 0.9}}) {
    std::optional<fs::path> model = shared(c.model);
    if (!model) continue;
    INFO(c.model);
    fs::path x = *data / c.x;
    std::vector<std::string> arguments{(*model / "model.onnx").string(),
                                       "--data",
                                       x.string(),
                                       "--labels",
                                       (x.parent_path() / "labels.npy").string(),
                                       "--metric",
                                       "top1",
                                       "--run",
                                       "both",
                                       "--cpu",
                                       "native"};
    arguments.insert(arguments.end(), c.options.begin(), c.options.end());
    nlohmann::json report = evaluate_json(arguments);
    for (const nlohmann::json& result : report["results"]) CHECK(result["value"].get<double>() == Approx(c.accuracy).margin(1e-9));
    CHECK(report["difference"]["same_predictions"] == report["results"][0]["samples"]);
  }
}
