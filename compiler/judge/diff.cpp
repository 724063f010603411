// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/emit/bundle.h"
#include "compiler/frontend/model_edit.h"
#include "compiler/ops/quantization.h"
#include "compiler/reference/onnxruntime.h"
#include "compiler/runner/bundle_runner.h"
#include "compiler/runner/input_sets.h"

namespace kiln {
namespace {

/// Of a 16-bit float: the distance of neighbours at 1. 0 for other types.
double rounding_step(DType dtype) { return dtype == DType::f16 ? 0x1p-10 : dtype == DType::bf16 ? 0x1p-7 : 0; }

constexpr int kRandomSets = 3, kRandomSteps = 8;
constexpr const char* kOrt = "ONNX Runtime";

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
Result<Inputs> choose_inputs(const std::filesystem::path& model, const DiffOptions& options, const Program& program) {
  const bool keeps_state = !program.states.empty();
  if (options.steps > 0 && !keeps_state)
    return error(DiagId::bad_usage, "--steps is about models that keep state, this one keeps none.",
                 "say which output feeds which input: --state OUTPUT=INPUT.");
  std::error_code ec;
  std::filesystem::path folder = options.inputs;
  if (folder.empty() && options.random == 0 && std::filesystem::is_directory(model.parent_path() / "test_data_set_0", ec))
    folder = model.has_parent_path() ? model.parent_path() : ".";
  if (!folder.empty()) {
    Result<std::vector<InputSet>> sets = load_input_sets(folder, program);
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

/// Compares the outputs of one set with one reference.
Status compare_outputs(const Program& program, const std::vector<Tensor>& outputs, const NamedTensors& reference,
                       const char* reference_name, const InputSet& set, DiffReport& report) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const IoTensor& io = program.outputs[i];
    auto found = reference.find(io.name);
    if (found == reference.end()) continue;
    const TensorType& type = outputs[i].type;
    Tensor expected = found->second;
    bool on_grid = type.quant && !type.quant->per_axis();
    if (on_grid && is_integer(type.dtype) && expected.type.dtype == DType::f32)
      expected = quantized_tensor(expected, *type.quant);  // --io-dtype int8
    if (expected.type.dtype != type.dtype || expected.type.shape != type.shape)
      return error(DiagId::results_differ, fmt::format("output '{}' is {}, {} has {} in {}.", io.name, to_string(type), reference_name,
                                                       to_string(expected.type), set.name));
    ComparisonRule rule = report.rule;
    // ONNX Runtime sums floats: where a quantized element lies between two steps, it may round to the other one.
    if (on_grid && is_integer(type.dtype)) rule.steps = 1;
    if (on_grid && is_float(type.dtype)) rule.absolute = std::max(rule.absolute, 1.001 * static_cast<double>(type.quant->scale[0]));
    if (const double step = rounding_step(type.dtype); step > 0) {  // either side rounds in between where the other does not
      rule.absolute = std::max(rule.absolute, step);
      rule.relative = std::max(rule.relative, 4 * step);
    }
    report.outputs.push_back({io.name, reference_name, set.name, type, compare(outputs[i], expected, rule)});
  }
  return Done{};
}

/// Everything that one run of `diff` holds.
struct Session {
  const std::filesystem::path& model;
  const DiffOptions& options;
  const Terminal& terminal;
  const Compiled& compiled;
  Inputs inputs;
  DiffReport report;

  Result<OrtSession> open_ort(OnnxRuntime& ort) const;
  Result<RunResult> run_emitted() const;
  Status compare_all(OrtSession& ort, const RunResult& emitted);
  Status time_ort(OnnxRuntime& ort);
};

Result<OrtSession> Session::open_ort(OnnxRuntime& ort) const {
  std::vector<std::string> names = options.layers ? layer_tensors(compiled.program) : std::vector<std::string>{};
  Result<std::string> bytes = model_with_outputs(model, names, compiled.states);
  if (!bytes) return std::move(bytes).diagnostic();
  return ort.open(*bytes, options.optimize_ort ? OrtOptimization::all : OrtOptimization::none);
}

Result<RunResult> Session::run_emitted() const {
  const Program& program = compiled.program;
  terminal.show_progress("building the emitted code ...");
  BuildOptions build = options.build;
  build.traced = options.layers;
  Result<BuiltBundle> host = BuiltBundle::build(program, compiled.target, emit_bundle(program, compiled.target, compiled.info, {}), build);
  if (!host) return std::move(host).diagnostic();
  terminal.say(host->commands());
  terminal.show_progress("running the emitted code ...");
  RunOptions run;
  run.traced_sets = options.layers ? 1 : 0;
  run.timed_runs = options.timed_runs;
  run.sequence_steps = static_cast<uint32_t>(inputs.sequence_steps);
  return host->run(tensors_of(inputs.sets), run);
}

Status Session::compare_all(OrtSession& ort, const RunResult& emitted) {
  const Program& program = compiled.program;
  const std::vector<InputSet>& sets = inputs.sets;
  NamedTensors states;
  for (size_t i = 0; i < sets.size(); ++i) {
    terminal.show_progress(fmt::format("running ONNX Runtime, input set {} of {} ...", i + 1, sets.size()));
    if (i % inputs.sequence_steps == 0) states = initial_states(compiled);
    Result<NamedTensors> reference = run_ort(ort, program, sets[i], states);
    if (!reference) return std::move(reference).diagnostic();
    if (Status s = compare_outputs(program, emitted.outputs[i], *reference, kOrt, sets[i], report); !s) return s;
    NamedTensors read = states;
    for (const StatePair& pair : compiled.states) states[pair.input] = reference->at(pair.output).reshaped(states[pair.input].type.shape);
    NamedTensors stored;
    for (const NamedTensor& t : sets[i].expected) stored.insert_or_assign(t.name, t.tensor);
    if (Status s = compare_outputs(program, emitted.outputs[i], stored, "stored", sets[i], report); !s) return s;
    if (i > 0 || !options.layers) continue;
    reference->merge(read);
    for (size_t k = 0; k < program.inputs.size(); ++k) reference->insert_or_assign(program.inputs[k].name, sets[i].inputs[k]);
    report.layers = compare_layers(program, emitted.step_results.front(), *reference, report.rule);
  }
  return Done{};
}

Status Session::time_ort(OnnxRuntime& ort) {
  terminal.show_progress("timing ONNX Runtime ...");
  Result<std::string> bytes = model_with_outputs(model, {}, compiled.states);
  if (!bytes) return std::move(bytes).diagnostic();
  Result<OrtSession> session = ort.open(*bytes, OrtOptimization::all);
  if (!session) return std::move(session).diagnostic();
  Result<int64_t> time = session->time_run(feed_for(*session, compiled.program, inputs.sets.front(), initial_states(compiled)),
                                           static_cast<int>(options.timed_runs));
  if (!time) return std::move(time).diagnostic();
  report.ort_nanoseconds = *time;
  return Done{};
}

}  // namespace

bool DiffReport::pass() const {
  return std::all_of(outputs.begin(), outputs.end(), [](const OutputDiff& o) { return o.comparison.pass(); });
}

const LayerDiff* DiffReport::first_divergence() const {
  for (const LayerDiff& layer : layers)
    if (layer.comparison && !layer.comparison->pass()) return &layer;
  return nullptr;
}

const OutputDiff* DiffReport::worst_failure() const {
  const OutputDiff* worst = nullptr;
  for (const OutputDiff& o : outputs)
    if (!o.comparison.pass() && (!worst || is_worse(o.comparison, worst->comparison))) worst = &o;
  return worst;
}

Result<DiffReport> diff_model(const std::filesystem::path& model, const Compiled& compiled, const DiffOptions& options,
                              const Terminal& terminal) {
  if (options.timed_runs > 0 && compiled.target.board)
    return error(DiagId::bad_usage, fmt::format("--time measures this machine, {} runs in QEMU.", compiled.target.name),
                 "`kiln run --profile` counts the instructions.");
  Result<OnnxRuntime> ort = OnnxRuntime::load();
  if (!ort) return std::move(ort).diagnostic();
  Result<Inputs> inputs = choose_inputs(model, options, compiled.program);
  if (!inputs) return std::move(inputs).diagnostic();

  Session session{model, options, terminal, compiled, *std::move(inputs), {}};
  DiffReport& report = session.report;
  report.model = model.string();
  report.target = compiled.target.name;
  report.ort_version = ort->version();
  report.ort_optimized = options.optimize_ort;
  report.rule = options.rule;
  report.timed_runs = static_cast<int>(options.timed_runs);
  for (const InputSet& set : session.inputs.sets) report.sets.push_back(set.name);
  report.sequence_steps = static_cast<int>(compiled.program.states.empty() ? 0 : session.inputs.sequence_steps);

  Result<OrtSession> reference = session.open_ort(*ort);
  if (!reference) return std::move(reference).diagnostic();
  Result<RunResult> emitted = session.run_emitted();
  if (!emitted) return std::move(emitted).diagnostic();
  report.emitted_nanoseconds = emitted->median_nanoseconds;
  if (Status s = session.compare_all(*reference, *emitted); !s) return std::move(s).diagnostic();
  if (options.timed_runs > 0)
    if (Status s = session.time_ort(*ort); !s) return std::move(s).diagnostic();
  terminal.show_progress({});
  return std::move(report);
}

}  // namespace kiln
