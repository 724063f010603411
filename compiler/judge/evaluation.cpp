// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compiler/data/bad_data.h"

namespace kiln {
namespace {

constexpr int64_t kBatchBytes = int64_t{16} << 20;  // of inputs and outputs that are in memory at a time
constexpr int64_t kBatchSamples = 256;

Diagnostic bad_usage(std::string message, std::string hint = {}) { return error(DiagId::bad_usage, std::move(message), std::move(hint)); }
/// A model with what runs it, and its samples.
struct Subject {
  std::filesystem::path model;
  std::vector<std::unique_ptr<Engine>> engines;
  std::optional<Dataset> data;
  std::vector<size_t> outputs;  // by engine: which output is judged

  [[nodiscard]] const TensorType& output_type(size_t engine) const { return engines[engine]->outputs()[outputs[engine]].type; }
};

Result<size_t> find_output(const Engine& engine, const std::string& name) {
  const std::vector<ModelOutput>& outputs = engine.outputs();
  if (name.empty()) return size_t{0};
  std::string known;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].name == name) return i;
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", outputs[i].name);
  }
  return bad_usage(fmt::format("--output {}: the model has no such output.", name), fmt::format("its outputs are {}.", known));
}

Status open_subject(Subject& subject, const EvaluationOptions& options, Runs runs, Diagnostics& diagnostics, const Terminal& terminal) {
  CompileOptions common = options.common;
  common.model = subject.model;
  Diagnostics compiling;
  std::unique_ptr<Engine> emitted = make_emitted_engine(common, compiling, terminal);
  // ONNX Runtime alone may run what kiln does not compile; then only the meaning of quantized inputs and outputs is not known.
  if (runs != Runs::ort)
    for (const Diagnostic& d : compiling.all()) diagnostics.report(d);
  if (diagnostics.has_errors()) return Done{};
  std::unique_ptr<Engine> ort;
  if (runs != Runs::emitted) {
    Result<std::unique_ptr<Engine>> made = make_ort_engine(common, emitted.get(), options.optimize_ort);
    if (!made) return std::move(made).diagnostic();
    ort = *std::move(made);
  }
  if (runs != Runs::ort) subject.engines.push_back(std::move(emitted));
  if (ort) subject.engines.push_back(std::move(ort));
  for (const std::unique_ptr<Engine>& engine : subject.engines) {
    Result<size_t> output = find_output(*engine, subject.model == options.common.model ? options.output : "");
    if (!output) return std::move(output).diagnostic();
    subject.outputs.push_back(*output);
  }
  Result<Dataset> data = Dataset::open(options.data, subject.engines.front()->inputs());
  if (!data) return std::move(data).diagnostic();
  subject.data = *std::move(data);
  for (const Diagnostic& d : subject.data->warnings()) diagnostics.report(d);
  return Done{};
}

void compare_outputs(const Numbers& a, const Numbers& b, const TensorType& type, EngineDifference& difference) {
  if (predicted_class(a, type) == predicted_class(b, type)) ++difference.same_predictions;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    double apart = std::abs(a[i] - b[i]);
    difference.largest = std::max(difference.largest, std::isnan(apart) ? INFINITY : apart);
  }
}

/// One run of `evaluate`.
class Evaluation {
 public:
  Evaluation(const EvaluationOptions& options, Diagnostics& diagnostics, const Terminal& terminal)
      : options_(options), judge_(options.metric, options.score), diagnostics_(diagnostics), terminal_(terminal) {}

  Result<EvaluationReport> run() {
    if (Status s = check_options(); !s) return std::move(s).diagnostic();
    if (Status s = open_all(); !s) return std::move(s).diagnostic();
    if (diagnostics_.has_errors()) return EvaluationReport{};  // which nobody gets to see
    if (Status s = check_labels(); !s) return std::move(s).diagnostic();
    prepare_report();
    size_t total = main_.data->size(), batch = batch_samples();
    for (size_t first = 0; first < total; first += batch) {
      if (Status s = run_batch(first, std::min(first + batch, total)); !s) return std::move(s).diagnostic();
      terminal_.show_progress(fmt::format("evaluating: {} of {} samples ...", std::min(first + batch, total), total));
    }
    if (Status s = finish_report(); !s) return std::move(s).diagnostic();
    return std::move(report_);
  }

 private:
  [[nodiscard]] Status check_options() const;
  Status open_all();
  [[nodiscard]] Status check_labels() const;
  void prepare_report();
  [[nodiscard]] size_t batch_samples() const;
  Status run_batch(size_t first, size_t last);
  /// [sample][input] of samples first to last - 1.
  static Result<std::vector<std::vector<Tensor>>> load(Subject& subject, size_t first, size_t last);
  /// The judged output of each sample.
  static Result<std::vector<Numbers>> run_engine(Subject& subject, size_t engine, const std::vector<std::vector<Tensor>>& samples);
  Status judge_batch(const Subject& subject, size_t engine, size_t first, const std::vector<std::vector<Tensor>>& samples,
                     const std::vector<Numbers>& outputs, EngineReport& into) const;
  Status finish_report();
  Status compute_figure(EngineReport& engine) const;
  void add_gates();

  const EvaluationOptions& options_;
  Judge judge_;
  Diagnostics& diagnostics_;
  const Terminal& terminal_;
  Subject main_;
  std::optional<Subject> teacher_, baseline_;
  std::vector<Numbers> taught_;  // the teacher's outputs of the batch
  EvaluationReport report_;
};

Status Evaluation::check_options() const {
  const EvaluationOptions& o = options_;
  std::string name = o.metric.name();
  bool against_fits = o.metric.kind == MetricKind::agreement || o.metric.lower_is_better();
  if (!o.teacher.empty() && !against_fits)
    return bad_usage(fmt::format("--against does not go with --metric {}.", name),
                     "it is for agreement, rmse and mae; --baseline compares figures.");
  if (o.teacher.empty() && o.metric.kind == MetricKind::agreement)
    return bad_usage("--metric agreement needs a model to agree with.", "--against TEACHER.onnx names it.");
  if (o.score.reconstruction && (o.metric.is_proportion() || !o.teacher.empty()))
    return bad_usage("--score reconstruction is for --metric auc, rmse and mae, without --against.");
  if (o.score.element && o.metric.kind != MetricKind::auc) return bad_usage("--score output:INDEX is for --metric auc.");
  if (o.min && o.metric.lower_is_better())
    return bad_usage(fmt::format("--min does not go with --metric {}, of which less is better.", name), "--max sets a limit.");
  if (o.max && !o.metric.lower_is_better())
    return bad_usage(fmt::format("--max does not go with --metric {}, of which more is better.", name), "--min sets a limit.");
  const bool is_share = !o.metric.lower_is_better();  // and the area under a curve within a square of 1
  if (o.min && is_share && (*o.min < 0 || *o.min > 1))
    return bad_usage(fmt::format("--min {:g}: values of {} are from 0 to 1.", *o.min, name),
                     *o.min > 1 && *o.min <= 100 ? fmt::format("did you mean --min {:g}?", *o.min / 100) : "");
  if (o.max && *o.max < 0) return bad_usage(fmt::format("--max {:g}: {} is never negative.", *o.max, name));
  if (o.optimize_ort && o.runs == Runs::emitted)
    return bad_usage("--optimize-ort is about ONNX Runtime, which --run kiln does not run.", "add --run ort or --run both.");
  if (o.max_drop && o.baseline.empty()) return bad_usage("--max-drop needs a model to compare with.", "--baseline FLOAT.onnx names it.");
  return Done{};
}

Status Evaluation::open_all() {
  main_.model = options_.common.model;
  if (Status s = open_subject(main_, options_, options_.runs, diagnostics_, terminal_); !s || diagnostics_.has_errors()) return s;
  Runs other = options_.runs == Runs::emitted ? Runs::emitted : Runs::ort;
  for (auto [subject, path] : {std::pair(&teacher_, &options_.teacher), std::pair(&baseline_, &options_.baseline)}) {
    if (path->empty()) continue;
    subject->emplace().model = *path;
    if (Status s = open_subject(**subject, options_, other, diagnostics_, terminal_); !s || diagnostics_.has_errors()) return s;
    if ((*subject)->data->size() != main_.data->size())
      return bad_data(fmt::format("the data has {} samples for this model and {} for {}.", (*subject)->data->size(), main_.data->size(),
                                  main_.model.string()))
          .in_file(path->string());
  }
  return Done{};
}

Status Evaluation::check_labels() const {
  bool needed = options_.metric.kind == MetricKind::top_k || options_.metric.kind == MetricKind::auc ||
                (options_.metric.lower_is_better() && !teacher_ && !options_.score.reconstruction);
  if (!needed || main_.data->has_labels()) return Done{};
  return bad_data(fmt::format("--metric {} needs labels, the data has none.", options_.metric.name()),
                  "give --labels FILE, or one folder of samples per class.")
      .in_file(options_.data.path.string());
}

void Evaluation::prepare_report() {
  report_.model = options_.common.model.string();
  report_.data = options_.data.path.string();
  report_.metric = options_.metric;
  report_.teacher = options_.teacher;
  report_.class_names = main_.data->class_names();
  for (const std::unique_ptr<Engine>& engine : main_.engines) report_.engines.push_back({engine->name(), main_.model, {}, {}});
  if (main_.engines.size() == 2) report_.difference.emplace();
  if (baseline_) report_.baseline = EngineReport{baseline_->engines[0]->name(), baseline_->model, {}, {}};
}

size_t Evaluation::batch_samples() const {
  int64_t bytes = 1;
  for (const ModelInput& input : main_.engines[0]->inputs()) bytes += input.type.bytes();
  for (const ModelOutput& output : main_.engines[0]->outputs()) bytes += output.type.bytes();
  return static_cast<size_t>(std::clamp<int64_t>(kBatchBytes / bytes, 1, kBatchSamples));
}

Result<std::vector<std::vector<Tensor>>> Evaluation::load(Subject& subject, size_t first, size_t last) {
  std::vector<std::vector<Tensor>> samples;
  for (size_t i = first; i < last; ++i) {
    Result<std::vector<Tensor>> sample = subject.data->load(i);
    if (!sample) return std::move(sample).diagnostic();
    samples.push_back(*std::move(sample));
  }
  return samples;
}

Result<std::vector<Numbers>> Evaluation::run_engine(Subject& subject, size_t engine, const std::vector<std::vector<Tensor>>& samples) {
  Result<std::vector<std::vector<Tensor>>> outputs = subject.engines[engine]->run(samples);
  if (!outputs) return std::move(outputs).diagnostic();
  std::vector<Numbers> numbers;
  for (const std::vector<Tensor>& of_sample : *outputs)
    numbers.push_back(real_numbers(of_sample[subject.outputs[engine]], subject.output_type(engine)));
  return numbers;
}

Status Evaluation::judge_batch(const Subject& subject, size_t engine, size_t first, const std::vector<std::vector<Tensor>>& samples,
                               const std::vector<Numbers>& outputs, EngineReport& into) const {
  for (size_t i = 0; i < outputs.size(); ++i) {
    Evidence evidence{*main_.data, first + i, outputs[i], subject.output_type(engine), samples[i].front(), nullptr, nullptr};
    if (teacher_) {
      evidence.teacher = &taught_[i];
      evidence.teacher_type = &teacher_->output_type(0);
    }
    Result<Judgement> judgement = judge_.judge(evidence);
    if (!judgement) return std::move(judgement).diagnostic().in_file(subject.model.string());
    into.judgements.push_back(*judgement);
  }
  return Done{};
}

Status Evaluation::run_batch(size_t first, size_t last) {
  auto run_other = [&](Subject& subject, EngineReport* into) -> Status {
    Result<std::vector<std::vector<Tensor>>> samples = load(subject, first, last);
    if (!samples) return std::move(samples).diagnostic();
    Result<std::vector<Numbers>> outputs = run_engine(subject, 0, *samples);
    if (!outputs) return std::move(outputs).diagnostic();
    if (into) return judge_batch(subject, 0, first, *samples, *outputs, *into);
    taught_ = *std::move(outputs);
    return Done{};
  };
  if (teacher_)
    if (Status s = run_other(*teacher_, nullptr); !s) return s;
  if (baseline_)
    if (Status s = run_other(*baseline_, &*report_.baseline); !s) return s;
  Result<std::vector<std::vector<Tensor>>> samples = load(main_, first, last);
  if (!samples) return std::move(samples).diagnostic();
  std::vector<std::vector<Numbers>> outputs;
  for (size_t engine = 0; engine < main_.engines.size(); ++engine) {
    Result<std::vector<Numbers>> numbers = run_engine(main_, engine, *samples);
    if (!numbers) return std::move(numbers).diagnostic();
    if (Status s = judge_batch(main_, engine, first, *samples, *numbers, report_.engines[engine]); !s) return s;
    outputs.push_back(*std::move(numbers));
  }
  if (report_.difference)
    for (size_t i = 0; i < last - first; ++i) compare_outputs(outputs[0][i], outputs[1][i], main_.output_type(0), *report_.difference);
  return Done{};
}

Status Evaluation::compute_figure(EngineReport& engine) const {
  const std::vector<Judgement>& all = engine.judgements;
  if (options_.metric.is_proportion()) {
    auto hits = static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const Judgement& j) { return j.hit; }));
    engine.figure = proportion(hits, all.size());
    return Done{};
  }
  Numbers numbers;
  std::vector<bool> positive;
  for (const Judgement& j : all) {
    numbers.push_back(options_.metric.kind == MetricKind::auc ? j.score : j.error);
    positive.push_back(j.truth == 1);
  }
  if (options_.metric.kind == MetricKind::auc) {
    Result<Figure> figure = roc_auc(numbers, positive);
    if (!figure) return std::move(figure).diagnostic().in_file(engine.model.string());
    engine.figure = *figure;
  } else {
    engine.figure = options_.metric.kind == MetricKind::rmse ? root_mean_square(numbers) : mean_absolute(numbers);
  }
  return Done{};
}

Status Evaluation::finish_report() {
  for (EngineReport& engine : report_.engines)
    if (Status s = compute_figure(engine); !s) return s;
  if (report_.baseline) {
    if (Status s = compute_figure(*report_.baseline); !s) return s;
    double drop = report_.baseline->figure.value - report_.engines[0].figure.value;
    if (options_.metric.lower_is_better()) drop = -drop;
    report_.drop = options_.metric.is_proportion() ? 100 * drop : drop;
  }
  add_gates();
  return Done{};
}

void Evaluation::add_gates() {
  constexpr double kRounding = 1e-9;  // the difference of two shares may lie this little beside a limit that it meets
  double value = report_.engines[0].figure.value;
  if (options_.min) report_.gates.push_back({"--min", *options_.min, value, value >= *options_.min});
  if (options_.max) report_.gates.push_back({"--max", *options_.max, value, value <= *options_.max});
  if (options_.max_drop)
    report_.gates.push_back({"--max-drop", *options_.max_drop, *report_.drop, *report_.drop <= *options_.max_drop + kRounding});
}

}  // namespace

bool EvaluationReport::pass() const {
  return std::all_of(gates.begin(), gates.end(), [](const Gate& g) { return g.pass; });
}

std::optional<ConfusionMatrix> EvaluationReport::confusion() const {
  if (!metric.is_proportion()) return std::nullopt;
  auto valid = [](const Judgement& j) { return j.truth >= 0 && j.prediction >= 0; };
  auto classes = static_cast<int64_t>(class_names.size());
  for (const Judgement& j : engines[0].judgements) classes = std::max({classes, j.truth + 1, j.prediction + 1});
  if (classes > kMostClasses) return std::nullopt;
  ConfusionMatrix matrix(static_cast<size_t>(classes));
  for (const Judgement& j : engines[0].judgements)
    if (valid(j)) matrix.add(j.truth, j.prediction);
  return matrix;
}

std::string EvaluationReport::class_name(size_t c) const { return c < class_names.size() ? class_names[c] : fmt::format("{}", c); }

std::optional<EvaluationReport> evaluate_model(const EvaluationOptions& options, Diagnostics& diagnostics, const Terminal& terminal) {
  Result<EvaluationReport> report = Evaluation(options, diagnostics, terminal).run();
  terminal.show_progress({});
  if (!report) diagnostics.report(report.diagnostic());
  if (diagnostics.has_errors()) return std::nullopt;
  return *std::move(report);
}

}  // namespace kiln
