// SPDX-License-Identifier: Apache-2.0
// Bundles for microcontrollers, built by their toolchains and run on boards in QEMU: what they compute is what the host computes.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <regex>

#include "compiler/emit/bundle.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "targets/targets.h"
#include "tests/kiln_command.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

/// The targets that have a board.
std::vector<std::string> board_targets() {
  std::vector<std::string> names;
  for (const TargetInfo& info : known_targets())
    if (Result<Target> target = make_target(info.name, ""); target.ok() && target->board) names.push_back(info.name);
  return names;
}

/// The bytes of all outputs of a run; `options` are those of `kiln run`.
std::string outputs_on(const std::string& target, const std::vector<std::string>& options, const fs::path& model, const fs::path& input) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  fs::path results = folder->path() / "results";
  std::vector<std::string> command{"run", model.string(), "-q", "--input", input.string(), "--target", target, "-o", results.string()};
  command.insert(command.end(), options.begin(), options.end());
  ProcessResult run = kiln_command(command);
  INFO(target << ": " << run.output);
  REQUIRE(run.exit_code == 0);
  std::string bytes;
  for (const fs::directory_entry& file : fs::directory_iterator(results)) bytes += *read_file(file.path());
  CHECK(!bytes.empty());
  return bytes;
}

}  // namespace

TEST_CASE("integers are the same on every board as on the host, whatever builds them") {
  const char* chosen = getenv("KILN_MODELS");
  fs::path folder = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / "mlperf_tiny_ad_int8io";
  if (!fs::exists(folder)) {
    KILN_SKIP("there is no mlperf_tiny_ad_int8io in KILN_MODELS");
    return;
  }
  fs::path input = folder / "test_data_set_0" / "input_0.pb";
  std::string expected = outputs_on("host", {}, folder / "model.onnx", input);
  REQUIRE(board_targets().size() >= 13);
  const std::vector<std::string> levels{"-O2", "-O3", "-Os"};
  size_t turn = 0;
  for (const std::string& target : board_targets()) {
    // Every compiler at every level on one core; elsewhere each compiler at one level, in turns.
    const std::vector<CrossCompiler> compilers = make_target(target, "")->compilers;
    for (const CrossCompiler& compiler : compilers) {
      for (const std::string& level : target == "cortex-m4" ? levels : std::vector<std::string>{levels[turn++ % 3]}) {
        INFO(target << " " << compiler.name << " " << level);
        CHECK(outputs_on(target, {"--compiler", compiler.name, "--cflags=" + level}, folder / "model.onnx", input) == expected);
      }
    }
    CHECK(outputs_on(target, {"--optimize", "size"}, folder / "model.onnx", input) == expected);
  }
}

TEST_CASE("a profile counts the instructions of each layer, the same in every run") {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  fs::path input = folder->path() / "x.npy";
  REQUIRE(write_file(input, save_npy(Tensor::floats({1, 4}, {1, -2, 3, -4}))).ok());
  std::string first;
  for (int i = 0; i < 2; ++i) {
    ProcessResult run = kiln_command(
        {"run", KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx", "-q", "--input", input.string(), "--target", "rv32imafc", "--profile"});
    INFO(run.output);
    REQUIRE(run.exit_code == 0);
    CHECK(std::regex_search(run.output, std::regex("[1-9][0-9]* instructions per inference, [0-9]+ bytes of stack on rv32imafc")));
    if (i == 0) first = run.output;
    CHECK(run.output == first);
  }
  ProcessResult here = kiln_command({"run", KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx", "--input", input.string(), "--profile"});
  CHECK(here.exit_code == 1);
  CHECK(here.output.find("--target cortex-m4") != std::string::npos);
  ProcessResult timed = kiln_command({"diff", KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx", "--target", "cortex-m4", "--time", "10"});
  CHECK(timed.exit_code == 1);
  CHECK(timed.output.find("kiln run --profile") != std::string::npos);
}

TEST_CASE("the time of integer layers does not depend on the data") {
  const char* chosen = getenv("KILN_MODELS");
  fs::path model = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / "mlperf_tiny_kws_int8io" / "model.onnx";
  if (!fs::exists(model)) {
    KILN_SKIP("there is no mlperf_tiny_kws_int8io in KILN_MODELS");
    return;
  }
  // The clock of this Cortex-M4 ticks every 40 instructions.
  for (const auto& [target, resolution] : {std::pair("cortex-m4", 40)}) {
    CompileOptions options;
    options.model = model;
    options.target = target;
    Diagnostics diagnostics;
    std::optional<Compiled> c = compile_model(options, diagnostics);
    REQUIRE(c);
    std::vector<std::vector<Tensor>> sets;
    for (uint64_t set = 0; set < 64; ++set) sets.push_back({random_tensor(c->graph.type(c->graph.inputs[0]), set)});
    Result<BuiltBundle> image = BuiltBundle::build(c->program, c->target, emit_bundle(c->program, c->target, c->info, {}), {});
    REQUIRE(image.ok());
    Result<RunResult> run = image->run(sets, {.timed_runs = 1});
    REQUIRE(run.ok());
    REQUIRE(run->instructions.size() == 64);
    auto [least, most] = std::minmax_element(run->instructions.begin(), run->instructions.end());
    INFO(target << ": " << *least << " to " << *most);
    CHECK(*least > 1000000);
    CHECK(*most - *least <= resolution);
  }
}

TEST_CASE("cores and ISA strings that do not exist are refused") {
  for (const auto& [target, cpu, words] : {std::tuple("cortex-m4", "cortex-a53", "there is no Cortex-M core 'cortex-a53'"),
                                           std::tuple("cortex-m4", "cortex-m4+nofoo", "'nofoo' is no extension"),
                                           std::tuple("rv32imc", "rv32xyz", "'rv32xyz' is no RISC-V ISA string")}) {
    ProcessResult run = kiln_command({"inspect", KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx", "--target", target, "--cpu", cpu});
    INFO(run.output);
    CHECK(run.exit_code == 1);
    CHECK(run.output.find(words) != std::string::npos);
  }
}
