// SPDX-License-Identifier: Apache-2.0
// What every bundle promises: it builds without a warning on bare metal, needs nothing, is reproducible, and its memory plan holds.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <regex>

#include "compiler/emit/bundle.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/pipeline/test_vectors.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/input_sets.h"
#include "compiler/runner/process.h"
#include "tests/kiln_command.h"
#include "tests/skip.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

const std::string kDigits = KILN_SOURCE_DIR "/examples/digits/digits.onnx";

std::unique_ptr<Compiled> compile(const fs::path& model, const std::string& cpu = "") {
  CompileOptions options;
  options.model = model;
  options.cpu = cpu;
  return test::compile(options);
}

std::vector<OutputFile> bundle_of(const Compiled& c) { return emit_bundle(c.program, c.target, c.info, {*make_test_vectors(c, 1), {}}); }

TemporaryFolder written(const std::vector<OutputFile>& files) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  REQUIRE(write_folder(folder->path() / "bundle", files).ok());
  return *std::move(folder);
}

/// Standard output and error of a command that must succeed.
std::string output_of(const std::vector<std::string>& command, const fs::path& folder) {
  Result<ProcessResult> result = run_process(command, folder);
  INFO(fmt::format("{}", fmt::join(command, " ")));
  REQUIRE(result.ok());
  INFO(result->output);
  REQUIRE(result->exit_code == 0);
  return result->output;
}

bool installed(const std::string& tool) {
  Result<ProcessResult> result = run_process({"sh", "-c", "command -v " + tool}, ".");
  bool found = result && result->exit_code == 0;
  if (!found) KILN_SKIP(tool << " is not installed");
  return found;
}

std::vector<std::string> real_models() {
  return {"mlperf_tiny_kws_float", "mlperf_tiny_ic_float", "mlperf_tiny_ad_float", "alibaba_vww_float", "magic_wand_float"};
}

/// The model files to test with: the example, and the real ones that are there.
std::vector<fs::path> models() {
  std::vector<fs::path> out{kDigits};
  const char* chosen = getenv("KILN_MODELS");
  fs::path folder = chosen ? chosen : KILN_SOURCE_DIR "/../shared/models";
  for (const std::string& name : real_models()) {
    if (fs::exists(folder / name / "model.onnx"))
      out.push_back(folder / name / "model.onnx");
    else
      KILN_SKIP("there is no " << name << " in KILN_MODELS");
  }
  return out;
}

struct Toolchain {
  std::string compiler, nm;
  std::vector<std::string> flags;
  std::string allowed;  ///< undefined symbols besides memcpy, memset and memmove
};

const Toolchain kToolchains[] = {
    {"g++", "nm", {"-O2"}, ""},
    {"clang++-19", "nm", {"-O2"}, ""},
    {"arm-none-eabi-g++",
     "arm-none-eabi-nm",
     {"-O2", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"},
     "__aeabi_mem(cpy|set|clr|move)[48]?"},
    {"arm-none-eabi-g++",
     "arm-none-eabi-nm",
     {"-Os", "-mcpu=cortex-m0"},
     "__aeabi_.*|__gnu_thumb1_case_.*|__(eq|lt|gt|le|ge|ne|unord)[sd]f2"},
    {"riscv64-unknown-elf-g++",
     "riscv64-unknown-elf-nm",
     {"-O2", "-march=rv32imafc", "-mabi=ilp32f"},
     "__(add|sub|mul|div|extend|trunc|fix|float|eq|lt|gt|le|ge|ne|unord).*"},
};

void check_object(const Compiled& c, const Toolchain& tool, const fs::path& bundle) {
  for (const char* suffix : {"", "_weights"}) {
    std::string source = c.program.name + suffix + ".cpp", object = c.program.name + suffix + ".o";
    std::vector<std::string> command{tool.compiler, "-std=c++17", "-ffreestanding", "-fno-exceptions",
                                     "-fno-rtti",   "-Wall",      "-Wextra",        "-Wconversion",
                                     "-Werror",     "-c",         source,           "-o",
                                     object};
    command.insert(command.end(), tool.flags.begin(), tool.flags.end());
    output_of(command, bundle);
  }
  std::string symbols = output_of({tool.nm, "-u", c.program.name + ".o"}, bundle);
  std::regex allowed(fmt::format("memcpy|memset|memmove|_ZN{}{}7weights.*{}", c.program.name.size(), c.program.name,
                                 tool.allowed.empty() ? "" : "|" + tool.allowed));
  std::istringstream lines(symbols);
  for (std::string kind, name; lines >> kind >> name;) {
    INFO(tool.compiler << ": " << name);
    CHECK(std::regex_match(name, allowed));
  }
}

}  // namespace

TEST_CASE("bundles build without a warning for bare metal and need nothing but memcpy, memset and memmove") {
  for (const fs::path& model : models()) {
    std::unique_ptr<Compiled> c = compile(model);
    TemporaryFolder folder = written(bundle_of(*c));
    for (const Toolchain& tool : kToolchains)
      if (installed(tool.compiler)) check_object(*c, tool, folder.path() / "bundle");
  }
}

TEST_CASE("the header is C") {
  std::unique_ptr<Compiled> c = compile(kDigits);
  TemporaryFolder folder = written(bundle_of(*c));
  output_of(
      {"sh", "-c", "printf '#include \"digits.h\"\\nint f(void* a) { digits_run(a); return digits_output_scores(a)[0] > 0; }\\n' > u.c"},
      folder.path() / "bundle");
  output_of({"gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "u.c"}, folder.path() / "bundle");
}

TEST_CASE("the same input gives the same bytes") {
  fs::path model = models().back();
  std::vector<OutputFile> first = bundle_of(*compile(model)), second = bundle_of(*compile(model));
  REQUIRE(first.size() == second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    CHECK(first[i].path == second[i].path);
    CHECK(first[i].bytes == second[i].bytes);
  }
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  // The path of the model and the surroundings of the process leave no trace.
  fs::copy_file(model, folder->path() / model.filename());
  output_of({"env", "-i", "HOME=/", "TZ=Asia/Tokyo", "LANG=C", KILN_BINARY, "compile", model.filename().string(), "-o", "out"},
            folder->path());
  for (const OutputFile& file : first) {
    INFO(file.path);
    Result<std::string> written_bytes = read_file(folder->path() / "out" / file.path);
    REQUIRE(written_bytes.ok());
    CHECK(*written_bytes == file.bytes);
  }
}

TEST_CASE("the self-test of a bundle passes, and fails when a weight is changed") {
  std::unique_ptr<Compiled> c = compile(kDigits);
  TemporaryFolder folder = written(bundle_of(*c));
  fs::path bundle = folder.path() / "bundle";
  auto build_and_run = [&] {
    output_of({"sh", "-c", "g++ -std=c++17 -O1 digits.cpp digits_weights.cpp selftest/main.cpp -o selftest_program"}, bundle);
    Result<ProcessResult> result = run_process({"./selftest_program"}, bundle);
    REQUIRE(result.ok());
    return *std::move(result);
  };
  ProcessResult good = build_and_run();
  CHECK(good.exit_code == 0);
  CHECK(good.output.find("digits: self-test passed") != std::string::npos);
  Result<std::string> weights = read_file(bundle / "digits_weights.cpp");
  REQUIRE(weights.ok());
  size_t number = weights->find("= {\n  ");
  weights->insert(number + 6, "9.5f + ");
  REQUIRE(write_file(bundle / "digits_weights.cpp", *weights).ok());
  CHECK(build_and_run().exit_code == 1);
}

TEST_CASE("poisoning dead bytes between layers changes nothing, and one byte less of arena is noticed") {
  for (const fs::path& model : models()) {
    INFO(model.string());
    std::unique_ptr<Compiled> c = compile(model);
    Result<BuiltBundle> program =
        BuiltBundle::build(c->program, c->target, emit_bundle(c->program, c->target, c->info, {}), {.traced = true});
    REQUIRE(program.ok());
    std::vector<std::vector<Tensor>> inputs;
    for (InputSet& set : random_input_sets(c->program, 2, 3)) inputs.push_back(std::move(set.inputs));
    Result<RunResult> clean = program->run(inputs, {}), poisoned = program->run(inputs, {.poison = true});
    REQUIRE(clean.ok());
    REQUIRE(poisoned.ok());
    CHECK(clean->outputs == poisoned->outputs);
    CHECK(!program->run(inputs, {.arena_shortfall = 1}).ok());
  }
}

TEST_CASE("the arena of chain models is the bound of what lives at once") {
  for (const fs::path& model : models()) {
    INFO(model.string());
    std::unique_ptr<Compiled> c = compile(model);
    const MemoryPlan& plan = c->program.memory;
    // Each of the tensors alive at the peak can be followed by padding up to the alignment.
    CHECK(plan.arena_bytes >= plan.live_lower_bound_bytes);
    CHECK(plan.arena_bytes <= plan.live_lower_bound_bytes + 4 * c->target.arena_align);
  }
}
