// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/folding.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {
namespace {

thread_local FoldingBudget* innermost = nullptr;

}  // namespace

EvaluationCost evaluation_cost(const OpArgs& args) {
  EvaluationCost cost;
  for (const TensorType* type : args.outputs) {
    cost.bytes += type->bytes();
    cost.work += type->elements();
  }
  for (const TensorType* type : args.inputs) cost.work += type ? type->elements() : 0;
  if (args.op.macs) cost.work = std::max(cost.work, args.op.macs(args));
  return cost;
}

FoldingBudget::FoldingBudget(EvaluationCost most) : most_(most), outer_(innermost) { innermost = this; }
FoldingBudget::~FoldingBudget() { innermost = outer_; }

Status FoldingBudget::spend(EvaluationCost cost) {
  if (!innermost) return Done{};
  EvaluationCost& spent = innermost->spent_;
  spent.bytes += cost.bytes;
  spent.work += cost.work;
  if (spent.bytes > innermost->most_.bytes)
    return error(DiagId::limit_exceeded, fmt::format("the constants that are computed in the compiler take {} bytes up to here, the limit is {}.",
                                                     spent.bytes, innermost->most_.bytes));
  if (spent.work > innermost->most_.work)
    return error(DiagId::limit_exceeded, fmt::format("computing the constants of the model takes {} operations up to here, the limit is {}.",
                                                     spent.work, innermost->most_.work));
  return Done{};
}

}  // namespace kiln
