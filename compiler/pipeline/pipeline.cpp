// SPDX-License-Identifier: Apache-2.0
#include "compiler/pipeline/pipeline.h"

#include <algorithm>

#include "compiler/ir/dot.h"
#include "compiler/ir/verify.h"
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

/// The C identifier of the bundle.
std::string bundle_name(const CompileOptions& options, const ModelInfo& info) {
  std::string name = c_identifier(options.name.empty() ? std::filesystem::path(info.file_name).stem().string() : options.name);
  return name;
}

/// Program passes by name; only those that can be left out do something when disabled.
constexpr std::string_view kProgramPasses[] = {"lower", "select-kernels", "schedule", "share-state", "share-memory", "plan-memory"};

bool disabled(const CompileOptions& options, std::string_view pass) {
  const std::vector<std::string>& list = options.passes.disabled;
  return std::find(list.begin(), list.end(), pass) != list.end();
}

Status optimize(Graph& graph, const std::vector<StatePair>& states, const CompileOptions& options, PassContext& context) {
  if (Status s = check_pass_names(options.passes, graph_passes(), kProgramPasses); !s) return s;
  if (Result<bool> r = run_graph_passes(graph, context, graph_passes(), options.passes); !r) return std::move(r).diagnostic();
  if (options.integer_io) {
    Result<bool> stripped = integer_boundary(graph, states, context);
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
Status finish_program(Program& program, bool has_narrow_weights, const CompileOptions& options, PassContext& context) {
  KernelOptions kernels;
  kernels.reference_only = options.reference_kernels;
  kernels.narrow_weights = has_narrow_weights && !options.wide_weights;
  kernels.explain = options.explain_kernels;
  // Every call gets its kernel, with the weights in the order that kernel reads.
  if (Status s = select_kernels(program, kernels, context); !s) return s;
  // Branches are computed in the order that keeps least alive.
  if (Result<bool> r = disabled(options, "schedule") ? Result<bool>(false) : schedule(program, context); !r)
    return std::move(r).diagnostic();
  // New values of states are made in the bytes of the old ones.
  if (Result<bool> r = disabled(options, "share-state") ? Result<bool>(false) : share_state(program, context); !r)
    return std::move(r).diagnostic();
  // Outputs take over the bytes of inputs that die there.
  if (Result<bool> r = disabled(options, "share-memory") ? Result<bool>(false) : share_memory(program, context); !r)
    return std::move(r).diagnostic();
  // Every buffer gets its address. From here on the program is only printed.
  return plan_memory(program, context);
}

}  // namespace

std::optional<Compiled> compile_graph(ImportedModel model, const CompileOptions& options, Diagnostics& diagnostics) {
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
  if (Status s = optimize(out.graph, out.states, options, context); !s) return failed(s.diagnostic());
  Result<Program> program = lower(out.graph, bundle_name(options, out.info), context, out.states);
  if (!program) return failed(program.diagnostic());
  out.program = *std::move(program);
  if (Status s = finish_program(out.program, out.imported.has_narrow_weights, options, context); !s) return failed(s.diagnostic());
  return out;
}

std::optional<Compiled> compile_model(const CompileOptions& options, Diagnostics& diagnostics) {
  std::optional<ImportedModel> model = import_model(options.model, options.import, diagnostics);
  if (!model || diagnostics.has_errors()) return std::nullopt;
  return compile_graph(*std::move(model), options, diagnostics);
}

}  // namespace kiln
