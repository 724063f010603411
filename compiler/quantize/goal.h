// SPDX-License-Identifier: Apache-2.0
// Until a stated accuracy holds: the most sensitive tensors get 16 bits, the layers with the most sensitive weights stay float.
//
// Sensitive is what harms the outputs most when it alone is quantized; the harm is measured as the power of the outputs' error, which adds
// up about linearly while errors are small. After N. Pandey et al., "A Practical Mixed Precision Algorithm for Post-Training Quantization",
// 2023 (arXiv 2302.05397).
#pragma once

#include "compiler/quantize/build_plan.h"
#include "compiler/quantize/quantizer.h"

namespace kiln {

/// Replaces `built`, which has no exceptions, by a plan that reaches the goal with as few exceptions as greedy search finds. Errors:
/// metric_drops; those of evaluating.
Result<GoalResult> reach_goal(const PlanBuilder& builder, const AccuracyGoal& goal, BuiltPlan& built);

/// The index of the largest element.
size_t largest_element(const Tensor& tensor);

}  // namespace kiln
