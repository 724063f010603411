// SPDX-License-Identifier: Apache-2.0
// What outputs of all kinds say about a sample.
#include "compiler/judge/judge.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/frontend/tensor_file.h"
#include "compiler/support/files.h"

using namespace kiln;

namespace {

const TensorType kFloats{DType::f32, {1, 3}, {}};

/// One sample (1, 2, 3) with a label.
class OneSample {
 public:
  explicit OneSample(const Tensor& label) {
    REQUIRE(write_file(folder_.path() / "x.npy", save_npy(input)).ok());
    REQUIRE(write_file(folder_.path() / "labels.npy", save_npy(label)).ok());
    Result<Dataset> opened = Dataset::open({.path = folder_.path()}, {{"x", kFloats}});
    REQUIRE(opened.ok());
    data.emplace(*std::move(opened));
  }
  [[nodiscard]] Result<Judgement> judge(const Metric& metric, const Numbers& output, const TensorType& type, const Score& score = {},
                                        const Numbers* teacher = nullptr) const {
    return Judge(metric, score).judge({*data, 0, output, type, input, teacher, &type});
  }

  const Tensor input = Tensor::floats({1, 3}, {1, 2, 3});
  std::optional<Dataset> data;

 private:
  TemporaryFolder folder_ = *TemporaryFolder::create();
};

}  // namespace

TEST_CASE("quantized numbers are judged as what they stand for", "[data]") {
  Tensor codes = Tensor::of<int8_t>({1, 3}, std::vector<int8_t>{-1, 0, 4});
  TensorType type = codes.type;
  CHECK(real_numbers(codes, type) == Numbers{-1, 0, 4});
  type.quant = Quant{.scale = {0.5f}, .zero_point = {2}};
  CHECK(real_numbers(codes, type) == Numbers{-1.5, -1, 1});
  type.quant->zero_point.clear();
  CHECK(real_numbers(codes, type) == Numbers{-0.5, 0, 2});
}

TEST_CASE("classes are the largest of several numbers, an index, or a threshold", "[data]") {
  CHECK(predicted_class({0.1, 0.7, 0.2}, kFloats) == 1);
  CHECK(predicted_class({0.5}, kFloats) == 0);
  CHECK(predicted_class({0.51}, kFloats) == 1);
  TensorType index{DType::i64, {1}, {}};
  CHECK(predicted_class({7}, index) == 7);
  TensorType quantized{DType::u8, {1}, Quant{.scale = {1.0f / 256}, .zero_point = {0}}};
  CHECK(predicted_class({0.75}, quantized) == 1);
  CHECK(predicted_class({NAN, NAN}, kFloats) == -1);
}

TEST_CASE("outputs of one number are right or wrong as well", "[data]") {
  OneSample sample(Tensor::int64s({1}));
  CHECK(sample.judge({}, {0.9}, kFloats)->hit);
  CHECK_FALSE(sample.judge({}, {0.2}, kFloats)->hit);
  CHECK(sample.judge({}, {1}, {DType::i32, {1}, {}})->hit);
  Metric auc{MetricKind::auc, 1};
  CHECK(sample.judge(auc, {0.2}, kFloats)->score == 0.2);
  CHECK(sample.judge(auc, {0.2}, kFloats)->truth == 1);
  CHECK(sample.judge(auc, {0.2, 0.8}, kFloats)->score == 0.8);
  CHECK(sample.judge(auc, {0.2, 0.8}, kFloats, {.element = 0})->truth == 0);  // the sample is not of class 0
  CHECK(sample.judge(auc, {1, 4, 3}, kFloats, {.reconstruction = true})->score == Approx(4 / 3.0));
  CHECK(sample.judge(auc, {1, 4}, kFloats, {.reconstruction = true}).diagnostic().id == DiagId::bad_usage);
}

TEST_CASE("outputs that are not numbers agree with nothing", "[data]") {
  OneSample sample(Tensor::int64s({1}));
  Metric agreement{MetricKind::agreement, 1};
  Numbers teacher{0, 1, 0}, broken{NAN, NAN, NAN};
  CHECK(sample.judge(agreement, {1, 5, 2}, kFloats, {}, &teacher)->hit);
  CHECK_FALSE(sample.judge(agreement, {5, 1, 2}, kFloats, {}, &teacher)->hit);
  CHECK_FALSE(sample.judge(agreement, broken, kFloats, {}, &broken)->hit);
  CHECK_FALSE(sample.judge({}, broken, kFloats)->hit);
  CHECK(sample.judge(agreement, {1, 2}, kFloats, {}, &teacher).diagnostic().message ==
        "the output has 2 numbers, that of --against has 3.");
}

TEST_CASE("errors are means over the numbers of the output", "[data]") {
  OneSample sample(Tensor::floats({1, 3}, {1, 0, -1}));
  CHECK(sample.judge({MetricKind::rmse, 1}, {1, 3, 1}, kFloats)->error == Approx((9 + 4) / 3.0));
  CHECK(sample.judge({MetricKind::mae, 1}, {1, 3, 1}, kFloats)->error == Approx((3 + 2) / 3.0));
  CHECK(std::isnan(sample.judge({MetricKind::mae, 1}, {1, NAN, 1}, kFloats)->error));
}
