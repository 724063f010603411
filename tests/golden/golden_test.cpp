// SPDX-License-Identifier: Apache-2.0
// Golden tests of graph passes: each .txt file of this folder holds
//   ; pass: fold-batchnorm, dead-code       the passes to run, in this order
//   ; options: onnx                         (optional) print ONNX tensors as well
//   graph ... { ... }                       the input
//   ; ---
//   graph ... { ... }                       what must come out, or: error E210: message
// KILN_REBASE=1 rewrites what must come out. Whatever a file expects, both graphs are also computed on random inputs and must agree.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "compiler/ir/parse.h"
#include "compiler/ir/print.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ir/verify.h"
#include "compiler/ops/evaluate.h"
#include "compiler/support/files.h"
#include "passes/graph_passes.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSeparator = "\n; ---\n";

struct Golden {
  std::vector<std::string> passes;
  PrintOptions print;
  std::string input;     ///< with its header lines
  std::string expected;
};

std::string trim(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

Golden read_golden(const fs::path& path) {
  Result<std::string> text = read_file(path);
  REQUIRE(text.ok());
  size_t split = text->find(kSeparator);
  Golden golden;
  golden.input = text->substr(0, split);
  if (split != std::string::npos) golden.expected = text->substr(split + kSeparator.size());
  std::istringstream lines(golden.input);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("; pass:")) {
      std::istringstream list(line.substr(7));
      for (std::string name; std::getline(list, name, ',');) golden.passes.push_back(trim(name));
    }
    if (line == "; options: onnx") golden.print.onnx_tensors = true;
  }
  return golden;
}

const GraphPass& find_pass(const std::string& name) {
  for (const GraphPass& pass : graph_passes())
    if (pass.name == name) return pass;
  FAIL("no pass '" << name << "'");
  std::abort();
}

/// What the passes make of `graph`: its text, or the error.
std::string run_passes(Graph& graph, const Golden& golden) {
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
  for (const std::string& name : golden.passes) {
    std::string before = print_graph(graph);
    Result<bool> changed = find_pass(name).run(graph, context);
    if (!changed) return to_string(changed.diagnostic()) + "\n";
    Status valid = verify(graph);
    INFO(print_graph(graph));
    REQUIRE((valid.ok() ? "" : valid.diagnostic().message) == "");
    CHECK(*changed == (print_graph(graph) != before));
    Result<bool> again = find_pass(name).run(graph, context);
    REQUIRE(again.ok());
    CHECK_FALSE(*again);  // a pass finishes its work at once
  }
  return print_graph(graph, golden.print);
}

void check_close(const Tensor& before, const Tensor& after) {
  REQUIRE(before.type.shape == after.type.shape);
  REQUIRE(before.type.dtype == after.type.dtype);
  if (!is_float(before.type.dtype)) {
    CHECK(before.bytes().size() == after.bytes().size());
    CHECK(std::equal(before.bytes().begin(), before.bytes().end(), after.bytes().begin()));
    return;
  }
  std::vector<double> a = before.to_doubles(), b = after.to_doubles();
  for (size_t i = 0; i < a.size(); ++i) {
    INFO("element " << i);
    if (std::isnan(a[i])) CHECK(std::isnan(b[i]));
    else if (std::isinf(a[i])) CHECK(a[i] == b[i]);
    else CHECK(std::fabs(a[i] - b[i]) <= 1e-5 + 1e-4 * std::fabs(a[i]));
  }
}

void check_same_results(const Graph& before, const Graph& after) {
  for (uint64_t seed : {uint64_t{1}, uint64_t{100}}) {
    std::vector<Tensor> inputs;
    for (ValueId v : before.inputs) inputs.push_back(random_tensor(before.type(v), seed++));
    Result<std::vector<Tensor>> a = evaluate(before, inputs), b = evaluate(after, inputs);
    REQUIRE((a.ok() ? "" : a.diagnostic().message) == "");
    REQUIRE((b.ok() ? "" : b.diagnostic().message) == "");
    REQUIRE(a->size() == b->size());
    for (size_t i = 0; i < a->size(); ++i) check_close((*a)[i], (*b)[i]);
  }
}

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(KILN_SOURCE_DIR) / "tests/golden"))
    if (entry.path().extension() == ".txt" && entry.path().filename() != "CMakeLists.txt") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

TEST_CASE("passes turn graphs into what the golden files say") {
  std::vector<fs::path> files = golden_files();
  REQUIRE(files.size() >= 6);
  for (const fs::path& path : files) {
    SECTION(path.filename().string()) {
      Golden golden = read_golden(path);
      REQUIRE(!golden.passes.empty());
      Result<Graph> parsed = parse_graph(golden.input, op_table());
      REQUIRE((parsed.ok() ? "" : parsed.diagnostic().message) == "");
      Graph graph = *parsed;
      std::string out = run_passes(graph, golden);
      if (std::getenv("KILN_REBASE")) REQUIRE(write_file(path, golden.input + std::string(kSeparator) + out).ok());
      else CHECK(out == golden.expected);
      if (out.starts_with("graph")) check_same_results(*parsed, graph);
    }
  }
}

TEST_CASE("each pass has golden files") {
  for (const GraphPass& pass : graph_passes()) {
    INFO(pass.name);
    std::vector<fs::path> files = golden_files();
    CHECK(std::count_if(files.begin(), files.end(), [&](const fs::path& p) { return p.filename().string().starts_with(std::string(pass.name)); }) >= 2);
  }
}
