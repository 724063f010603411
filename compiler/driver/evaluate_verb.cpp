// SPDX-License-Identifier: Apache-2.0
// kiln evaluate: how good a model is on data, as emitted code, in ONNX Runtime, or both.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/data_options.h"
#include "compiler/driver/number_checks.h"
#include "compiler/driver/options.h"
#include "compiler/judge/evaluation.h"
#include "compiler/report/evaluation_report.h"
#include "compiler/support/files.h"
#include "compiler/support/problems.h"

namespace kiln {
namespace {

struct EvaluateArguments {
  EvaluationOptions evaluation;
  std::string json;
  std::filesystem::path html;
};

Metric metric_or_throw(const std::string& name) {
  Result<Metric> metric = parse_metric(name);
  if (!metric) throw UsageError{metric.diagnostic()};
  return *metric;
}

/// "reconstruction" or "output:INDEX".
Score score_or_throw(const std::string& text) {
  constexpr std::string_view kOutput = "output:";
  Score score;
  if (text == "reconstruction") {
    score.reconstruction = true;
    return score;
  }
  int64_t element = -1;
  if (text.starts_with(kOutput)) {
    auto [end, code] = std::from_chars(text.data() + kOutput.size(), text.data() + text.size(), element);
    if (code != std::errc{} || end != text.data() + text.size()) element = -1;
  }
  if (element < 0)
    throw UsageError{
        error(DiagId::bad_usage, fmt::format("--score {}: that is no score.", text), "known are reconstruction and output:INDEX.")};
  score.element = element;
  return score;
}

Status write_report(const EvaluateArguments& options, const EvaluationReport& report) {
  if (options.json != "-") fmt::print("{}", evaluation_text(report));
  if (options.json == "-") {
    fmt::print("{}", evaluation_json(report));
  } else if (!options.json.empty()) {
    if (Status s = write_file(options.json, evaluation_json(report)); !s) return s;
  }
  if (!options.html.empty()) return write_file(options.html, evaluation_html(report));
  return Done{};
}

/// The first gate that fails, as an error.
Status verdict(const EvaluationReport& report) {
  const Figure& figure = report.engines[0].figure;
  std::string value = figure_text(figure.value, report.metric), name = report.metric.name();
  std::string interval = fmt::format("the 95 % interval is {} to {}.", figure_text(figure.interval.low, report.metric),
                                     figure_text(figure.interval.high, report.metric));
  for (const Gate& gate : report.gates) {
    if (gate.pass) continue;
    if (gate.option != "--max-drop")
      return error(DiagId::metric_misses_limit,
                   fmt::format("{} is {} on {} samples, {} is {:g}.", name, value, figure.samples, gate.option, gate.limit), interval);
    const char* unit = report.metric.is_proportion() ? " percentage points" : "";
    return error(DiagId::metric_drops,
                 fmt::format("{} is {}, {:.4g}{} worse than {} of '{}'; --max-drop is {:g}.", name, value, gate.value, unit,
                             figure_text(report.baseline->figure.value, report.metric), report.baseline->model.string(), gate.limit),
                 interval);
  }
  return Done{};
}

ExitCode evaluate(const EvaluateArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<EvaluationReport> report = evaluate_model(options.evaluation, diagnostics, terminal);
  terminal.report(diagnostics);
  if (!report) return write_problems(options.json, diagnostics, terminal);
  if (Status s = write_report(options, *report); !s) return terminal.fail(s.diagnostic());
  if (Status s = verdict(*report); !s) return terminal.fail(s.diagnostic());
  return ExitCode::ok;
}

void add_gates(CLI::App& sub, EvaluationOptions& e) {
  const char* group = "Gates (exit code 5 when one is not met)";
  sub.add_option("--min", e.min, "Least value of the metric; shares are from 0 to 1")->type_name("X")->check(real_number())->group(group);
  sub.add_option("--max", e.max, "Largest value, of rmse and mae")->type_name("X")->check(real_number())->group(group);
  sub.add_option("--baseline", e.baseline, "A model to compare the figure with, such as the float original")
      ->type_name("FILE")
      ->group(group);
  sub.add_option("--max-drop", e.max_drop,
                 "How much worse than the baseline it may be: percentage points of top1, topK and agreement, else in the metric's unit")
      ->type_name("X")
      ->check(real_number())
      ->group(group);
}

VerbAction add_evaluate(CLI::App& sub) {
  auto options = std::make_shared<EvaluateArguments>();
  EvaluationOptions& e = options->evaluation;
  add_common_options(sub, e.common);
  add_data_options(sub, e.data, "--data")->required();
  add_labels_option(sub, e.data);
  sub.add_option_function<std::string>(
         "--metric", [&e](const std::string& name) { e.metric = metric_or_throw(name); },
         "top1, top5 or any topK; auc: area under the ROC curve; rmse, mae: against labels that are numbers, or --against; agreement: same "
         "class as --against")
      ->type_name("METRIC")
      ->required();
  sub.add_option("--against", e.teacher, "A model whose outputs are the truth, for agreement, rmse and mae")->type_name("FILE");
  sub.add_option_function<std::string>(
         "--score", [&e](const std::string& text) { e.score = score_or_throw(text); },
         "Of auc: output:INDEX, an element of the output (default: that of class 1), or reconstruction, the mean squared difference of "
         "output "
         "and input (also for rmse and mae)")
      ->type_name("SCORE");
  sub.add_option("--output", e.output, "The output that is judged; default: the first")->type_name("NAME");
  sub.add_option_function<std::string>(
         "--run", [&e](const std::string& who) { e.runs = who == "kiln"  ? Runs::emitted
                                                          : who == "ort" ? Runs::ort
                                                                         : Runs::both; },
         "What runs the model: kiln (the emitted code, default), ort (ONNX Runtime) or both")
      ->type_name("WHO")
      ->check(CLI::IsMember({"kiln", "ort", "both"}));
  sub.add_flag("--optimize-ort", e.optimize_ort, "Let ONNX Runtime fuse and reorder as it likes");
  add_gates(sub, e);
  sub.add_option("--json", options->json, "Write the findings as JSON; '-' for stdout")->type_name("FILE");
  sub.add_option("--html", options->html, "Write them as a page, with the confusion matrix")->type_name("FILE");
  return [options](const Terminal& terminal) { return evaluate(*options, terminal); };
}

}  // namespace

extern const Verb evaluate_verb;
const Verb evaluate_verb = {"evaluate", "Measure a model's accuracy on data",
                            "kiln evaluate kws.onnx --data words/ --metric top1             # words/yes/*.wav, words/no/*.wav, ...\n"
                            "kiln evaluate kws.onnx --data x.npy --labels y.npy --mean 83 --scale 0.5847 --metric top1 --run both\n"
                            "kiln evaluate kws_int8.onnx --data x.npy --labels y.npy --metric top1 --baseline kws.onnx --max-drop 0.5\n"
                            "kiln evaluate machine.onnx --data x.npy --labels y.npy --metric auc --score reconstruction --html report.html",
                            add_evaluate};

}  // namespace kiln
