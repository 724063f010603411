// SPDX-License-Identifier: Apache-2.0
// Generated recurrent layers of all attributes side by side, as a graph; and a check of what they compile to against its evaluation.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <set>
#include <string>

#include "compiler/emit/bundle.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/ops/recurrent.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"
#include "nn/half.h"

namespace kiln::test {

class RecurrentGenerator {
 public:
  /// `is_narrow`: all weights are f16 numbers, and stored so.
  explicit RecurrentGenerator(uint32_t seed, bool is_narrow = false) : random_(seed), is_narrow_(is_narrow) {}

  Graph graph(int layers) {
    Graph graph;
    graph.has_narrow_weights = is_narrow_;
    for (int i = 0; i < layers; ++i) add(graph, i);
    return graph;
  }

 private:
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random_); }
  bool flip() { return pick(0, 1) == 1; }

  void add(Graph& graph, int layer) {
    const OpDef& op = *std::array{&ops::rnn, &ops::gru, &ops::lstm}[static_cast<size_t>(layer % 3)];
    const RecurrentKind& kind = recurrent_kind(op);
    const std::string direction = std::array{"forward", "reverse", "bidirectional"}[static_cast<size_t>(pick(0, 2))];
    const int64_t d = direction == "bidirectional" ? 2 : 1, steps = pick(1, 4), batch = pick(1, 2), inputs = pick(1, 20),
                  units = pick(1, 37);
    const bool batch_first = flip();
    GraphBuilder b(graph, {fmt::format("layer{}", layer)});
    auto constant = [&](const Shape& shape) {
      Tensor values = random_tensor({DType::f32, shape, {}}, random_());
      if (is_narrow_)
        for (float& x : values.as<float>()) x = nn::f16_to_float(nn::float_to_f16(x));
      return b.add_constant(std::move(values));
    };
    auto input = [&](const char* name, const Shape& shape) { return graph.add_input(name, {DType::f32, shape, {}}); };
    const Shape state = batch_first ? Shape{batch, d, units} : Shape{d, batch, units};
    const int64_t all = kind.gates * units;
    OnnxNode node{"", std::string(op.onnx.type), "node", 14, {{"direction", direction}, {"layout", int64_t{batch_first}}},
                  {}, kind.has_cell ? 3u : 2u,   {}};
    node.inputs = {input("x", batch_first ? Shape{batch, steps, inputs} : Shape{steps, batch, inputs}),
                   constant({d, all, inputs}),
                   constant({d, all, units}),
                   flip() ? constant({d, 2 * all}) : kNoValue,
                   pick(0, 3) == 0 ? graph.add_input("lens", {DType::i32, {batch}, {}}) : kNoValue,
                   flip() ? input("h", state) : kNoValue};
    if (kind.has_cell) node.inputs.push_back(flip() ? input("c", state) : kNoValue);
    if (kind.has_cell && flip()) node.inputs.push_back(constant({d, 3 * units}));
    if (flip()) node.attrs.set("clip", 0.75);
    if (&op == &ops::gru && flip()) node.attrs.set("linear_before_reset", int64_t{1});
    if (kind.has_cell && flip()) node.attrs.set("input_forget", int64_t{1});
    if (flip()) {
      std::vector<std::string> names;
      for (size_t i = 0; i < kind.functions * static_cast<size_t>(d); ++i)
        names.emplace_back(std::array{"HardSigmoid", "Relu", "Softsign", "Elu", "Sigmoid"}[static_cast<size_t>(pick(0, 4))]);
      node.attrs.set("activations", names);
    }
    const bool sequence = flip();
    node.output_used = {sequence, !sequence || flip(), kind.has_cell};
    node.output_used.resize(node.output_count);
    Result<std::vector<ValueId>> out = op.import(node, b);
    if (!out) FAIL(out.diagnostic().message);
    for (size_t i = 0; i < node.output_count; ++i)
      if (node.output_used[i]) graph.add_output((*out)[i], fmt::format("y{}_{}", layer, i));
  }

  std::mt19937 random_;
  bool is_narrow_;
};

/// Compiles the graph, runs it and compares it with its evaluation. Returns the rows that served it.
inline std::set<std::string> check_recurrent_layers(Graph graph, const CompileOptions& given, const BuildOptions& build) {
  CompileOptions options = given;
  options.name = "layers";
  ImportedModel model;
  model.graph = std::move(graph);
  Diagnostics diagnostics;
  std::optional<Compiled> c = compile_graph(std::move(model), options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(c);
  std::vector<Tensor> inputs;
  for (ValueId v : c->graph.inputs) inputs.push_back(random_tensor(c->graph.type(v), inputs.size() + 1));
  Result<std::vector<Tensor>> expected = evaluate(c->graph, inputs);
  REQUIRE(expected.ok());
  Result<BuiltBundle> built = BuiltBundle::build(c->program, c->target, emit_bundle(c->program, c->target, c->info, {}), build);
  if (!built) FAIL(to_string(built.diagnostic()));
  Result<RunResult> result = built->run({inputs}, {.poison = build.traced});
  if (!result) FAIL(to_string(result.diagnostic()));
  for (size_t i = 0; i < expected->size(); ++i) {
    const std::vector<double> got = result->outputs[0][i].to_doubles(), want = (*expected)[i].to_doubles();
    REQUIRE(got.size() == want.size());
    for (size_t k = 0; k < got.size(); ++k) {
      // Sums of a few dozen products, several steps deep.
      if (std::abs(got[k] - want[k]) <= 1e-4 * (1 + std::abs(want[k]))) continue;
      FAIL(fmt::format("{} {}: output {} element {} is {}, expected {}", options.target, options.cpu, c->graph.output_name(i), k, got[k],
                       want[k]));
    }
  }
  std::set<std::string> rows;
  for (const Step& step : c->program.steps) {
    rows.insert(fmt::format("{}.{}", step.call.family, step.call.row->variant));
    if ((step.call.row->narrow & kGateWeights) != kGateWeights) continue;
    for (size_t operand : {size_t{1}, size_t{2}})
      CHECK((c->program.tensor(step.call.inputs[operand]).type.dtype == DType::f16) == c->imported.has_narrow_weights);
  }
  return rows;
}

}  // namespace kiln::test
