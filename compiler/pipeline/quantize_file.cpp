// SPDX-License-Identifier: Apache-2.0
#include "compiler/pipeline/quantize_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/support/files.h"
#include "compiler/support/hash.h"

namespace kiln {
namespace {

constexpr size_t kBarColumns = 30;

/// What data for a model must fit.
std::vector<ModelInput> model_inputs(const Graph& graph) {
  std::vector<ModelInput> inputs;
  for (ValueId input : graph.inputs)
    inputs.push_back({graph.value(input).onnx ? graph.value(input).onnx->name : graph.value(input).name, graph.type(input)});
  return inputs;
}

/// Weights alone may be stored as integers; activations that are rounded already would be rounded twice.
Status check_not_quantized(const OnnxGraph& graph) {
  for (const OnnxGraphNode& node : graph.nodes)
    if (node.type == "QuantizeLinear" || node.type == "DynamicQuantizeLinear" || node.type.starts_with("QLinear") ||
        node.type == "ConvInteger" || node.type == "MatMulInteger")
      return error(DiagId::nothing_to_quantize, fmt::format("the model is quantized already: node '{}' is a {}.", node.name, node.type),
                   "quantize the float model; `kiln compile` takes this one as it is.");
  return Done{};
}

Result<std::vector<Sample>> load_samples(const CalibrationOptions& options, const std::vector<ModelInput>& inputs,
                                         const Progress& progress, Diagnostics& diagnostics) {
  DataOptions unlabelled = options.data;
  unlabelled.labels.clear();
  Result<Dataset> data = Dataset::open(unlabelled, inputs);
  if (!data) return std::move(data).diagnostic();
  for (const Diagnostic& d : data->warnings()) diagnostics.report(d);
  size_t count = std::min(options.samples, data->size());
  std::vector<Sample> samples;
  for (size_t i = 0; i < count; ++i) {
    Result<std::vector<Tensor>> sample = data->load(i * data->size() / count);
    if (!sample) return std::move(sample).diagnostic();
    samples.push_back(*std::move(sample));
    progress("calibration data", i + 1, count);
  }
  return samples;
}

/// What --max-drop is measured on. Samples without labels are compared with the answers of the float model.
Result<AccuracyGoal> load_goal(const CalibrationOptions& options, const std::vector<ModelInput>& inputs, const Progress& progress) {
  DataOptions from = options.data;
  if (!options.goal_data.empty()) {
    from.path = options.goal_data;
    from.skip = from.limit = 0;
  }
  Result<Dataset> data = Dataset::open(from, inputs);
  if (!data) return std::move(data).diagnostic();
  AccuracyGoal goal;
  goal.max_drop = *options.max_drop / 100;
  for (size_t i = 0; i < data->size(); ++i) {
    Result<std::vector<Tensor>> sample = data->load(i);
    if (!sample) return std::move(sample).diagnostic();
    goal.samples.push_back(*std::move(sample));
    if (std::optional<int64_t> label = data->label(i)) goal.labels.push_back(*label);
    progress("data", i + 1, data->size());
  }
  if (goal.labels.size() != goal.samples.size()) goal.labels.clear();
  return goal;
}

/// "ranges             [=====>        ]  12 of 100"
Progress progress_on(const Terminal& terminal) {
  return [&terminal](std::string_view what, size_t done, size_t total) {
    if (!terminal.progress) return;
    size_t filled = done * kBarColumns / std::max<size_t>(total, 1);
    terminal.show_progress(
        fmt::format("{:<17} [{}{}] {} of {}", what, std::string(filled, '='), std::string(kBarColumns - filled, ' '), done, total));
  };
}

}  // namespace

std::optional<QuantizedModel> quantize_file(const std::filesystem::path& model, const ImportOptions& import,
                                            const CalibrationOptions& options, const Terminal& terminal, Diagnostics& diagnostics) {
  std::optional<ImportedModel> imported = import_model(model, import, diagnostics);
  if (!imported) return std::nullopt;
  Result<OnnxGraph> graph = read_onnx_graph(model, imported->info.frozen);
  if (!graph) {
    diagnostics.report(std::move(graph).diagnostic());
    return std::nullopt;
  }
  if (Status s = check_not_quantized(*graph); !s) {
    diagnostics.report(std::move(s).diagnostic().in_file(model.string()));
    return std::nullopt;
  }
  Progress progress = progress_on(terminal);
  Result<std::vector<Sample>> samples = load_samples(options, model_inputs(imported->graph), progress, diagnostics);
  if (!samples) {
    diagnostics.report(std::move(samples).diagnostic());
    return std::nullopt;
  }
  QuantizeOptions quantize = options.quantize;
  if (options.max_drop) {
    Result<AccuracyGoal> goal = load_goal(options, model_inputs(imported->graph), progress);
    if (!goal) {
      diagnostics.report(std::move(goal).diagnostic());
      return std::nullopt;
    }
    quantize.goal = *std::move(goal);
  }
  ImportOptions frozen = import;  // what is frozen is an initializer now
  frozen.frozen.clear();
  std::optional<QuantizedModel> result = quantize_model(*std::move(graph), model, frozen, *samples, quantize, progress, diagnostics);
  terminal.show_progress({});
  if (result) result->frozen = imported->info.frozen;
  return result;
}

std::optional<Compiled> compile_quantized(const CompileOptions& options, const CalibrationOptions& calibration, const Terminal& terminal,
                                          Diagnostics& diagnostics) {
  std::optional<QuantizedModel> quantized = quantize_file(options.model, options.import, calibration, terminal, diagnostics);
  if (!quantized) return std::nullopt;
  Result<std::string> original = read_file(options.model);
  if (!original) {
    diagnostics.report(std::move(original).diagnostic());
    return std::nullopt;
  }
  ImportOptions import = options.import;
  import.frozen.clear();
  Diagnostics again;  // what importing notes has been said
  std::optional<ImportedModel> model = import_model_bytes(quantized->bytes, options.model, import, again);
  if (!model) {
    for (const Diagnostic& d : again.all()) diagnostics.report(d);
    return std::nullopt;
  }
  model->info.sha256 = sha256(*original);
  model->info.read_files.push_back(calibration.data.path);
  for (const FrozenInput& input : quantized->frozen)
    if (!input.file.empty()) model->info.read_files.push_back(input.file);
  model->info.frozen = quantized->frozen;
  return compile_graph(*std::move(model), options, diagnostics);
}

}  // namespace kiln
