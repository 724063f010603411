// SPDX-License-Identifier: Apache-2.0
// What bundles take of microcontrollers, from object code: the numbers fit together, the bound of the stack holds on boards in QEMU, and
// budgets are kept.
#include "compiler/emit/bundle.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/footprint.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "compiler/driver/budget_options.h"
#include "compiler/report/budgets.h"
#include "compiler/runner/input_sets.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "tests/kiln_command.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

const std::string kDigits = KILN_SOURCE_DIR "/examples/digits/digits.onnx";

std::unique_ptr<Compiled> compile(const fs::path& model, const std::string& target, Goal goal) {
  CompileOptions options;
  options.model = model;
  options.target = target;
  options.goal = goal;
  return test::compile(options);
}

/// The bound for the code that `compiler` makes is one for what a run really takes.
void check_stack(const fs::path& model, const std::string& target, const std::string& compiler, Goal goal) {
  INFO(model << " on " << target << " by " << compiler);
  std::unique_ptr<Compiled> c = compile(model, target, goal);
  std::vector<OutputFile> bundle = emit_bundle(c->program, c->target, c->info, {});
  BuildOptions build;
  build.compiler = compiler;
  Result<Footprint> footprint = measure_footprint(c->program, c->target, bundle, build);
  if (!footprint) FAIL(to_string(footprint.diagnostic()));
  Result<BuiltBundle> built = BuiltBundle::build(c->program, c->target, bundle, build);
  if (!built) FAIL(to_string(built.diagnostic()));
  std::vector<InputSet> sets = random_input_sets(c->program, 1, 5);
  Result<RunResult> result = built->run({sets[0].inputs}, {});
  if (!result) FAIL(to_string(result.diagnostic()));
  INFO(footprint->stack.reason);
  REQUIRE(footprint->stack.bytes);
  CHECK(result->stack_bytes > 0);
  CHECK(*footprint->stack.bytes >= result->stack_bytes);
  CHECK(*footprint->stack.bytes <= result->stack_bytes + 160);  // jumps counted as calls, and routines at their worst
}

/// A model that is shared between checkouts; nothing when it is not there.
std::optional<fs::path> shared_model(const std::string& name) {
  const char* chosen = getenv("KILN_MODELS");
  fs::path model = fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / name / "model.onnx";
  if (fs::exists(model)) return model;
  KILN_SKIP("there is no " << name << " in KILN_MODELS");
  return std::nullopt;
}

}  // namespace

TEST_CASE("inspect measures the object code for a microcontroller, and its numbers fit together") {
  TemporaryFolder folder = temporary_folder();
  for (const char* target : {"cortex-m4", "rv32imc"}) {
    ProcessResult run = kiln_in(folder.path(), {"inspect", kDigits, "--target", target, "--json", "-"});
    INFO(run.output);
    REQUIRE(run.exit_code == 0);
    auto report = nlohmann::json::parse(run.output);
    const auto& f = report["footprint"];
    auto bytes = [&](const char* key) { return f[key].get<int64_t>(); };
    CHECK(bytes("text_bytes") > 1000);
    CHECK(bytes("flash_bytes") ==
          bytes("text_bytes") + bytes("constant_bytes") + bytes("weight_bytes") + bytes("data_bytes") + bytes("routine_bytes"));
    CHECK(bytes("weight_bytes") >= report["memory"]["weights_bytes"].get<int64_t>());
    CHECK(bytes("weight_bytes") <= report["memory"]["weights_bytes"].get<int64_t>() + 512);  // alignment
    CHECK(bytes("data_bytes") == 0);
    CHECK(bytes("zero_bytes") == 0);
    CHECK(bytes("ram_bytes") == report["memory"]["arena_bytes"].get<int64_t>());
    int64_t code = 0, stack = 0;
    for (const auto& step : report["steps"]) {
      CHECK(step["code_bytes"].get<int64_t>() > 0);
      code += step["code_bytes"].get<int64_t>();
    }
    CHECK(code < bytes("text_bytes"));
    CHECK(code > bytes("text_bytes") - 400);  // the accessors and the list of calls remain
    for (const auto& frame : f["stack_chain"]) stack += frame["bytes"].get<int64_t>();
    CHECK(stack == bytes("stack_bytes"));
    CHECK(f["stack_chain"][0]["function"] == "digits_run");
    // A core without FPU computes these floats by routines; one with FPU needs none.
    CHECK((bytes("routine_bytes") > 1000) == (std::string(target) == "rv32imc"));
    CHECK(f["routines"].empty() == (std::string(target) == "cortex-m4"));
  }
  CHECK(kiln_in(folder.path(), {"inspect", kDigits, "--target", "cortex-m4"}).output.find("stack   at most ") != std::string::npos);
  CHECK_FALSE(nlohmann::json::parse(kiln_in(folder.path(), {"inspect", kDigits, "--json", "-"}).output).contains("footprint"));
}

TEST_CASE("the bound of the stack holds on boards") {
  check_stack(kDigits, "cortex-m4", "gcc", Goal::speed);
  check_stack(kDigits, "cortex-m4", "clang", Goal::size);
  check_stack(kDigits, "cortex-m3", "gcc", Goal::speed);
  check_stack(kDigits, "cortex-m0", "clang", Goal::speed);
  check_stack(kDigits, "rv32imc", "gcc", Goal::speed);
  check_stack(kDigits, "rv32imafc", "clang", Goal::speed);
  check_stack(kDigits, "rv64gc", "gcc", Goal::size);
  if (std::optional<fs::path> kws = shared_model("mlperf_tiny_kws_int8io")) {
    check_stack(*kws, "cortex-m4", "gcc", Goal::speed);
    check_stack(*kws, "cortex-m33", "clang", Goal::size);
    check_stack(*kws, "cortex-m55", "gcc", Goal::speed);
    check_stack(*kws, "cortex-m0", "gcc", Goal::speed);
    check_stack(*kws, "rv32imc", "clang", Goal::speed);
    check_stack(*kws, "rv32imc", "gcc", Goal::speed);
  }
}

TEST_CASE("budgets of flash and stack name what to blame, and nothing is written beyond them") {
  TemporaryFolder folder = temporary_folder();
  auto compile_with = [&](std::vector<std::string> budgets) {
    std::vector<std::string> arguments{"compile", kDigits, "-o", "out", "--target", "cortex-m4"};
    arguments.insert(arguments.end(), budgets.begin(), budgets.end());
    return kiln_in(folder.path(), arguments);
  };
  ProcessResult flash = compile_with({"--flash", "8K"});
  INFO(flash.output);
  CHECK(flash.exit_code == 6);
  CHECK(flash.output.find("error E600: digits.onnx: the bundle needs ") != std::string::npos);
  CHECK(flash.output.find("--flash allows 8192.") != std::string::npos);
  CHECK(flash.output.find("largest: layer ") != std::string::npos);
  CHECK(flash.output.find("--optimize size") != std::string::npos);
  CHECK(flash.output.find("kiln quantize") != std::string::npos);
  ProcessResult stack = compile_with({"--stack", "0x10", "--ram", "1K"});
  INFO(stack.output);
  CHECK(stack.exit_code == 6);
  CHECK(stack.output.find("the arena needs 12288 bytes of RAM, --ram allows 1024.") != std::string::npos);
  CHECK(stack.output.find("--stack allows 16.") != std::string::npos);
  CHECK(stack.output.find("digits_run ") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path() / "out"));
  ProcessResult good = compile_with({"--flash", "1M", "--stack", "4K", "--ram", "12k"});
  INFO(good.output);
  CHECK(good.exit_code == 0);
  CHECK(good.output.find("stack   at most ") != std::string::npos);
  CHECK(fs::exists(folder.path() / "out" / "digits.cpp"));
  CHECK(kiln_in(folder.path(), {"inspect", kDigits, "--target", "cortex-m4", "--stack", "16"}).exit_code == 6);
  CHECK(kiln_in(folder.path(), {"inspect", kDigits, "--ram", "16"}).exit_code == 6);
}

TEST_CASE("flash and stack are about microcontrollers") {
  TemporaryFolder folder = temporary_folder();
  for (const char* option : {"--flash", "--stack"}) {
    ProcessResult run = kiln_in(folder.path(), {"compile", kDigits, "-o", "out", option, "1M"});
    CHECK(run.exit_code == 1);
    CHECK(run.output.find(std::string(option) + " is about a microcontroller; the code is for host.") != std::string::npos);
  }
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("without a compiler inspect says what to install and shows the rest; budgets need one") {
  TemporaryFolder folder = temporary_folder();
  const std::string path = getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  ProcessResult inspected = kiln_in(folder.path(), {"inspect", kDigits, "--target", "cortex-m4"});
  ProcessResult budget = kiln_in(folder.path(), {"inspect", kDigits, "--target", "cortex-m4", "--flash", "1M"});
  ProcessResult compiled = kiln_in(folder.path(), {"compile", kDigits, "--target", "cortex-m4", "-o", "out"});
  ProcessResult report =
      kiln_in(folder.path(), {"compile", kDigits, "--target", "rv32imc", "-o", "other", "--report", "--compiler", "gcc"});
  setenv("PATH", path.c_str(), 1);
  CHECK(inspected.exit_code == 0);
  CHECK(inspected.output.find("note N002: 'arm-none-eabi-g++' and 'clang++-19' are not in PATH") != std::string::npos);
  CHECK(inspected.output.find("apt install clang-19") != std::string::npos);
  CHECK(inspected.output.find("<- peak") != std::string::npos);
  CHECK(budget.exit_code == 4);
  CHECK(budget.output.find("E402") != std::string::npos);
  CHECK(compiled.exit_code == 0);
  CHECK(report.exit_code == 4);
  CHECK(report.output.find("'riscv64-unknown-elf-g++' is not in PATH") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path() / "other"));
}

TEST_CASE("a symbol that no bundle may need is a fault of ours") {
  ObjectCode code;
  code.functions = {{"m_run", "m_run", 8, 8, {{"layer1", 1}}, {}}, {"layer1", "m::layer1", 8, 8, {{"expf", {}}, {"memcpy", {}}}, {}}};
  code.undefined = {"expf", "memcpy"};
  Result<std::vector<RoutineUse>> routines = find_routines(code, {1});
  REQUIRE_FALSE(routines.ok());
  CHECK(routines.diagnostic().id == DiagId::foreign_symbol);
  CHECK(diagnostic_exit_code(routines.diagnostic().id) == ExitCode::internal);
  CHECK(routines.diagnostic().message.find("'expf', in layer 1,") != std::string::npos);
  code.undefined = {"memcpy"};
  routines = find_routines(code, {1});
  REQUIRE(routines.ok());
  REQUIRE(routines->size() == 1);
  CHECK(routines->front().steps == std::vector<size_t>{0});
}

TEST_CASE("numbers of bytes are read with units") {
  for (const auto& [text, bytes] : {std::pair("65536", 65536), std::pair("64K", 65536), std::pair("64k", 65536),
                                    std::pair("0x10000", 65536), std::pair("2M", 2097152), std::pair("1", 1)}) {
    Result<int64_t> value = parse_bytes("--ram", text);
    REQUIRE(value.ok());
    CHECK(*value == bytes);
  }
  for (const char* text : {"", "K", "0", "-1", "64G", "64 K", "64KB", "0x", "0x1K", "1.5M", "99999999999999999999", "9999999999999M"}) {
    Result<int64_t> value = parse_bytes("--ram", text);
    INFO(text);
    REQUIRE_FALSE(value.ok());
    CHECK(value.diagnostic().id == DiagId::bad_usage);
  }
}
