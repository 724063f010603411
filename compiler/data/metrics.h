// SPDX-License-Identifier: Apache-2.0
// Figures of merit of a model on a data set, with 95 % intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

enum class MetricKind { top_k, auc, rmse, mae, agreement };

struct Metric {
  MetricKind kind = MetricKind::top_k;
  int64_t k = 1;  ///< of top_k

  /// "top1", "top5", "auc", "rmse", "mae", "agreement".
  [[nodiscard]] std::string name() const;
  /// Whether the value is the share of samples that are right, from 0 to 1.
  [[nodiscard]] bool is_proportion() const { return kind == MetricKind::top_k || kind == MetricKind::agreement; }
  [[nodiscard]] bool lower_is_better() const { return kind == MetricKind::rmse || kind == MetricKind::mae; }
};

/// Reads what Metric::name writes. Errors: bad_usage.
Result<Metric> parse_metric(std::string_view name);

struct Interval {
  double low = 0, high = 0;
};

struct Figure {
  double value = 0;
  Interval interval;  ///< 95 %
  size_t samples = 0;
};

/// The Wilson score interval of `hits` of `n` (Wilson 1927), n > 0.
Interval wilson_interval(size_t hits, size_t n);
/// hits / n with that interval.
Figure proportion(size_t hits, size_t n);

/// Area under the ROC curve: the probability that a positive sample scores higher than a negative one, ties counting half (Mann and
/// Whitney). Interval: percentiles of 1000 bootstrap resamples of the samples, from a fixed seed; resamples of one class only are
/// drawn again. Errors: bad_input_data when all samples are of one class or a score is NaN.
Result<Figure> roc_auc(std::span<const double> scores, const std::vector<bool>& positive);

/// The corners of the ROC curve from (0, 0) to (1, 1), one per distinct score.
struct RocPoint {
  double false_positive_rate, true_positive_rate;
};
std::vector<RocPoint> roc_curve(std::span<const double> scores, const std::vector<bool>& positive);

/// The root of the mean of the samples' mean squared errors, and the mean of their mean absolute errors. Interval: percentiles of 1000
/// bootstrap resamples, from a fixed seed.
Figure root_mean_square(std::span<const double> squared_errors);
Figure mean_absolute(std::span<const double> absolute_errors);

/// The index of the largest score, the first of several; -1 when all are NaN.
int64_t largest_score(std::span<const double> scores);
/// How many classes come before `label` (0: it is the prediction): those with a larger score, and those before it with the same. A label
/// that scores NaN comes last.
int64_t rank_of(std::span<const double> scores, int64_t label);

/// Counts of (true class, predicted class).
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(size_t classes) : classes_(classes), counts_(classes * classes) {}
  void add(int64_t truth, int64_t prediction) { ++counts_[static_cast<size_t>(truth) * classes_ + static_cast<size_t>(prediction)]; }
  [[nodiscard]] size_t classes() const { return classes_; }
  [[nodiscard]] size_t count(size_t truth, size_t prediction) const { return counts_[truth * classes_ + prediction]; }
  [[nodiscard]] size_t samples_of(size_t truth) const;
  [[nodiscard]] size_t predictions_of(size_t prediction) const;
  /// Right predictions among the predictions of a class, and among its samples; nothing where there are none.
  [[nodiscard]] std::optional<double> precision(size_t c) const;
  [[nodiscard]] std::optional<double> recall(size_t c) const;
  /// Their harmonic mean; nothing where one is missing.
  [[nodiscard]] std::optional<double> f1(size_t c) const;

 private:
  size_t classes_;
  std::vector<size_t> counts_;
};

}  // namespace kiln
