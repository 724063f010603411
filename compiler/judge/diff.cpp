// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/emit/bundle.h"
#include "compiler/frontend/model_edit.h"
#include "compiler/ops/quantization.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/input_sets.h"

namespace kiln {
namespace {

constexpr int kRandomSets = 3, kRandomSteps = 8;
constexpr const char *kOrt = "ONNX Runtime", *kStored = "stored";

using NamedTensors = std::map<std::string, Tensor>;

/// What both sides are fed with. A model that keeps state is run in sequences, which begin with a reset.
struct Inputs {
  std::vector<InputSet> sets;
  size_t sequence_steps = 1;
};

/// The stored sets one after the other, again and again, as one sequence.
Inputs as_sequence(const std::vector<InputSet>& sets, int steps) {
  Inputs inputs{{}, steps ? static_cast<size_t>(steps) : sets.size()};
  for (size_t i = 0; i < inputs.sequence_steps; ++i) {
    inputs.sets.push_back(sets[i % sets.size()]);
    inputs.sets.back().name = fmt::format("step {} ({})", i, inputs.sets.back().name);
  }
  return inputs;
}

Inputs random_sequences(const Program& program, int sequences, int steps, uint64_t seed) {
  Inputs inputs{random_input_sets(program, sequences * steps, seed), static_cast<size_t>(steps)};
  for (size_t i = 0; i < inputs.sets.size(); ++i)
    inputs.sets[i].name = fmt::format("random {} step {}", i / inputs.sequence_steps, i % inputs.sequence_steps);
  return inputs;
}

/// Stored test sets beside the model are better than random numbers, so they are taken when nothing else is asked for.
Result<Inputs> choose_inputs(const std::filesystem::path& model, const DiffOptions& options, const Program& program,
                             const std::vector<FrozenInput>& frozen) {
  const bool keeps_state = !program.states.empty();
  if (options.steps > 0 && !keeps_state)
    return error(DiagId::bad_usage, "--steps is about models that keep state, this one keeps none.",
                 "say which output feeds which input: --state OUTPUT=INPUT.");
  std::error_code ec;
  std::filesystem::path folder = options.inputs;
  if (folder.empty() && options.random == 0 && std::filesystem::is_directory(model.parent_path() / "test_data_set_0", ec))
    folder = model.has_parent_path() ? model.parent_path() : ".";
  if (!folder.empty()) {
    Result<std::vector<InputSet>> sets = load_input_sets(folder, program, frozen);
    if (!sets) return std::move(sets).diagnostic();
    return keeps_state ? as_sequence(*sets, options.steps) : Inputs{*std::move(sets)};
  }
  if (keeps_state)
    return random_sequences(program, options.random ? options.random : 1, options.steps ? options.steps : kRandomSteps, options.seed);
  return Inputs{random_input_sets(program, options.random ? options.random : kRandomSets, options.seed)};
}

std::vector<std::vector<Tensor>> tensors_of(const std::vector<InputSet>& sets) {
  std::vector<std::vector<Tensor>> tensors;
  for (const InputSet& set : sets) tensors.push_back(set.inputs);
  return tensors;
}

/// The states of ONNX Runtime's side, by the names of the inputs.
NamedTensors initial_states(const Compiled& compiled) {
  NamedTensors states;
  for (const StatePair& pair : compiled.states)
    for (ValueId v : compiled.imported.inputs) {
      const Value& value = compiled.imported.value(v);
      if (!value.onnx || value.onnx->name != pair.input) continue;
      states.insert_or_assign(pair.input, pair.initial ? *pair.initial : Tensor({value.type.dtype, value.type.shape, {}}));
    }
  return states;
}

/// The set's tensors and the states in the order of the session. An input that kiln left out is read by no node; it gets zeros.
std::vector<Tensor> feed_for(const OrtSession& session, const Program& program, const InputSet& set, const NamedTensors& states) {
  std::vector<Tensor> feed;
  for (const OrtTensorInfo& info : session.inputs()) {
    if (auto state = states.find(info.name); state != states.end()) {
      feed.push_back(state->second);
      continue;
    }
    auto io = std::find_if(program.inputs.begin(), program.inputs.end(), [&](const IoTensor& i) { return i.name == info.name; });
    if (io != program.inputs.end()) {
      Tensor tensor = set.inputs[static_cast<size_t>(io - program.inputs.begin())];
      tensor.type.quant = program.tensor(io->tensor).type.quant;
      bool stripped = info.dtype == DType::f32 && is_integer(tensor.type.dtype) && tensor.type.quant;  // --io-dtype int8
      feed.push_back(stripped ? dequantized_tensor(tensor) : std::move(tensor));
      continue;
    }
    Shape shape = info.dims;
    std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
    feed.emplace_back(TensorType{info.dtype, std::move(shape), {}});
  }
  return feed;
}

Result<NamedTensors> run_ort(OrtSession& session, const Program& program, const InputSet& set, const NamedTensors& states) {
  Result<std::vector<Tensor>> results = session.run(feed_for(session, program, set, states));
  if (!results) return std::move(results).diagnostic();
  NamedTensors named;
  for (size_t i = 0; i < results->size(); ++i) named.insert_or_assign(session.outputs()[i].name, std::move((*results)[i]));
  return named;
}

/// `tensor` of a reference as output `io` has it: floats for integers on a grid (--io-dtype int8) are quantized.
Result<Tensor> as_output(const Tensor& tensor, const TensorType& type, const std::string& output, const char* reference,
                         const std::string& set) {
  const bool codes = type.quant && !type.quant->per_axis() && is_integer(type.dtype) && tensor.type.dtype == DType::f32;
  Tensor expected = codes ? quantized_tensor(tensor, *type.quant) : tensor;
  if (expected.type.dtype == type.dtype && expected.type.shape == type.shape) return expected;
  return error(DiagId::results_differ,
               fmt::format("output '{}' is {}, {} has {} in {}.", output, to_string(type), reference, to_string(expected.type), set));
}

/// The emitted code and ONNX Runtime may be this many times as far from a stored output as the other to be as far.
constexpr double kAsFar = 2;

/// Everything that one run of `diff` holds.
struct Session {
  const std::filesystem::path& model;
  const DiffOptions& options;
  const Terminal& terminal;
  const Compiled& compiled;
  Inputs inputs;
  DiffReport report;
  /// Of the set in which an output is furthest from ONNX Runtime: what that computed, and the states that it read.
  struct {
    size_t set = 0;
    NamedTensors reference;
    std::optional<Comparison> comparison = {};
  } worst;

  [[nodiscard]] const Program& program() const { return compiled.program; }
  Result<OrtSession> open_ort(OnnxRuntime& ort) const;
  Result<BuiltBundle> build() const;
  Result<RunResult> run(const BuiltBundle& host) const;
  [[nodiscard]] OutputDiff compare_output(size_t output, const Tensor& got, const Tensor& expected, const char* reference, size_t set) const;
  Status compare_outputs(size_t set, const std::vector<Tensor>& outputs, const NamedTensors& reference);
  Status compare_all(OrtSession& ort, const RunResult& emitted);
  Status compare_worst_layers(const BuiltBundle& host);
  Status time_ort(OnnxRuntime& ort);
};

Result<OrtSession> Session::open_ort(OnnxRuntime& ort) const {
  std::vector<std::string> names = options.layers ? layer_tensors(program()) : std::vector<std::string>{};
  Result<std::string> bytes = model_with_outputs(model, names, {compiled.states, compiled.info.frozen});
  if (!bytes) return std::move(bytes).diagnostic();
  return ort.open(*bytes, options.optimize_ort ? OrtOptimization::all : OrtOptimization::none);
}

Result<BuiltBundle> Session::build() const {
  terminal.show_progress("building the emitted code ...");
  BuildOptions build = options.build;
  build.traced = options.layers;
  Result<BuiltBundle> host =
      BuiltBundle::build(program(), compiled.target, emit_bundle(program(), compiled.target, compiled.info, {}), build);
  if (host) terminal.say(host->commands());
  return host;
}

Result<RunResult> Session::run(const BuiltBundle& host) const {
  terminal.show_progress("running the emitted code ...");
  return host.run(tensors_of(inputs.sets),
                  {.sequence_steps = static_cast<uint32_t>(inputs.sequence_steps), .timed_runs = options.timed_runs});
}

OutputDiff Session::compare_output(size_t output, const Tensor& got, const Tensor& expected, const char* reference, size_t set) const {
  ComparisonRule rule = report.rule;
  if (!options.explicit_rule) rule.allowances = type_allowances(got.type);
  OutputDiff diff{program().outputs[output].name, reference, inputs.sets[set].name, got.type, {}, compare(got, expected, rule), {}, true};
  diff.allowances = std::move(rule.allowances);
  return diff;
}

/// With ONNX Runtime and with what is stored.
Status Session::compare_outputs(size_t set, const std::vector<Tensor>& outputs, const NamedTensors& reference) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = program().outputs[i].name;
    Result<Tensor> ort = as_output(reference.at(name), outputs[i].type, name, kOrt, inputs.sets[set].name);
    if (!ort) return std::move(ort).diagnostic();
    const OutputDiff& against_ort = report.outputs.emplace_back(compare_output(i, outputs[i], *ort, kOrt, set));
    const bool agrees = against_ort.comparison.pass();
    if (!worst.comparison || is_worse(against_ort.comparison, *worst.comparison)) {
      worst.set = set;
      worst.comparison = against_ort.comparison;
    }
    for (const NamedTensor& stored : inputs.sets[set].expected) {
      if (stored.name != name) continue;
      Result<Tensor> expected = as_output(stored.tensor, outputs[i].type, name, kStored, inputs.sets[set].name);
      if (!expected) return std::move(expected).diagnostic();
      OutputDiff& diff = report.outputs.emplace_back(compare_output(i, outputs[i], *expected, kStored, set));
      if (diff.comparison.pass()) continue;
      ort->type.quant = outputs[i].type.quant;  // which decides what is allowed
      const Comparison theirs = compare_output(i, *ort, *expected, kStored, set).comparison;
      diff.ort_max_abs = theirs.max_abs;
      diff.counts = !(agrees && !theirs.pass() && diff.comparison.max_abs <= kAsFar * theirs.max_abs);
    }
  }
  return Done{};
}

Status Session::compare_all(OrtSession& ort, const RunResult& emitted) {
  const std::vector<InputSet>& sets = inputs.sets;
  NamedTensors states;
  for (size_t i = 0; i < sets.size(); ++i) {
    terminal.show_progress(fmt::format("running ONNX Runtime, input set {} of {} ...", i + 1, sets.size()));
    if (i % inputs.sequence_steps == 0) states = initial_states(compiled);
    Result<NamedTensors> reference = run_ort(ort, program(), sets[i], states);
    if (!reference) return std::move(reference).diagnostic();
    if (Status s = compare_outputs(i, emitted.outputs[i], *reference); !s) return s;
    NamedTensors read = states;
    for (const StatePair& pair : compiled.states) states[pair.input] = reference->at(pair.output).reshaped(states[pair.input].type.shape);
    if (!options.layers || worst.set != i) continue;
    reference->merge(read);
    worst.reference = *std::move(reference);
  }
  return Done{};
}

/// Runs the worst set again, with what a model that keeps state reads before it, and compares what every layer makes of it.
Status Session::compare_worst_layers(const BuiltBundle& host) {
  const std::vector<InputSet>& sets = inputs.sets;
  const size_t first = worst.set - worst.set % inputs.sequence_steps, count = worst.set - first + 1;
  std::vector<std::vector<Tensor>> sequence;
  for (size_t i = first; i <= worst.set; ++i) sequence.push_back(sets[i].inputs);
  Result<RunResult> traced = host.run(
      sequence, {.traced_sets = static_cast<uint32_t>(count), .sequence_steps = static_cast<uint32_t>(inputs.sequence_steps)});
  if (!traced) return std::move(traced).diagnostic();
  for (size_t i = 0; i < program().inputs.size(); ++i)
    worst.reference.insert_or_assign(program().inputs[i].name, sets[worst.set].inputs[i]);
  report.layer_set = sets[worst.set].name;
  report.layers = compare_layers(program(), traced->step_results.back(), worst.reference, report.rule, !options.explicit_rule);
  return Done{};
}

Status Session::time_ort(OnnxRuntime& ort) {
  terminal.show_progress("timing ONNX Runtime ...");
  Result<std::string> bytes = serialized_model(model, {compiled.states, compiled.info.frozen});
  if (!bytes) return std::move(bytes).diagnostic();
  Result<OrtSession> session = ort.open(*bytes, OrtOptimization::all);
  if (!session) return std::move(session).diagnostic();
  Result<int64_t> time =
      session->time_run(feed_for(*session, program(), inputs.sets.front(), initial_states(compiled)), static_cast<int>(options.timed_runs));
  if (!time) return std::move(time).diagnostic();
  report.ort_nanoseconds = *time;
  return Done{};
}

}  // namespace

DiffVerdict DiffReport::verdict() const {
  DiffVerdict verdict = DiffVerdict::same;
  for (const OutputDiff& o : outputs) {
    if (!o.counts) continue;
    const Comparison& c = o.comparison;
    verdict = std::max(verdict, !c.pass()         ? DiffVerdict::differs
                                : c.allowed > 0   ? DiffVerdict::within_allowances
                                : c.different > 0 ? DiffVerdict::within_tolerance
                                                  : DiffVerdict::same);
  }
  return verdict;
}

const LayerDiff* DiffReport::first_divergence() const {
  for (const LayerDiff& layer : layers)
    if (layer.comparison && !layer.comparison->pass()) return &layer;
  return nullptr;
}

const OutputDiff* DiffReport::worst_failure() const {
  const OutputDiff* worst = nullptr;
  for (const OutputDiff& o : outputs)
    if (o.fails() && (!worst || is_worse(o.comparison, worst->comparison))) worst = &o;
  return worst;
}

Result<DiffReport> diff_model(const std::filesystem::path& model, const Compiled& compiled, const DiffOptions& options,
                              const Terminal& terminal) {
  if (options.timed_runs > 0 && compiled.target.board)
    return error(DiagId::bad_usage, fmt::format("--time measures this machine, {} runs in QEMU.", compiled.target.name),
                 "`kiln run --profile` counts the instructions.");
  if (options.build.sanitize && compiled.target.board)
    return error(DiagId::bad_usage, fmt::format("--sanitize is for this machine, {} runs in QEMU.", compiled.target.name),
                 "leave --target out; reference kernels and many others are the same there.");
  Result<OnnxRuntime> ort = OnnxRuntime::load();
  if (!ort) return std::move(ort).diagnostic();
  Result<Inputs> inputs = choose_inputs(model, options, compiled.program, compiled.info.frozen);
  if (!inputs) return std::move(inputs).diagnostic();

  Session session{model, options, terminal, compiled, *std::move(inputs), {}, {}};
  DiffReport& report = session.report;
  report.model = model.string();
  report.target = compiled.target.name;
  report.ort_version = ort->version();
  report.ort_optimized = options.optimize_ort;
  report.rule = options.rule;
  report.explicit_rule = options.explicit_rule;
  report.timed_runs = static_cast<int>(options.timed_runs);
  for (const InputSet& set : session.inputs.sets) report.sets.push_back(set.name);
  report.sequence_steps = static_cast<int>(compiled.program.states.empty() ? 0 : session.inputs.sequence_steps);

  Result<OrtSession> reference = session.open_ort(*ort);
  if (!reference) return std::move(reference).diagnostic();
  Result<BuiltBundle> host = session.build();
  if (!host) return std::move(host).diagnostic();
  Result<RunResult> emitted = session.run(*host);
  if (!emitted) return std::move(emitted).diagnostic();
  report.emitted_nanoseconds = emitted->median_nanoseconds;
  if (Status s = session.compare_all(*reference, *emitted); !s) return std::move(s).diagnostic();
  if (options.layers)
    if (Status s = session.compare_worst_layers(*host); !s) return std::move(s).diagnostic();
  if (options.timed_runs > 0)
    if (Status s = session.time_ort(*ort); !s) return std::move(s).diagnostic();
  terminal.show_progress({});
  return std::move(report);
}

}  // namespace kiln
