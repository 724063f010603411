// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ir/limits.h"
#include "compiler/ir/dot.h"
#include "compiler/ir/folding.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ir/verify.h"
#include "compiler/ops/evaluate.h"
#include "compiler/program/lowering.h"
#include "compiler/support/files.h"
#include "passes/graph_passes.h"
#include "passes/integer_layers.h"
#include "passes/lower.h"
#include "passes/plan_memory.h"
#include "passes/schedule.h"
#include "passes/select_kernels.h"
#include "passes/share_memory.h"
#include "passes/share_state.h"
#include "targets/targets.h"

namespace kiln {
namespace {

bool explains(const CommonOptions& options, std::string_view topic) {
  for (const std::string& t : options.explain)
    if (t == topic) return true;
  return false;
}

/// The C identifier of the bundle.
std::string bundle_name(const CommonOptions& options, const ModelInfo& info) {
  std::string name = c_identifier(options.name.empty() ? std::filesystem::path(info.file_name).stem().string() : options.name);
  return name;
}

/// Program passes by name; only those that can be left out do something when disabled.
constexpr std::string_view kProgramPasses[] = {"lower", "select-kernels", "schedule", "share-state", "share-memory", "plan-memory"};

bool disabled(const CommonOptions& options, std::string_view pass) {
  const std::vector<std::string>& list = options.passes.disabled;
  return std::find(list.begin(), list.end(), pass) != list.end();
}

Status optimize(Graph& graph, const CommonOptions& options, PassContext& context) {
  if (Status s = check_pass_names(options.passes, graph_passes(), kProgramPasses); !s) return s;
  if (Result<bool> r = run_graph_passes(graph, context, graph_passes(), options.passes); !r) return std::move(r).diagnostic();
  if (options.integer_io) {
    Result<bool> stripped = integer_boundary(graph, context);
    if (!stripped) return std::move(stripped).diagnostic();
    if (!*stripped)
      return error(DiagId::bad_usage, "--io-dtype int8: the model quantizes none of its inputs and dequantizes none of its outputs.",
                   "leave the option out, or quantize the model first: kiln quantize.");
    if (Status s = verify(graph, Stage::canonical); !s) return s;
  }
  if (options.dot.empty()) return Done{};
  return write_file(options.dot, graph_to_dot(graph));
}

/// Program passes, in order.
Status finish_program(Program& program, bool has_narrow_weights, const CommonOptions& options, PassContext& context) {
  KernelOptions kernels;
  kernels.reference_only = options.reference_kernels;
  kernels.narrow_weights = has_narrow_weights && !options.wide_weights;
  if (explains(options, "kernels")) kernels.explain = [](const std::string& line) { fmt::print("{}\n", line); };
  // Every call gets its kernel, with the weights in the order that kernel reads.
  if (Status s = select_kernels(program, kernels, context); !s) return s;
  // Branches are computed in the order that keeps least alive.
  if (Result<bool> r = disabled(options, "schedule") ? Result<bool>(false) : schedule(program, context); !r) return std::move(r).diagnostic();
  // New values of states are made in the bytes of the old ones.
  if (Result<bool> r = disabled(options, "share-state") ? Result<bool>(false) : share_state(program, context); !r) return std::move(r).diagnostic();
  // Outputs take over the bytes of inputs that die there.
  if (Result<bool> r = disabled(options, "share-memory") ? Result<bool>(false) : share_memory(program, context); !r) return std::move(r).diagnostic();
  // Every buffer gets its address. From here on the program is only printed.
  return plan_memory(program, context);
}

}  // namespace

std::optional<Compiled> compile_graph(ImportedModel model, const CommonOptions& options, Diagnostics& diagnostics) {
  auto failed = [&](const Diagnostic& d) {
    diagnostics.report(Diagnostic(d).in_file(options.model.string()));
    return std::nullopt;
  };
  Result<Target> target = make_target(options.target, options.cpu, options.goal);
  if (!target) {
    diagnostics.report(target.diagnostic());
    return std::nullopt;
  }
  Compiled out{model.info, *std::move(target), model.graph, std::move(model.graph), {}, std::move(model.states)};
  PassContext context{out.target, diagnostics};
  if (Status s = optimize(out.graph, options, context); !s) return failed(s.diagnostic());
  Result<Program> program = lower(out.graph, bundle_name(options, out.info), context, out.states);
  if (!program) return failed(program.diagnostic());
  out.program = *std::move(program);
  if (Status s = finish_program(out.program, out.imported.has_narrow_weights, options, context); !s) return failed(s.diagnostic());
  return out;
}

std::optional<Compiled> compile_model(const CommonOptions& options, Diagnostics& diagnostics) {
  std::optional<ImportedModel> model = import_model(options.model, options.import, diagnostics);
  if (!model || diagnostics.has_errors()) return std::nullopt;
  return compile_graph(*std::move(model), options, diagnostics);
}

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
      if (link == links_.end()) vector.outputs.push_back((*outputs)[i]);
      else link->value = (*outputs)[i].reshaped(link->value.type.shape);
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
