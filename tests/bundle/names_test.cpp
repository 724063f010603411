// SPDX-License-Identifier: Apache-2.0
// ONNX names and constants of every kind must come out as valid, warning-free C and C++.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "compiler/emit/bundle.h"
#include "compiler/emit/bundle_writer.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/pipeline/test_vectors.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/process.h"

using namespace kiln;

namespace {

/// y = x + c for a constant c of any type, with the given names.
Graph add_constant_graph(const Tensor& c, const std::string& input, const std::string& output, const std::string& node) {
  Graph g;
  ValueId x = g.add_input(input, TensorType{c.type.dtype, c.type.shape, {}});
  GraphBuilder builder(g, {node});
  Result<ValueId> y = builder.add(ops::add, {x, builder.add_constant(c, "c")});
  REQUIRE(y.ok());
  g.add_output(*y, output);
  return g;
}

Compiled compiled(const Graph& graph, const std::string& file) {
  CompileOptions options;
  Diagnostics diagnostics;
  std::optional<Compiled> c = compile_graph({graph, ModelInfo{file, std::string(64, '0'), 13, "", {}}}, options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(c);
  return *std::move(c);
}

void builds(const Compiled& c) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  REQUIRE(write_folder(folder->path() / "b", emit_bundle(c.program, c.target, c.info, {*make_test_vectors(c, 1), {}})).ok());
  for (const std::string& source : {c.program.name + ".cpp", c.program.name + "_weights.cpp", std::string("selftest/main.cpp")}) {
    Result<ProcessResult> result =
        run_process({"g++", "-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fsyntax-only", source}, folder->path() / "b");
    REQUIRE(result.ok());
    INFO(source << "\n" << result->output);
    CHECK(result->exit_code == 0);
  }
}

}  // namespace

TEST_CASE("any ONNX name can be emitted") {
  const std::string hostile[] = {"a/b:0",
                                 "1st",
                                 "class",
                                 "while",
                                 "x\ny",
                                 "*/ /*",
                                 "\"quoted\"",
                                 "back\\slash\\",
                                 "gr\xc3\xbc\xc3\x9f",
                                 "__init__",
                                 "",
                                 "nn",
                                 "memory",
                                 "std",
                                 "arena",
                                 "weights",
                                 "at",
                                 "int32_t",
                                 "trailing\\",
                                 "?"
                                 "?/",
                                 "NULL",
                                 "INT32_MAX",
                                 "linux"};
  for (const std::string& name : hostile) {
    INFO("name " << name);
    builds(compiled(add_constant_graph(Tensor::floats({4}, {1, 2, 3, 4}), name, name + "_out", name.empty() ? "node" : name), "m.onnx"));
  }
}

TEST_CASE("any file name makes a bundle name") {
  for (const char* file : {"my model (v2).onnx", "2nd.onnx", "default.onnx", "a-b.c.onnx", "nn.onnx", "std.onnx", "memory.onnx"}) {
    INFO(file);
    builds(compiled(add_constant_graph(Tensor::floats({4}, {1, 2, 3, 4}), "x", "y", "n"), file));
  }
}

TEST_CASE("constants of every type come back exactly") {
  auto literals = [](const Tensor& t) {
    std::string text;
    for (size_t i = 0; i < static_cast<size_t>(t.type.elements()); ++i) text += literal(t, i) + " ";
    return text;
  };
  CHECK(literals(Tensor::floats({6}, {0.0f, -0.0f, 0.1f, 1e-45f, 3.4028235e38f, 5.0f})) == "0.0f -0.0f 0.1f 1e-45f 3.4028235e+38f 5.0f ");
  float infinity = std::numeric_limits<float>::infinity();
  CHECK(literals(Tensor::floats({3}, {infinity, -infinity, NAN})) == "__builtin_inff() -__builtin_inff() __builtin_nanf(\"\") ");
  const int64_t least[] = {std::numeric_limits<int64_t>::min(), -1};
  CHECK(literals(Tensor::of<int64_t>({2}, least)) == "(-9223372036854775807 - 1) -1 ");
  const uint64_t most[] = {std::numeric_limits<uint64_t>::max()};
  CHECK(literals(Tensor::of<uint64_t>({1}, most)) == "18446744073709551615u ");
  builds(compiled(add_constant_graph(Tensor::floats({3}, {infinity, -infinity, NAN}), "x", "y", "n"), "m.onnx"));
  builds(compiled(add_constant_graph(Tensor::of<int64_t>({2}, least), "x", "y", "n"), "m.onnx"));
  builds(compiled(add_constant_graph(Tensor::of<uint64_t>({1}, most), "x", "y", "n"), "m.onnx"));
}
