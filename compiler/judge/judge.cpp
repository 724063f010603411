// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/judge.h"

#include <fmt/format.h>

#include <cmath>

#include "compiler/data/bad_data.h"

namespace kiln {
namespace {

Diagnostic does_not_fit(std::string message, std::string hint = {}) { return error(DiagId::bad_usage, std::move(message), std::move(hint)); }

/// Of squares, or of absolute values.
double mean_difference(const Numbers& a, const Numbers& b, bool square) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += square ? (a[i] - b[i]) * (a[i] - b[i]) : std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

Diagnostic not_a_class(const Evidence& e) {
  return bad_data(fmt::format("the label of sample '{}' is no class (0, 1, 2, ...).", e.data.name(e.sample)));
}

Result<Numbers> reconstruction_target(const Evidence& e) {
  Numbers target = real_numbers(e.input, e.input.type);
  if (target.size() == e.output.size()) return target;
  return does_not_fit(
      fmt::format("--score reconstruction compares input and output, they have {} and {} numbers.", target.size(), e.output.size()));
}

Result<Judgement> judge_agreement(const Evidence& e) {
  if (e.teacher->size() != e.output.size())
    return bad_data(fmt::format("the output has {} numbers, that of --against has {}.", e.output.size(), e.teacher->size()));
  Judgement j;
  j.truth = predicted_class(*e.teacher, *e.teacher_type);
  j.prediction = predicted_class(e.output, e.type);
  j.hit = j.truth >= 0 && j.truth == j.prediction;
  return j;
}

}  // namespace

Numbers real_numbers(const Tensor& tensor, const TensorType& type) {
  Numbers values = tensor.to_doubles();
  if (!is_integer(type.dtype) || !type.quant || type.quant->scale.size() != 1) return values;
  double scale = static_cast<double>(type.quant->scale[0]);
  double zero_point = type.quant->zero_point.empty() ? 0 : type.quant->zero_point[0];
  for (double& value : values) value = (value - zero_point) * scale;
  return values;
}

int64_t predicted_class(const Numbers& values, const TensorType& type) {
  if (values.size() != 1) return largest_score(values);
  if (is_integer(type.dtype) && !type.quant) return static_cast<int64_t>(values[0]);
  return values[0] > 0.5 ? 1 : 0;
}

Result<Judgement> Judge::judge(const Evidence& e) const {
  switch (metric_.kind) {
    case MetricKind::top_k:
      return judge_class(e);
    case MetricKind::agreement:
      return judge_agreement(e);
    case MetricKind::auc:
      return judge_score(e);
    case MetricKind::rmse:
    case MetricKind::mae:
      break;
  }
  return judge_error(e);
}

Result<Judgement> Judge::judge_class(const Evidence& e) const {
  std::optional<int64_t> label = e.data.label(e.sample);
  if (!label) return not_a_class(e);
  Judgement j;
  j.truth = *label;
  j.prediction = predicted_class(e.output, e.type);
  auto classes = static_cast<int64_t>(e.output.size());
  if (classes > 1 && *label >= classes)
    return bad_data(fmt::format("sample '{}' has label {}, the output has {} numbers.", e.data.name(e.sample), *label, classes),
                    "labels count from 0, in the order of the output.");
  j.hit = classes > 1 ? rank_of(e.output, *label) < metric_.k : j.prediction == *label;
  return j;
}

Result<Judgement> Judge::judge_score(const Evidence& e) const {
  std::optional<int64_t> label = e.data.label(e.sample);
  if (!label) return not_a_class(e);
  Judgement j;
  if (score_.reconstruction) {
    Result<Numbers> target = reconstruction_target(e);
    if (!target) return std::move(target).diagnostic();
    j.score = mean_difference(e.output, *target, true);
    j.truth = *label == 1 ? 1 : 0;
    return j;
  }
  auto count = static_cast<int64_t>(e.output.size());
  int64_t element = score_.element.value_or(count == 1 ? 0 : 1);
  if (element >= count)
    return does_not_fit(fmt::format("--score output:{}: the output has {} numbers.", element, count), "they count from 0.");
  if (!score_.element && count > 2)
    return does_not_fit(fmt::format("--metric auc tells two classes apart, the output has {} numbers.", count),
                     "--score output:INDEX takes one of them, --score reconstruction the error of an autoencoder.");
  j.score = e.output[static_cast<size_t>(element)];
  j.truth = *label == (count == 1 ? 1 : element) ? 1 : 0;
  return j;
}

Result<Judgement> Judge::judge_error(const Evidence& e) const {
  Result<Numbers> target = error_target(e);
  if (!target) return std::move(target).diagnostic();
  Judgement j;
  j.error = mean_difference(e.output, *target, metric_.kind == MetricKind::rmse);
  return j;
}

Result<Numbers> Judge::error_target(const Evidence& e) const {
  if (score_.reconstruction) return reconstruction_target(e);
  std::span<const double> label = e.data.target(e.sample);
  Numbers target = e.teacher ? *e.teacher : Numbers(label.begin(), label.end());
  if (target.size() == e.output.size()) return target;
  return bad_data(fmt::format("the output has {} numbers, {} {}.", e.output.size(), e.teacher ? "that of --against has" : "a label has",
                              target.size()));
}

}  // namespace kiln
