// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ir/dot.h"
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
constexpr std::string_view kProgramPasses[] = {"lower", "select-kernels", "schedule", "share-memory", "plan-memory"};

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
Status finish_program(Program& program, const CommonOptions& options, PassContext& context) {
  KernelOptions kernels;
  kernels.reference_only = options.reference_kernels;
  if (explains(options, "kernels")) kernels.explain = [](const std::string& line) { fmt::print("{}\n", line); };
  // Every call gets its kernel, with the weights in the order that kernel reads.
  if (Status s = select_kernels(program, kernels, context); !s) return s;
  // Branches are computed in the order that keeps least alive.
  if (Result<bool> r = disabled(options, "schedule") ? Result<bool>(false) : schedule(program, context); !r) return std::move(r).diagnostic();
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
  Compiled out{model.info, *std::move(target), model.graph, std::move(model.graph), {}};
  PassContext context{out.target, diagnostics};
  if (Status s = optimize(out.graph, options, context); !s) return failed(s.diagnostic());
  Result<Program> program = lower(out.graph, bundle_name(options, out.info), context);
  if (!program) return failed(program.diagnostic());
  out.program = *std::move(program);
  if (Status s = finish_program(out.program, options, context); !s) return failed(s.diagnostic());
  return out;
}

std::optional<Compiled> compile_model(const CommonOptions& options, Diagnostics& diagnostics) {
  std::optional<ImportedModel> model = import_model(options.model, options.import, diagnostics);
  if (!model || diagnostics.has_errors()) return std::nullopt;
  return compile_graph(*std::move(model), options, diagnostics);
}

std::vector<TestVector> make_test_vectors(const Compiled& compiled, int count) {
  // Of quantized models the integer graph is what the emitted code computes to the bit; the float form of the model rounds elsewhere.
  const Graph& graph = is_quantized(compiled.graph) ? compiled.graph : compiled.imported;
  std::vector<TestVector> vectors;
  for (int v = 0; v < count; ++v) {
    TestVector vector;
    uint64_t seed = 1000 * static_cast<uint64_t>(v);
    for (ValueId input : graph.inputs) vector.inputs.push_back(random_tensor(graph.type(input), ++seed));
    Result<std::vector<Tensor>> outputs = evaluate(graph, vector.inputs);
    if (!outputs) break;
    vector.outputs = *std::move(outputs);
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

}  // namespace kiln
