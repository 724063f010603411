// SPDX-License-Identifier: Apache-2.0
// Generated recurrent layers of all attributes side by side, as a graph; and the check of what they compile to.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <string>

#include "compiler/ops/recurrent.h"
#include "nn/half.h"
#include "tests/emitted_layers.h"

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
inline std::set<std::string> check_recurrent_layers(Graph graph, const CompileOptions& options, const BuildOptions& build) {
  return check_float_layers(std::move(graph), options, build, 1e-4);  // sums of a few dozen products, several steps deep
}

}  // namespace kiln::test
