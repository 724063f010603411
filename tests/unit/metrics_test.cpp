// SPDX-License-Identifier: Apache-2.0
// Figures of merit, against values worked out by hand or by definition.
#include "compiler/data/metrics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using namespace kiln;

TEST_CASE("metrics are known by their names", "[data]") {
  for (const char* name : {"top1", "top5", "top12", "auc", "rmse", "mae", "agreement"}) CHECK(parse_metric(name)->name() == name);
  CHECK(parse_metric("top5")->k == 5);
  CHECK(parse_metric("top1")->is_proportion());
  CHECK(parse_metric("mae")->lower_is_better());
  CHECK_FALSE(parse_metric("auc")->is_proportion());
  for (const char* name : {"", "top", "top0", "top-1", "top1x", "AUC", "f1"}) {
    INFO(name);
    Result<Metric> metric = parse_metric(name);
    REQUIRE_FALSE(metric.ok());
    CHECK(metric.diagnostic().id == DiagId::bad_usage);
  }
}

TEST_CASE("the Wilson interval has its closed form", "[data]") {
  // Bounds are the roots of (p - x)^2 = z^2 x (1 - x) / n.
  for (auto [hits, n] : {std::pair<size_t, size_t>{457, 500}, {1, 10}, {5, 10}, {999, 1000}, {1, 2}}) {
    Interval i = wilson_interval(hits, n);
    double p = static_cast<double>(hits) / static_cast<double>(n);
    for (double x : {i.low, i.high})
      CHECK((p - x) * (p - x) == Approx(1.959963984540054 * 1.959963984540054 * x * (1 - x) / static_cast<double>(n)));
    CHECK(i.low < p);
    CHECK(i.high > p);
  }
  CHECK(wilson_interval(0, 10).low == 0);
  CHECK(wilson_interval(0, 10).high == Approx(0.2775328));  // z^2 / (n + z^2)
  CHECK(wilson_interval(10, 10).high == 1);
  CHECK(wilson_interval(10, 10).low == Approx(0.7224672));
  Figure figure = proportion(457, 500);
  CHECK(figure.value == 0.914);
  CHECK(figure.samples == 500);
}

TEST_CASE("the area under the ROC curve counts pairs in the right order", "[data]") {
  std::vector<double> scores{0.1, 0.4, 0.35, 0.8};
  CHECK(roc_auc(scores, {false, false, true, true})->value == 0.75);  // of 4 pairs only (0.35, 0.4) is wrong
  CHECK(roc_auc(scores, {true, true, false, false})->value == 0.25);
  CHECK(roc_auc(std::vector<double>{1, 1, 1}, {true, false, false})->value == 0.5);
  CHECK(roc_auc(std::vector<double>{1, 2, 2, 3}, {false, true, false, true})->value == (3 + 0.5) / 4);
  // Against the definition, pair by pair.
  std::mt19937_64 random(7);
  std::vector<double> many;
  std::vector<bool> positive;
  for (int i = 0; i < 60; ++i) {
    positive.push_back(i % 3 == 0);
    many.push_back(static_cast<double>(random() % 20) + (i % 3 == 0 ? 4 : 0));
  }
  double right = 0, pairs = 0;
  for (size_t p = 0; p < many.size(); ++p)
    for (size_t n = 0; n < many.size(); ++n)
      if (positive[p] && !positive[n]) {
        right += many[p] > many[n] ? 1 : many[p] == many[n] ? 0.5 : 0;
        pairs += 1;
      }
  Result<Figure> figure = roc_auc(many, positive);
  REQUIRE(figure.ok());
  CHECK(figure->value == Approx(right / pairs).epsilon(1e-12));
  CHECK(figure->interval.low < figure->value);
  CHECK(figure->interval.high > figure->value);
  CHECK(figure->interval.high <= 1);
  // The standard error of Hanley and McNeil for this area and these counts is about 0.07.
  CHECK(figure->interval.high - figure->interval.low == Approx(4 * 0.066).epsilon(0.35));
  CHECK(roc_auc(many, positive)->interval.low == figure->interval.low);  // the seed is fixed
  CHECK(roc_auc(many, std::vector<bool>(60, true)).diagnostic().message ==
        "60 of 60 samples are positive; the area under the ROC curve needs both kinds.");
  CHECK(roc_auc(std::vector<double>{NAN, 1}, {true, false}).diagnostic().id == DiagId::bad_input_data);
}

TEST_CASE("the ROC curve encloses the area", "[data]") {
  std::vector<double> scores{0.1, 0.4, 0.35, 0.8, 0.4};
  std::vector<bool> positive{false, false, true, true, true};
  std::vector<RocPoint> curve = roc_curve(scores, positive);
  REQUIRE(curve.size() == 5);  // four distinct scores
  CHECK(curve[1].true_positive_rate == Approx(1 / 3.0));
  CHECK(curve[1].false_positive_rate == 0);
  CHECK(curve.back().false_positive_rate == 1);
  CHECK(curve.back().true_positive_rate == 1);
  double sum = 0;
  for (size_t i = 1; i < curve.size(); ++i)
    sum += (curve[i].false_positive_rate - curve[i - 1].false_positive_rate) *
           (curve[i].true_positive_rate + curve[i - 1].true_positive_rate) / 2;
  CHECK(sum == Approx(roc_auc(scores, positive)->value));
}

TEST_CASE("errors are averaged, with a bootstrap interval", "[data]") {
  CHECK(root_mean_square(std::vector<double>{4, 16}).value == std::sqrt(10.0));
  CHECK(mean_absolute(std::vector<double>{1, 2, 6}).value == 3);
  Figure same = root_mean_square(std::vector<double>(20, 9.0));
  CHECK(same.interval.low == 3);
  CHECK(same.interval.high == 3);
  // 400 numbers of mean 0.5 and variance 1/12: the mean's standard deviation is 0.0144.
  std::mt19937_64 random(3);
  std::vector<double> uniform;
  for (int i = 0; i < 400; ++i) uniform.push_back(static_cast<double>(random() >> 11) * 0x1p-53);
  Figure figure = mean_absolute(uniform);
  CHECK(figure.value == Approx(0.5).margin(0.05));
  CHECK(figure.interval.high - figure.interval.low == Approx(2 * 1.96 * 0.0144).epsilon(0.15));
  CHECK(std::isinf(mean_absolute(std::vector<double>{1, INFINITY}).value));
}

TEST_CASE("predictions and ranks break ties by the lower index", "[data]") {
  std::vector<double> scores{0.2, 0.5, 0.5, 0.1};
  CHECK(largest_score(scores) == 1);
  CHECK(rank_of(scores, 1) == 0);
  CHECK(rank_of(scores, 2) == 1);
  CHECK(rank_of(scores, 0) == 2);
  CHECK(rank_of(scores, 3) == 3);
  std::vector<double> broken{NAN, 1, NAN};
  CHECK(largest_score(broken) == 1);
  CHECK(rank_of(broken, 1) == 0);
  CHECK(rank_of(broken, 0) == 3);
  CHECK(largest_score(std::vector<double>{NAN}) == -1);
}

TEST_CASE("the confusion matrix gives precision and recall", "[data]") {
  ConfusionMatrix m(3);
  for (auto [truth, prediction] : {std::pair<int64_t, int64_t>{0, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}}) m.add(truth, prediction);
  CHECK(m.count(0, 1) == 1);
  CHECK(m.samples_of(0) == 3);
  CHECK(m.predictions_of(1) == 2);
  CHECK(*m.precision(0) == Approx(2 / 3.0));
  CHECK(*m.recall(0) == Approx(2 / 3.0));
  CHECK(*m.recall(1) == 0.5);
  CHECK(*m.f1(1) == 0.5);
  CHECK_FALSE(m.precision(2));
  CHECK_FALSE(m.recall(2));
  CHECK_FALSE(m.f1(2));
}
