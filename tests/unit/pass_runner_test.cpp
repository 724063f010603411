// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "compiler/ir/parse.h"
#include "compiler/ir/print.h"
#include "compiler/support/files.h"
#include "passes/graph_passes.h"
#include "passes/pass_runner.h"
#include "tests/unit/test_ops.h"

using namespace kiln;
using Catch::Matchers::Contains;

namespace {

/// Sets attribute "n" of each node to one more.
Result<bool> count_up(Graph& graph, PassContext&) {
  for (NodeId id : graph.order()) graph.set_attr(id, "n", graph.node(id).attrs.i("n") + 1);
  return true;
}
Result<bool> do_nothing(Graph&, PassContext&) { return false; }
Result<bool> break_types(Graph& graph, PassContext&) {
  graph.set_type(graph.outputs()[0], TensorType{DType::f32, {3}, {}});
  return true;
}
Result<bool> fail(Graph&, PassContext&) { return error(DiagId::unsupported_node, "cannot do that."); }

constexpr std::array kPasses = {
    GraphPass{"first", "counts", count_up, Stage::imported},
    GraphPass{"idle", "does nothing", do_nothing, Stage::imported},
    GraphPass{"second", "counts", count_up, Stage::imported},
};

Graph sample() { return *parse_graph("graph @g (%x: f32[2]) -> (%y) {\n%y = copy(%x)\n}", test::table()); }
int64_t count_in(const Graph& graph) { return graph.node(graph.order()[0]).attrs.i("n"); }

struct Run {
  Graph graph = sample();
  Result<bool> result = false;
  std::string log;

  explicit Run(GraphPassOptions options, std::span<const GraphPass> passes = kPasses) {
    char* text = nullptr;
    size_t size = 0;
    options.log = open_memstream(&text, &size);
    Target target;
    Diagnostics diagnostics;
    PassContext context{target, diagnostics};
    result = run_graph_passes(graph, context, passes, options);
    std::fclose(options.log);
    log.assign(text, size);
    std::free(text);
  }
};

}  // namespace

TEST_CASE("passes run in order and are silent") {
  Run run({});
  REQUIRE(run.result.ok());
  CHECK_FALSE(*run.result);
  CHECK(count_in(run.graph) == 2);
  CHECK(run.log == "");
}

TEST_CASE("stop-after ends the run, disabled passes are left out") {
  GraphPassOptions options;
  options.stop_after = "idle";
  Run stopped(options);
  CHECK(*stopped.result);
  CHECK(count_in(stopped.graph) == 1);
  options.stop_after.clear();
  options.disabled = {"first", "second"};
  CHECK(count_in(Run(options).graph) == 0);
}

TEST_CASE("print-after prints the IR of passes that changed it") {
  GraphPassOptions options;
  options.print_after = {"first", "idle"};
  Run some(options);
  CHECK_THAT(some.log, Contains("; after first\ngraph @g (%x: f32[2]) -> (%y) {\n  %y: f32[2] = copy(%x) {n=1}\n}\n") && Contains("; after idle (unchanged)\n"));
  CHECK_THAT(some.log, !Contains("second"));
  options.print_after = {"all"};
  CHECK_THAT(Run(options).log, Contains("; after second\n"));
}

TEST_CASE("time-passes has a line per pass") {
  GraphPassOptions options;
  options.time_passes = true;
  CHECK_THAT(Run(options).log, Contains("first  ") && Contains("idle  ") && Contains("ms  (unchanged)\n"));
}

TEST_CASE("dump-dir gets numbered text and Graphviz files") {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  GraphPassOptions options;
  options.dump_dir = folder->path() / "new";
  Run run(options);
  REQUIRE(run.result.ok());
  CHECK(*read_file(options.dump_dir / "03-second.txt") == print_graph(run.graph));
  CHECK(*read_file(options.dump_dir / "00-imported.txt") == print_graph(sample()));
  CHECK_THAT(*read_file(options.dump_dir / "01-first.dot"), Contains("digraph"));
  CHECK_FALSE(std::filesystem::exists(options.dump_dir / "02-idle.txt"));
  options.dump_dir = folder->path() / "new/03-second.txt";
  Run blocked(options);
  REQUIRE_FALSE(blocked.result.ok());
  CHECK(blocked.result.diagnostic().id == DiagId::cannot_write);
}

TEST_CASE("the error of a pass ends the run") {
  constexpr std::array passes = {GraphPass{"fail", "fails", fail, Stage::imported}, kPasses[0]};
  Run run({}, passes);
  REQUIRE_FALSE(run.result.ok());
  CHECK(run.result.diagnostic().message == "cannot do that.");
  CHECK(count_in(run.graph) == 0);
}

TEST_CASE("a pass that leaves a broken graph is an internal error that names it") {
  constexpr std::array passes = {GraphPass{"breaker", "breaks", break_types, Stage::imported}};
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    Run run({}, passes);
    _exit(0);
  }
  close(pipe_ends[1]);
  std::string text;
  char chunk[512];
  for (ssize_t n; (n = read(pipe_ends[0], chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<size_t>(n));
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 70);
  CHECK_THAT(text, Contains("after breaker: ") && Contains("inference says f32[2]") && Contains("graph @g"));
}

TEST_CASE("unknown pass names are refused with the list") {
  constexpr std::array<std::string_view, 1> others = {"lower"};
  GraphPassOptions options;
  options.print_after = {"all", "idle", "lower"};
  options.stop_after = "second";
  CHECK(check_pass_names(options, kPasses, others).ok());
  options.disabled = {"thrid"};
  Status s = check_pass_names(options, kPasses, others);
  REQUIRE_FALSE(s.ok());
  CHECK(s.diagnostic().id == DiagId::unknown_pass);
  CHECK(s.diagnostic().message == "there is no pass 'thrid'.");
  CHECK(s.diagnostic().hint == "the passes are first, idle, second, lower.");
}

TEST_CASE("every pass of the pipeline has a name of its own and a sentence") {
  std::vector<std::string_view> names;
  for (const GraphPass& pass : graph_passes()) {
    CHECK(std::find(names.begin(), names.end(), pass.name) == names.end());
    names.push_back(pass.name);
    CHECK(pass.summary.size() > 10);
  }
}
