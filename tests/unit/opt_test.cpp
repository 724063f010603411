// SPDX-License-Identifier: Apache-2.0
// The verb opt, as a program.
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "compiler/support/files.h"

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

struct Outcome {
  int code = -1;
  std::string out;  ///< stdout and stderr
};

Outcome run_opt(const std::string& arguments) {
  Outcome outcome;
  FILE* pipe = popen((std::string(KILN_BINARY) + " opt " + arguments + " 2>&1").c_str(), "r");
  REQUIRE(pipe);
  char chunk[4096];
  while (size_t n = std::fread(chunk, 1, sizeof chunk, pipe)) outcome.out.append(chunk, n);
  int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  return outcome;
}

constexpr const char* kText = "graph @g (%x: f32[2,2]) -> (%y) {\n  %r: f32[4] = reshape(%x) {shape=[4]}\n  %y: f32[2,2] = reshape(%r) {shape=[2, 2]}\n}\n";

struct Folder {
  TemporaryFolder folder = *TemporaryFolder::create();
  std::string file = (folder.path() / "g.txt").string();

  Folder() { REQUIRE(write_file(file, kText).ok()); }
};

}  // namespace

TEST_CASE("opt prints IR text that it reads again") {
  Folder f;
  Outcome none = run_opt(f.file + " --passes none");
  CHECK(none.code == 0);
  CHECK(none.out == kText);
  CHECK(run_opt(f.file).out == "graph @g (%x: f32[2,2]) -> (%x as \"y\") {\n}\n");
}

TEST_CASE("opt runs the passes named, shows each and writes files") {
  Folder f;
  std::string out = f.file + ".out", dot = f.file + ".dot";
  Outcome run = run_opt(f.file + " --passes dead-code,simplify-reshapes --print-after all -o " + out + " --dot " + dot);
  CHECK(run.code == 0);
  CHECK(run.out == "; after dead-code (unchanged)\n; after simplify-reshapes\ngraph @g (%x: f32[2,2]) -> (%x as \"y\") {\n}\n\n");
  CHECK(*read_file(out) == "graph @g (%x: f32[2,2]) -> (%x as \"y\") {\n}\n");
  CHECK_THAT(*read_file(dot), Contains("digraph \"g\""));
}

TEST_CASE("opt reads the input of a golden test") {
  CHECK(run_opt(KILN_SOURCE_DIR "/tests/golden/dead-code-chain.txt --passes dead-code").out ==
        "graph @g (%x: f32[2,3], %unread: f32[4]) -> (%y) {\n  %y: f32[2,3] = relu(%x)\n}\n");
}

TEST_CASE("opt refuses bad text, unknown passes and missing files, each with its exit code") {
  Folder f;
  REQUIRE(write_file(f.file + ".bad", "graph @g (%x: f32[2]) -> (%y) {\n%y = relu(%z)\n}").ok());
  Outcome bad = run_opt(f.file + ".bad");
  CHECK(bad.code == 2);
  CHECK_THAT(bad.out, Contains("E211") && Contains("2:11: value %z is not defined."));
  Outcome unknown = run_opt(f.file + " --passes fold-batchnorn");
  CHECK(unknown.code == 1);
  CHECK_THAT(unknown.out, Contains("E102") && Contains("there is no pass 'fold-batchnorn'.") && Contains("fold-batchnorm, "));
  CHECK(run_opt(f.file + " --stop-after nowhere").code == 1);
  CHECK(run_opt(f.file + ".absent").code == 4);
  CHECK(run_opt(f.file + " -o /nonexistent-folder/x").code == 4);
}
