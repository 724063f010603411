// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/quantize_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "compiler/driver/data_options.h"

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

Result<std::vector<Sample>> load_samples(const CalibrationOptions& options, const std::vector<ModelInput>& inputs,
                                         const Progress& progress) {
  DataOptions unlabelled = options.data;
  unlabelled.labels.clear();
  Result<Dataset> data = Dataset::open(unlabelled, inputs);
  if (!data) return std::move(data).diagnostic();
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

void add_calibration_options(CLI::App& app, CalibrationOptions& options) {
  const char* group = "Quantization";
  app.add_option("--samples", options.samples, "Use at most so many samples, spread evenly over the data")
      ->capture_default_str()
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_option_function<std::string>(
         "--method", [&options](const std::string& name) { options.quantize.ranges.method = *range_method_from_name(name); },
         "How ranges of activations are chosen: minmax, percentile, entropy, mse (default percentile)")
      ->type_name("METHOD")
      ->check(CLI::IsMember({"minmax", "percentile", "entropy", "mse"}))
      ->group(group);
  app.add_option("--percentile", options.quantize.ranges.percentile, "Share of the values that --method percentile keeps")
      ->capture_default_str()
      ->type_name("P")
      ->check(CLI::Range(50.0, 100.0))
      ->group(group);
  QuantizeOptions& quantize = options.quantize;
  app.add_flag_callback(
         "--per-tensor", [&quantize] { quantize.per_channel = false; }, "One scale for all weights of a layer, not one per channel")
      ->group(group);
  app.add_flag("--equalize", quantize.equalize, "Even out the weights of channels between layers first")->group(group);
  app.add_flag_callback(
         "--no-bias-correction", [&quantize] { quantize.correct.bias = false; }, "Leave biases as they are")
      ->group(group);
  app.add_flag("--adaround", options.quantize.correct.rounding, "Choose for each weight whether to round up or down")->group(group);
  app.add_option("--keep-float", options.quantize.keep_float, "Leave this node in float")
      ->type_name("NODE")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option_function<std::string>(
         "--activations", [&quantize](const std::string& name) { quantize.ranges.dtype = name == "int16" ? DType::i16 : DType::i8; },
         "Type of activations: int8, int16 (default int8)")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"int8", "int16"}))
      ->group(group);
  app.add_option("--max-drop", options.max_drop,
                 "Lift the most sensitive tensors and layers out of 8 bits until accuracy is at most so many points below float")
      ->type_name("POINTS")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  app.add_option("--data", options.goal_data, "Samples that --max-drop is measured on; default: those of the calibration")
      ->type_name("PATH")
      ->group(group);
  add_labels_option(app, options.data);
  add_data_options(app, options.data, "--calibration");
}

std::optional<QuantizedModel> quantize_file(const std::filesystem::path& model, const ImportOptions& import,
                                            const CalibrationOptions& options, const Terminal& terminal, Diagnostics& diagnostics) {
  std::optional<ImportedModel> imported = import_model(model, import, diagnostics);
  if (!imported) return std::nullopt;
  Result<OnnxGraph> graph = read_onnx_graph(model);
  if (!graph) {
    diagnostics.report(std::move(graph).diagnostic());
    return std::nullopt;
  }
  Progress progress = progress_on(terminal);
  Result<std::vector<Sample>> samples = load_samples(options, model_inputs(imported->graph), progress);
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
  std::optional<QuantizedModel> result = quantize_model(*std::move(graph), model, import, *samples, quantize, progress, diagnostics);
  terminal.show_progress({});
  return result;
}

}  // namespace kiln
