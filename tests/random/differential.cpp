// SPDX-License-Identifier: Apache-2.0
#include "differential.h"

#include <fmt/format.h>

#include <cmath>

#include "batch.h"
#include "compiler/frontend/import.h"
#include "compiler/ir/verify.h"
#include "compiler/ops/evaluate.h"
#include "compiler/reference/onnxruntime.h"
#include "noise.h"
#include "ort_defects.h"
#include "passes/graph_passes.h"
#include "passes/integer_layers.h"
#include "passes/lower.h"

namespace kiln::test {
namespace {

constexpr std::string_view kProgramPasses[] = {"schedule", "share-memory"};

struct Subject {
  const RandomGraph* graph = nullptr;
  std::vector<Finding>* findings = nullptr;
  std::optional<ImportedModel> model;
  std::vector<std::vector<Expected>> expected;  ///< [set][output]
  std::vector<std::vector<Tensor>> exact;       ///< [set][output] of the final graph, when all of it computes on integers
  std::optional<Compiled> with_passes, without_passes;

  void report(Finding::Kind kind, std::optional<Way> way, const std::string& text) {
    findings->push_back({.kind = kind, .way = way, .text = text});
  }
};

struct Judgement {
  bool good = true;
  std::string text = {};                            ///< where it differs
  double absolute = HUGE_VAL, relative = HUGE_VAL;  ///< the worst difference, and that by what is expected
};

Judgement judge(const Tensor& got, const Expected& expected) {
  if (got.type.dtype != expected.value.type.dtype || got.type.shape != expected.value.type.shape)
    return {false, fmt::format("is {}, expected {}", to_string(got.type), to_string(expected.value.type))};
  std::vector<double> a = got.to_doubles(), b = expected.value.to_doubles();
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double excess = std::isfinite(a[i]) ? std::abs(a[i] - b[i]) - expected.tolerance[i] : HUGE_VAL;
    if (excess > worst) {
      worst = excess;
      at = i;
    }
  }
  if (worst == 0) return {};
  return {
      false,
      fmt::format("{} element {} is {:.9g}, expected {:.9g} within {:.2g}", to_string(got.type), at, a[at], b[at], expected.tolerance[at]),
      std::abs(a[at] - b[at]), std::abs(a[at] - b[at]) / std::abs(b[at])};
}

void judge_outputs(Subject& subject, Way way, const std::vector<std::vector<Tensor>>& sets) {
  for (size_t set = 0; set < sets.size(); ++set)
    for (size_t o = 0; o < sets[set].size(); ++o) {
      Judgement j = judge(sets[set][o], subject.expected[set][o]);
      if (j.good && way == Way::emitted && !subject.exact.empty() &&
          !(sets[set][o].bytes().size() == subject.exact[set][o].bytes().size() &&
            std::equal(sets[set][o].bytes().begin(), sets[set][o].bytes().end(), subject.exact[set][o].bytes().begin())))
        j = {false, "is not to the bit what the final graph evaluates to"};
      if (j.good) continue;
      subject.report(Finding::Kind::differs, way, fmt::format("output {} of set {}: {}", o, set, j.text));
      subject.findings->back().absolute = j.absolute;
      subject.findings->back().relative = j.relative;
      return;
    }
}

/// Imports and evaluates; false where that is the end.
bool take_reference(Subject& s, Totals& totals) {
  Diagnostics diagnostics;
  s.model = import_model_bytes(s.graph->model, s.graph->name + ".onnx", {}, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) {
    if (d.severity != Severity::error) continue;
    const bool refused = diagnostic_exit_code(d.id) == ExitCode::unsupported;
    if (refused) ++totals.refused;
    s.report(refused ? Finding::Kind::refused : Finding::Kind::invalid, {}, to_string(d));
    return false;
  }
  for (const std::vector<Tensor>& inputs : s.graph->inputs) {
    Result<std::vector<Expected>> expected = expected_outputs(s.model->graph, inputs, 1);
    if (!expected) {
      s.report(Finding::Kind::fails, {}, to_string(expected.diagnostic()));
      return false;
    }
    s.expected.push_back(*std::move(expected));
  }
  return true;
}

void run_onnxruntime(Subject& s, OnnxRuntime& ort, Totals& totals) {
  Result<OrtSession> session = ort.open(s.graph->model, OrtOptimization::none);
  std::vector<std::vector<Tensor>> results;
  std::string message;
  if (!session) message = session.diagnostic().message;
  for (const std::vector<Tensor>& inputs : s.graph->inputs) {
    if (!message.empty()) break;
    Result<std::vector<Tensor>> out = session->run(inputs);
    if (!out)
      message = out.diagnostic().message;
    else
      results.push_back(*std::move(out));
  }
  if (message.empty()) {
    ++totals.against_onnxruntime;
    const size_t before = s.findings->size();
    judge_outputs(s, Way::onnxruntime, results);
    if (s.findings->size() == before) return;
    if (std::string why = ort_defect(s.graph->model, s.findings->back()); !why.empty()) {
      s.findings->pop_back();
      ++totals.excepted[why];
    }
    return;
  }
  if (std::string why = ort_lacks(message); !why.empty())
    ++totals.onnxruntime_lacks[why];
  else
    s.report(Finding::Kind::fails, Way::onnxruntime, message);
}

/// The families of the kernels that the graph needs. What cannot be lowered is found when it is compiled.
void count_families(const Graph& graph, PassContext& context, Totals& totals) {
  if (Result<Program> program = lower(graph, "g", context))
    for (const Step& step : program->steps) ++totals.families[step.call.family];
}

/// A bit for each pass, by the name of a graph; the same on every machine (FNV-1a).
uint32_t passes_left_out(const std::string& name) {
  uint32_t hash = 2166136261u;
  for (char ch : name) hash = (hash ^ static_cast<uint8_t>(ch)) * 16777619u;
  return hash;
}

/// Each pass in turn, counted, and the evaluation of what it comes to; `leave_out` has a bit for each pass.
void run_passes(Subject& s, Way way, uint32_t leave_out, Totals& totals) {
  Graph graph = s.model->graph;
  Target target;
  Diagnostics diagnostics;
  PassContext context{target, diagnostics};
  for (size_t i = 0; i < graph_passes().size(); ++i) {
    if ((leave_out >> i & 1) != 0) continue;
    Result<bool> changed = graph_passes()[i].run(graph, context);
    if (!changed) return s.report(Finding::Kind::fails, way, to_string(changed.diagnostic()));
    if (*changed) ++totals.passes[std::string(graph_passes()[i].name)];
    if (Status valid = verify(graph, leave_out == 0 ? graph_passes()[i].stage_after : Stage::imported); !valid)
      return s.report(Finding::Kind::fails, way, fmt::format("after {}: {}", graph_passes()[i].name, to_string(valid.diagnostic())));
  }
  std::vector<std::vector<Tensor>> results;
  for (std::vector<Tensor> inputs : s.graph->inputs) {
    for (size_t i = 0; i < inputs.size(); ++i) inputs[i].type = graph.type(graph.inputs[i]);
    Result<std::vector<Tensor>> out = evaluate(graph, inputs);
    if (!out) return s.report(Finding::Kind::fails, way, to_string(out.diagnostic()));
    results.push_back(*std::move(out));
  }
  judge_outputs(s, way, results);
  if (way == Way::passes) count_families(graph, context, totals);
  bool on_integers = s.graph->quantized && way == Way::passes;
  for (NodeId id : graph.order()) on_integers = on_integers && float_reason(graph, id).empty();
  if (on_integers) s.exact = std::move(results);
}

std::optional<Compiled> compile(Subject& s, Way way, const DifferentialOptions& options, const std::string& name) {
  CompileOptions common;
  common.model = s.graph->name + ".onnx";
  common.name = name;
  common.target = options.target;
  common.cpu = options.cpu;
  if (way == Way::emitted_without_passes) {
    for (const GraphPass& pass : graph_passes()) common.passes.disabled.emplace_back(pass.name);
    common.passes.disabled.insert(common.passes.disabled.end(), std::begin(kProgramPasses), std::end(kProgramPasses));
    common.reference_kernels = true;
  }
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_graph(*s.model, common, diagnostics);
  if (compiled) return compiled;
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == Severity::error) s.report(Finding::Kind::fails, way, to_string(d));
  return std::nullopt;
}

/// A batch that does not build or run is halved until it is clear whose fault it is.
void run_emitted(std::vector<Subject*> subjects, Way way, const DifferentialOptions& options) {
  std::vector<BatchItem> items;
  for (Subject* s : subjects) items.push_back({&*(way == Way::emitted ? s->with_passes : s->without_passes), &s->graph->inputs});
  if (items.empty()) return;
  auto outputs = run_batch(items, options.build);
  if (outputs) {
    for (size_t i = 0; i < subjects.size(); ++i) judge_outputs(*subjects[i], way, (*outputs)[i]);
    return;
  }
  if (subjects.size() == 1) {
    subjects.front()->report(Finding::Kind::fails, way, to_string(outputs.diagnostic()));
    return;
  }
  const auto middle = subjects.begin() + static_cast<std::ptrdiff_t>(subjects.size() / 2);
  run_emitted({subjects.begin(), middle}, way, options);
  run_emitted({middle, subjects.end()}, way, options);
}

}  // namespace

std::string_view way_name(Way way) {
  switch (way) {
    case Way::onnxruntime:
      return "ONNX Runtime";
    case Way::passes:
      return "evaluation after the passes";
    case Way::some_passes:
      return "evaluation after some of the passes";
    case Way::emitted:
      return "emitted code";
    case Way::emitted_without_passes:
      break;
  }
  return "emitted code without passes";
}

std::vector<std::vector<Finding>> compare_ways(const std::vector<RandomGraph>& graphs, const DifferentialOptions& options, Totals& totals) {
  static Result<OnnxRuntime> ort = OnnxRuntime::load();
  std::vector<std::vector<Finding>> findings(graphs.size());
  for (size_t first = 0; first < graphs.size(); first += options.batch) {
    const size_t count = std::min(options.batch, graphs.size() - first);
    std::vector<Subject> subjects(count);
    std::vector<Subject*> built, plain;
    for (size_t i = 0; i < count; ++i) {
      Subject& s = subjects[i];
      s.graph = &graphs[first + i];
      s.findings = &findings[first + i];
      options.begin(s.graph->name, 1);
      ++totals.graphs;
      if (!take_reference(s, totals)) continue;
      if (options.onnxruntime && ort) run_onnxruntime(s, *ort, totals);
      run_passes(s, Way::passes, 0, totals);
      run_passes(s, Way::some_passes, passes_left_out(s.graph->name), totals);
      if (!options.emitted) continue;
      s.with_passes = compile(s, Way::emitted, options, fmt::format("g{}", i));
      s.without_passes = compile(s, Way::emitted_without_passes, options, fmt::format("g{}", i));
      if (s.with_passes) built.push_back(&s);
      if (s.without_passes) plain.push_back(&s);
      ++totals.against_emitted;
    }
    options.begin(fmt::format("{} to {}", graphs[first].name, graphs[first + count - 1].name), count);
    run_emitted(built, Way::emitted, options);
    run_emitted(plain, Way::emitted_without_passes, options);
  }
  return findings;
}

}  // namespace kiln::test
