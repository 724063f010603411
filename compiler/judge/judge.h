// SPDX-License-Identifier: Apache-2.0
// What the output of a model says about one sample, by the metric that is asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/data/dataset.h"
#include "compiler/data/metrics.h"

namespace kiln {

/// The elements of a tensor as real numbers.
using Numbers = std::vector<double>;

/// Quantized integers as the real numbers that they stand for; `type` is the tensor's, with quant where it is known.
Numbers real_numbers(const Tensor& tensor, const TensorType& type);

/// The class that the numbers stand for: the largest of several; of one number, itself where it is a class index, else whether it is
/// above one half. -1 when all are NaN.
int64_t predicted_class(const Numbers& values, const TensorType& type);

/// What the score of a sample is, for the area under the ROC curve.
struct Score {
  bool reconstruction = false;          ///< mean squared difference of output and input
  std::optional<int64_t> element = {};  ///< else this element of the output; none: 1, or 0 where there is only one
};

/// All that a judgement is made from.
struct Evidence {
  const Dataset& data;
  size_t sample;
  const Numbers& output;
  const TensorType& type;  ///< of the output
  const Tensor& input;     ///< the first
  const Numbers* teacher;  ///< its output; null without one
  const TensorType* teacher_type;
};

struct Judgement {
  int64_t prediction = -1;  ///< class with the largest score; -1 when there is none
  int64_t truth = -1;       ///< class by label, or the teacher's; of auc: 1 for positive, 0 for negative samples
  bool hit = false;         ///< top_k: the label is among the k best; agreement: same class as the teacher
  double score = 0;         ///< auc
  double error = 0;         ///< rmse: mean squared error; mae: mean absolute error
};

class Judge {
 public:
  Judge(const Metric& metric, const Score& score) : metric_(metric), score_(score) {}

  /// Errors: bad_input_data and bad_usage, when the label or the teacher's output does not go with the output.
  [[nodiscard]] Result<Judgement> judge(const Evidence& e) const;

 private:
  [[nodiscard]] Result<Judgement> judge_class(const Evidence& e) const;
  [[nodiscard]] Result<Judgement> judge_score(const Evidence& e) const;
  [[nodiscard]] Result<Judgement> judge_error(const Evidence& e) const;
  [[nodiscard]] Result<Numbers> error_target(const Evidence& e) const;

  Metric metric_;
  Score score_;
};

}  // namespace kiln
