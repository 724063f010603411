// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

#include "compiler/support/check.h"

namespace kiln {
namespace {

constexpr double kNormal = 1.959963984540054;  // the 97.5 % quantile of the standard normal distribution
constexpr size_t kResamples = 1000;
constexpr uint64_t kSeed = 20240229;

/// How often each of `n` samples is in a bootstrap resample. The generator's numbers are laid down by the C++ standard, those of its
/// distributions are not.
std::vector<uint32_t> resample(std::mt19937_64& random, size_t n) {
  std::vector<uint32_t> times(n);
  for (size_t i = 0; i < n; ++i) ++times[random() % n];
  return times;
}

/// The value at fraction `q` of the sorted values, interpolated.
double quantile(const std::vector<double>& sorted, double q) {
  double at = q * static_cast<double>(sorted.size() - 1);
  auto below = static_cast<size_t>(at);
  size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], at - static_cast<double>(below));
}

/// 2.5 % and 97.5 % percentiles of `statistic(times)` over resamples. A statistic that is NaN is drawn again.
template <class F>
Interval bootstrap(size_t n, F&& statistic) {
  std::mt19937_64 random(kSeed);
  std::vector<double> values;
  while (values.size() < kResamples) {
    double value = statistic(resample(random, n));
    if (!std::isnan(value)) values.push_back(value);
  }
  std::sort(values.begin(), values.end());
  return {quantile(values, 0.025), quantile(values, 0.975)};
}

std::vector<size_t> by_score(std::span<const double> scores) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return std::pair(scores[a], a) < std::pair(scores[b], b); });
  return order;
}

/// The area when sample i counts times[i] times; NaN when one class is missing. `order` is that of the scores, from the lowest.
double area(std::span<const double> scores, const std::vector<bool>& positive, const std::vector<size_t>& order,
            const std::vector<uint32_t>& times) {
  double below = 0, pairs = 0, positives = 0;  // negatives with a lower score; pairs in the right order; positives so far
  for (size_t i = 0; i < order.size();) {
    double negative_ties = 0, positive_ties = 0;
    double score = scores[order[i]];
    for (; i < order.size() && scores[order[i]] == score; ++i) (positive[order[i]] ? positive_ties : negative_ties) += times[order[i]];
    pairs += positive_ties * (below + negative_ties / 2);
    below += negative_ties;
    positives += positive_ties;
  }
  return positives == 0 || below == 0 ? std::nan("") : pairs / (positives * below);
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

template <class F>
Figure mean_figure(std::span<const double> errors, F&& finish) {
  KILN_CHECK(!errors.empty(), "a mean of nothing");
  if (double value = mean(errors); !std::isfinite(value)) return {finish(value), {value, value}, errors.size()};
  Interval interval = bootstrap(errors.size(), [&](const std::vector<uint32_t>& times) {
    return finish(std::inner_product(errors.begin(), errors.end(), times.begin(), 0.0) / static_cast<double>(errors.size()));
  });
  return {finish(mean(errors)), interval, errors.size()};
}

std::optional<double> ratio(size_t part, size_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::string Metric::name() const {
  switch (kind) {
    case MetricKind::auc:
      return "auc";
    case MetricKind::rmse:
      return "rmse";
    case MetricKind::mae:
      return "mae";
    case MetricKind::agreement:
      return "agreement";
    case MetricKind::top_k:
      break;
  }
  return fmt::format("top{}", k);
}

Result<Metric> parse_metric(std::string_view name) {
  for (MetricKind kind : {MetricKind::auc, MetricKind::rmse, MetricKind::mae, MetricKind::agreement})
    if (Metric metric{kind, 1}; metric.name() == name) return metric;
  Metric metric;
  if (name.starts_with("top")) {
    auto [end, code] = std::from_chars(name.data() + 3, name.data() + name.size(), metric.k);
    if (code == std::errc{} && end == name.data() + name.size() && metric.k > 0) return metric;
  }
  return error(DiagId::bad_usage, fmt::format("there is no metric '{}'.", name),
               "known are top1, top5 and so on, auc, rmse, mae, agreement.");
}

Interval wilson_interval(size_t hits, size_t n) {
  KILN_CHECK(n > 0 && hits <= n, "a share of nothing");
  double count = static_cast<double>(n), p = static_cast<double>(hits) / count, z2 = kNormal * kNormal;
  double middle = p + z2 / (2 * count);
  double half = kNormal * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  double scale = 1 + z2 / count;
  // Exact at the ends, where rounding would leave a rest.
  return {hits == 0 ? 0 : (middle - half) / scale, hits == n ? 1 : (middle + half) / scale};
}

Figure proportion(size_t hits, size_t n) { return {static_cast<double>(hits) / static_cast<double>(n), wilson_interval(hits, n), n}; }

Result<Figure> roc_auc(std::span<const double> scores, const std::vector<bool>& positive) {
  KILN_CHECK(scores.size() == positive.size(), "a label for each score");
  if (std::any_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); }))
    return error(DiagId::bad_input_data, "a score is not a number (NaN); there is no order of such scores.");
  auto positives = static_cast<size_t>(std::count(positive.begin(), positive.end(), true));
  if (positives == 0 || positives == positive.size())
    return error(DiagId::bad_input_data,
                 fmt::format("{} of {} samples are positive; the area under the ROC curve needs both kinds.", positives, positive.size()));
  std::vector<size_t> order = by_score(scores);
  auto statistic = [&](const std::vector<uint32_t>& times) { return area(scores, positive, order, times); };
  Figure figure;
  figure.value = statistic(std::vector<uint32_t>(scores.size(), 1));
  figure.interval = bootstrap(scores.size(), statistic);
  figure.samples = scores.size();
  return figure;
}

std::vector<RocPoint> roc_curve(std::span<const double> scores, const std::vector<bool>& positive) {
  std::vector<size_t> order = by_score(scores);
  std::reverse(order.begin(), order.end());
  auto positives = static_cast<double>(std::count(positive.begin(), positive.end(), true));
  double negatives = static_cast<double>(positive.size()) - positives, hits = 0, alarms = 0;
  std::vector<RocPoint> curve{{0, 0}};
  for (size_t i = 0; i < order.size(); ++i) {
    ++(positive[order[i]] ? hits : alarms);
    bool last_of_ties = i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]];
    if (last_of_ties) curve.push_back({alarms / negatives, hits / positives});
  }
  return curve;
}

Figure root_mean_square(std::span<const double> squared_errors) {
  return mean_figure(squared_errors, [](double mean_square) { return std::sqrt(mean_square); });
}

Figure mean_absolute(std::span<const double> absolute_errors) {
  return mean_figure(absolute_errors, [](double mean) { return mean; });
}

int64_t largest_score(std::span<const double> scores) {
  int64_t best = -1;
  for (size_t i = 0; i < scores.size(); ++i)
    if (!std::isnan(scores[i]) && (best < 0 || scores[i] > scores[static_cast<size_t>(best)])) best = static_cast<int64_t>(i);
  return best;
}

int64_t rank_of(std::span<const double> scores, int64_t label) {
  double own = scores[static_cast<size_t>(label)];
  if (std::isnan(own)) return static_cast<int64_t>(scores.size());
  int64_t rank = 0;
  for (size_t i = 0; i < scores.size(); ++i) rank += scores[i] > own || (scores[i] == own && static_cast<int64_t>(i) < label) ? 1 : 0;
  return rank;
}

size_t ConfusionMatrix::samples_of(size_t truth) const {
  size_t sum = 0;
  for (size_t p = 0; p < classes_; ++p) sum += count(truth, p);
  return sum;
}

size_t ConfusionMatrix::predictions_of(size_t prediction) const {
  size_t sum = 0;
  for (size_t t = 0; t < classes_; ++t) sum += count(t, prediction);
  return sum;
}

std::optional<double> ConfusionMatrix::precision(size_t c) const { return ratio(count(c, c), predictions_of(c)); }
std::optional<double> ConfusionMatrix::recall(size_t c) const { return ratio(count(c, c), samples_of(c)); }

std::optional<double> ConfusionMatrix::f1(size_t c) const {
  std::optional<double> p = precision(c), r = recall(c);
  if (!p || !r) return std::nullopt;
  return *p + *r == 0 ? 0 : 2 * *p * *r / (*p + *r);
}

}  // namespace kiln
