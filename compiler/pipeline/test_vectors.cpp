// SPDX-License-Identifier: Apache-2.0
#include "compiler/pipeline/test_vectors.h"

#include <algorithm>

#include "compiler/ir/folding.h"
#include "compiler/ir/limits.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "passes/integer_layers.h"

namespace kiln {
namespace {

/// The inputs of a run, random ones and the states, and the states that it leaves. Both by the order of the graph.
class Sequence {
 public:
  Sequence(const Graph& graph, const std::vector<StatePair>& states) : graph_(graph) {
    for (const StatePair& pair : states) {
      Link link{0, 0, {}};
      while (input_name(link.input) != pair.input) ++link.input;
      while (graph.output_name(link.output) != pair.output) ++link.output;
      const TensorType& type = graph.type(graph.inputs[link.input]);
      link.value = pair.initial ? *pair.initial : Tensor(TensorType{type.dtype, type.shape, {}});
      links_.push_back(std::move(link));
    }
  }

  /// Runs the next step on `inputs`, those of all that are no state.
  Result<TestVector> step(std::vector<Tensor> inputs) {
    std::vector<Tensor> all;
    size_t next = 0;
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& l) { return l.input == i; });
      all.push_back(link == links_.end() ? inputs[next++] : link->value);
    }
    Result<std::vector<Tensor>> outputs = evaluate(graph_, all);
    if (!outputs) return std::move(outputs).diagnostic();
    TestVector vector{std::move(inputs), {}};
    for (size_t i = 0; i < outputs->size(); ++i) {
      auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& l) { return l.output == i; });
      if (link == links_.end())
        vector.outputs.push_back((*outputs)[i]);
      else
        link->value = (*outputs)[i].reshaped(link->value.type.shape);
    }
    return vector;
  }

  [[nodiscard]] bool is_state(size_t input) const {
    return std::any_of(links_.begin(), links_.end(), [&](const Link& l) { return l.input == input; });
  }

 private:
  struct Link {
    size_t input, output;
    Tensor value;
  };

  [[nodiscard]] std::string input_name(size_t i) const {
    const Value& v = graph_.value(graph_.inputs[i]);
    return v.onnx ? v.onnx->name : v.name;
  }

  const Graph& graph_;
  std::vector<Link> links_;
};

/// Whether evaluating `graph` takes neither long nor much memory: the evaluator keeps all values.
bool is_quick_to_evaluate(const Graph& graph) {
  EvaluationCost all;
  auto bytes_of = [&](ValueId v) { return graph.type(v).elements() * element_bytes(graph.type(v).dtype); };
  for (ValueId input : graph.inputs) all.bytes += bytes_of(input);
  int64_t text = all.bytes;
  for (ValueId output : graph.outputs()) text += bytes_of(output);
  if (text > limits::kVectorTextBytes) return false;
  for (NodeId id : graph.order()) {
    const EvaluationCost cost = evaluation_cost(graph.args(id));
    all.bytes += cost.bytes;
    all.work += cost.work;
    if (all.bytes > limits::kVectorBytes || all.work > limits::kVectorWork) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<TestVector>> make_test_vectors(const Compiled& compiled, int count) {
  // Of quantized models the integer graph is what the emitted code computes to the bit; the float form of the model rounds elsewhere.
  const Graph& graph = is_quantized(compiled.graph) ? compiled.graph : compiled.imported;
  std::vector<TestVector> vectors;
  if (!is_quick_to_evaluate(graph)) return error(DiagId::limit_exceeded, "the model is too large to be evaluated in the compiler.");
  Sequence sequence(graph, compiled.states);
  for (int v = 0; v < count; ++v) {
    std::vector<Tensor> inputs;
    uint64_t seed = 1000 * static_cast<uint64_t>(v);
    for (size_t i = 0; i < graph.inputs.size(); ++i, ++seed)
      if (!sequence.is_state(i)) inputs.push_back(random_tensor(graph.type(graph.inputs[i]), seed + 1));
    Result<TestVector> vector = sequence.step(std::move(inputs));
    if (!vector) return std::move(vector).diagnostic();
    vectors.push_back(*std::move(vector));
  }
  return vectors;
}

}  // namespace kiln
