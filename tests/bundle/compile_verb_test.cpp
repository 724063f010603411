// SPDX-License-Identifier: Apache-2.0
// `kiln compile` and `kiln inspect` as a user runs them.
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "passes/select_kernels.h"
#include "tests/kiln_command.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

const std::string kDigits = KILN_SOURCE_DIR "/examples/digits/digits.onnx";

}  // namespace

TEST_CASE("compile writes the bundle it reports") {
  TemporaryFolder folder = temporary_folder();
  ProcessResult result = kiln_in(folder.path(), {"compile", kDigits, "-o", "out", "--json", "-"});
  REQUIRE(result.exit_code == 0);
  auto report = nlohmann::json::parse(result.output);
  Result<std::string> text = read_file(folder.path() / "out" / "manifest.json");
  REQUIRE(text.ok());
  auto manifest = nlohmann::json::parse(*text);
  for (const char* key : {"schema_version", "kiln_version", "model", "target", "api", "inputs", "outputs", "memory", "macs"})
    CHECK(report[key] == manifest[key]);
  CHECK(report["steps"].size() == manifest["steps"].size());
  for (const auto& file : manifest["files"]) CHECK(fs::exists(folder.path() / "out" / file["path"].get<std::string>()));
}

TEST_CASE("a budget that is broken names the layers to blame and writes nothing") {
  TemporaryFolder folder = temporary_folder();
  ProcessResult result = kiln_in(folder.path(), {"compile", kDigits, "-o", "out", "--ram", "12287"});
  CHECK(result.exit_code == 6);
  CHECK(result.output.find("E600") != std::string::npos);
  CHECK(result.output.find("layer 3 pointwise+relu") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path() / "out"));
  CHECK(kiln_in(folder.path(), {"compile", kDigits, "-o", "out", "--ram", "12288"}).exit_code == 0);
}

TEST_CASE("a target or CPU that does not exist is refused with those that do") {
  TemporaryFolder folder = temporary_folder();
  ProcessResult target = kiln_in(folder.path(), {"compile", kDigits, "-o", "out", "--target", "cortex-m9"});
  CHECK(target.exit_code == 1);
  CHECK(target.output.find("E101") != std::string::npos);
  CHECK(target.output.find("host") != std::string::npos);
  CHECK(kiln_in(folder.path(), {"compile", kDigits, "-o", "out", "--cpu", "potato"}).exit_code == 1);
  CHECK_FALSE(fs::exists(folder.path() / "out"));
}

TEST_CASE("an output folder that cannot be written leaves nothing behind") {
  TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "file", "").ok());
  ProcessResult result = kiln_in(folder.path(), {"compile", kDigits, "-o", "file/out"});
  CHECK(result.exit_code == 4);
  CHECK(result.output.find("E401") != std::string::npos);
  CHECK(kiln_in(folder.path(), {"compile", kDigits, "-o", "file"}).exit_code == 4);
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("inspect marks the peak and writes nothing") {
  TemporaryFolder folder = temporary_folder();
  ProcessResult result = kiln_in(folder.path(), {"inspect", kDigits});
  CHECK(result.exit_code == 0);
  CHECK(result.output.find("<- peak") != std::string::npos);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("a call of a family without kernels is refused") {
  Program program;
  Step step;
  step.origin = {"node"};
  step.call.family = "no_such_family";
  program.steps.push_back(step);
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
  Status status = select_kernels(program, {}, context);
  REQUIRE(!status.ok());
  CHECK(status.diagnostic().id == DiagId::no_kernel);
}
