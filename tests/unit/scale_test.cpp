// SPDX-License-Identifier: Apache-2.0
// What the compiler takes and makes grows with the model, not with its square. Bounds are loose: machines differ, and others run beside.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <map>

#include "compiler/emit/bundle.h"
#include "tests/kiln_command.h"
#include "tests/scale_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// The files of the bundle, by their paths.
std::map<std::string, std::string> bundle_of(const std::string& model) {
  Diagnostics diagnostics;
  CompileOptions options;
  options.name = "m";
  std::optional<ImportedModel> imported = import_model_bytes(model, "m.onnx", {}, diagnostics);
  REQUIRE(imported);
  std::optional<Compiled> c = compile_graph(*std::move(imported), options, diagnostics);
  REQUIRE(c);
  std::map<std::string, std::string> files;
  for (OutputFile& file : emit_bundle(c->program, c->target, c->info, {})) files[file.path] = std::move(file.bytes);
  return files;
}

/// Of this process, not of the clock on the wall; the lesser of two.
double seconds_for(const std::string& model) {
  double least = 1e9;
  for (int i = 0; i < 2; ++i) {
    const std::clock_t start = std::clock();
    bundle_of(model);
    least = std::min(least, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  return least;
}

size_t count(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

/// Whether a C++ compiler takes the bundle's memory header.
bool compiles(const TemporaryFolder& folder, const std::string& header) {
  REQUIRE(write_file(folder.path() / "m_memory.h", header).ok());
  Result<ProcessResult> r = run_process({"c++", "-std=c++17", "-fsyntax-only", "-x", "c++", "m_memory.h"}, folder.path());
  REQUIRE(r.ok());
  return r->ok();
}

}  // namespace

TEST_CASE("the time to compile follows the size of the model", "[scale]") {
  for (const ScaleModel& model : kScaleModels) {
    INFO(model.name);
    const double small = seconds_for(model.make(1000)), large = seconds_for(model.make(8000));
    INFO(small << " s and " << large << " s for 8 times as much");
    CHECK(large < 28 * small + 0.1);  // 8 when linear, 64 when quadratic
  }
}

TEST_CASE("the files of a bundle follow the size of the model", "[scale]") {
  for (const ScaleModel& model : kScaleModels) {
    std::map<std::string, std::string> small = bundle_of(model.make(1000)), large = bundle_of(model.make(4000));
    for (const auto& [path, text] : large) {
      INFO(model.name << " " << path);
      CHECK(text.size() < 6 * small[path].size() + 10'000);
    }
  }
}

TEST_CASE("the proof of a plan has at most three assertions a tensor, and its chart an end", "[scale]") {
  const std::string header = bundle_of(scale::outputs(3000))["m_memory.h"];
  CHECK(count(header, "static_assert(") <= 3 * 3000);
  CHECK(count(header, "static_assert(") > 3000);
  CHECK(count(header, "// The 1000 largest of 3000 buffers.") == 1);
  CHECK(count(header, "\n//   ") == 1000);
}

TEST_CASE("a wrong plan does not compile", "[scale]") {
  const std::map<std::string, std::string> files = bundle_of(scale::splits(6));
  TemporaryFolder folder = temporary_folder();
  REQUIRE(write_file(folder.path() / "m.h", files.at("m.h")).ok());
  const std::string header = files.at("m_memory.h");
  REQUIRE(compiles(folder, header));
  // All parts are alive together: each buffer at the place of each other one.
  struct Place {
    size_t at;
    std::string line;
  };
  std::vector<Place> places;
  for (size_t at = header.find("constexpr uint32_t "); at != std::string::npos; at = header.find("constexpr uint32_t ", at + 1))
    if (std::string line = header.substr(at, header.find('\n', at) - at); line.find(" + ") == std::string::npos) places.push_back({at, std::move(line)});
  REQUIRE(places.size() > 1);
  auto value_of = [](const std::string& line) { return line.substr(line.find(" = ") + 3, line.find(';') - line.find(" = ") - 3); };
  size_t wrong = 0;
  for (const Place& moved : places)
    for (const Place& other : places) {
      if (value_of(moved.line) == value_of(other.line)) continue;
      std::string line = moved.line;
      line.replace(line.find(" = ") + 3, value_of(moved.line).size(), value_of(other.line));
      std::string changed = header;
      changed.replace(moved.at, moved.line.size(), line);
      INFO(line);
      CHECK_FALSE(compiles(folder, changed));
      ++wrong;
    }
  CHECK(wrong > 1);
}
