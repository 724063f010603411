// SPDX-License-Identifier: Apache-2.0
// Every option of every verb, given on a command line: what `--help` lists can be used.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "compiler/driver/cli.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/reference/onnxruntime.h"
#include "tests/kiln_command.h"
#include "tests/model_maker.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

/// v4 = Relu(Conv(x[N,3,4,4])) * n; n is an i64.
onnx::ModelProto scaled_model() {
  ModelMaker m;
  m.input("x", DType::f32, {1, 3, 4, 4});
  m.input("n", DType::i64, {});
  const std::string conv = m.node("Conv", {"x", m.constant(random_tensor({DType::f32, {3, 3, 1, 1}, {}}, 1))});
  const std::string relu = m.node("Relu", {conv}), factor = m.node("Cast", {"n"}, {{"to", int64_t{1}}});
  m.output(m.node("Mul", {relu, factor}), DType::f32);  // v4
  onnx::ModelProto model = m.model();
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_param("N");
  return model;
}

class Place {
 public:
  Place() : folder(temporary_folder()) {
    fs::copy(KILN_SOURCE_DIR "/tests/data/tiny_sum.onnx", folder.path() / "sum.onnx");
    REQUIRE(write_file(folder.path() / "m.onnx", scaled_model().SerializeAsString()).ok());
    write("x.npy", random_tensor({DType::f32, {1, 3, 4, 4}, {}}, 2));
    write("many.npy", random_tensor({DType::f32, {6, 3, 4, 4}, {}}, 3));
    write("nhwc.npy", random_tensor({DType::f32, {6, 4, 4, 3}, {}}, 3));
    write("labels.npy", Tensor::int64s({0, 1, 0, 1, 0, 1}));
  }
  void write(const std::string& name, const Tensor& tensor) const { REQUIRE(write_file(folder.path() / name, save_npy(tensor)).ok()); }

  TemporaryFolder folder;
};

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// What the options say of the model, twice, to have all of them.
const Words kModel = {"m.onnx", "--dim", "N=1", "--freeze", "n=2"}, kShape = {"m.onnx", "--input-shape", "x=1,3,4,4", "--freeze", "n=2"};
const Words kHost = {"--target", "host", "--cpu",          "x86-64-v2",  "--optimize", "size",
                     "--name",   "mine", "--wide-weights", "--io-dtype", "model"};
const Words kLooking = {"--disable-pass", "common-subexpressions",
                        "--print-after",  "dead-code",
                        "--time-passes",  "--dot",
                        "g.dot",          "--dump-dir",
                        "dump",           "--explain",
                        "kernels"};
const Words kStop = kShape + Words{"--march", "x86-64", "--stop-after", "dead-code"};
const Words kData = {"--mean",   "1,2,3",   "--std",         "1,2,3.5", "--scale", "-1,2,0.5", "--layout", "nhwc",
                     "--resize", "nearest", "--sample-rate", "16000",   "--skip",  "1",        "--limit",  "4"};
const Words kCalibration = {"--calibration",
                            "nhwc.npy",
                            "--samples",
                            "4",
                            "--method",
                            "percentile",
                            "--percentile",
                            "99.9",
                            "--per-tensor",
                            "--equalize",
                            "--no-bias-correction",
                            "--adaround",
                            "--keep-float",
                            "Mul4",
                            "--activations",
                            "int16",
                            "--max-drop",
                            "90",
                            "--data",
                            "nhwc.npy",
                            "--labels",
                            "labels.npy"};
const Words kBoard = {"--target", "cortex-m4", "--compiler", "gcc", "--cflags=-O1", "--ram", "1M", "--flash", "1M", "--stack", "8K"};

/// Command lines by verb. All of them succeed.
std::map<std::string, std::vector<Words>> command_lines() {
  std::map<std::string, std::vector<Words>> lines;
  lines["compile"] = {
      kModel + kHost + kLooking + Words{"-o", "a", "--vectors", "2", "--reference-kernels", "--json", "a.json", "--depfile", "a.d"},
      kStop + Words{"--output", "b"},
      {"sum.onnx", "--state", "t=s"},
      kModel + kBoard + Words{"--report"},
      kModel + kCalibration + kData + Words{"--quantize", "int8", "-o", "c"}};
  lines["inspect"] = {kModel + kHost + kLooking + Words{"--json", "i.json"}, kStop, {"sum.onnx", "--state", "t=s"}, kModel + kBoard};
  lines["run"] = {kModel + kHost + kLooking + Words{"--input", "x=x.npy", "-o", "r"},
                  kShape + Words{"--input", "x.npy", "--output", "s", "--march", "x86-64"},
                  {"sum.onnx", "--state", "t=s", "--input", "x=four.npy"},
                  kModel + kBoard + Words{"--input", "x.npy", "--profile"},
                  kStop + Words{"--input", "x.npy"}};
  lines["diff"] = {kModel + kHost + kLooking + Words{"--random", "2", "--seed", "7", "--layers", "--optimize-ort", "--json", "d.json"},
                   kShape + Words{"--inputs", "x.npy", "--atol", "0.01", "--rtol", "0.01", "--time", "2", "--march", "x86-64"},
                   {"sum.onnx", "--state", "t=s", "--steps", "3"},
                   kModel + Words{"--compiler", "c++", "--cflags=-O1", "--sanitize"},
                   kStop};
  lines["quantize"] = {kModel + kCalibration + kData + Words{"-o", "q.onnx", "--json", "q.json"},
                       kShape + Words{"--calibration", "many.npy", "--output", "p.onnx", "--method", "minmax"}};
  const Words judged = {"--data", "nhwc.npy", "--labels", "labels.npy"};
  lines["evaluate"] = {kModel + kHost + kLooking + judged + kData +
                           Words{"--metric", "top1", "--output", "v4", "--run", "both", "--optimize-ort", "--json", "e.json", "--html",
                                 "e.html", "--min", "0", "--baseline", "m.onnx", "--max-drop", "100"},
                       kShape + judged + Words{"--layout", "nhwc", "--metric", "auc", "--score", "output:1", "--march", "x86-64"},
                       kModel + Words{"--data", "many.npy", "--metric", "rmse", "--against", "m.onnx", "--max", "1"},
                       {"sum.onnx", "--state", "t=s", "--data", "four.npy", "--metric", "mae", "--score", "reconstruction"},
                       kStop + judged + Words{"--layout", "nhwc", "--metric", "top1"}};
  lines["ops"] = {{"--markdown"}};
  lines["targets"] = {{}};
  lines["opt"] = {kModel + kHost + kLooking + Words{"--passes", "all,dead-code", "-o", "o.txt", "--elide", "--onnx"},
                  kStop + Words{"--output", "o.txt"},
                  {"sum.onnx", "--state", "t=s"}};
  return lines;
}

}  // namespace

TEST_CASE("every option of every verb is on a command line of this test") {
  const std::map<std::string, std::vector<Words>> lines = command_lines();
  for (const Verb* verb : all_verbs()) {
    const auto of_verb = lines.find(std::string(verb->name));
    REQUIRE(of_verb != lines.end());
    CLI::App app;
    app.set_help_flag();
    verb->add(app);
    for (const CLI::Option* option : app.get_options()) {
      Words names;
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
      for (const std::string& name : option->get_snames()) names.push_back("-" + name);
      for (const std::string& name : names) {
        const bool used = std::any_of(of_verb->second.begin(), of_verb->second.end(), [&](const Words& words) {
          return std::any_of(words.begin(), words.end(),
                             [&](const std::string& word) { return word == name || word.starts_with(name + "="); });
        });
        INFO("kiln " << verb->name << " " << name << " is not tested");
        CHECK(used);
      }
    }
  }
}

TEST_CASE("all options work on the command line") {
  const bool board = find_program("arm-none-eabi-g++") && find_program("qemu-system-arm"), reference = OnnxRuntime::load().ok();
  if (!board || !reference) WARN("skipped in part: ONNX Runtime or what builds for boards is not installed");
  const Place place;
  place.write("four.npy", Tensor::floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}));
  for (const auto& [verb, lines] : command_lines())
    for (const Words& line : lines) {
      const bool needs_board = std::find(line.begin(), line.end(), "cortex-m4") != line.end();
      const bool needs_reference = verb == "diff" || std::find(line.begin(), line.end(), "both") != line.end();
      if ((needs_board && !board) || (needs_reference && !reference)) continue;
      const Words words = Words{verb} + line;
      ProcessResult result = kiln_in(place.folder.path(), words);
      INFO(command_text(words) << "\n" << result.output);
      CHECK(result.exit_code == 0);
    }
}
