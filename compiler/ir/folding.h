// SPDX-License-Identifier: Apache-2.0
// What evaluating operators in the compiler costs, and a bound on all of it: a small file can ask for more constants, or more expensive
// ones, than anybody wants to wait for.
#pragma once

#include <cstdint>

#include "compiler/ir/opdef.h"

namespace kiln {

struct EvaluationCost {
  int64_t bytes = 0;  ///< of the results
  int64_t work = 0;   ///< multiply-accumulates, or elements read and written where those are more
};

/// `args.outputs` are known.
EvaluationCost evaluation_cost(const OpArgs& args);

/// While alive, `fold` (builder.h) charges what it computes on this thread, and refuses what goes beyond `most`.
class FoldingBudget {
 public:
  explicit FoldingBudget(EvaluationCost most);
  ~FoldingBudget();
  FoldingBudget(const FoldingBudget&) = delete;
  FoldingBudget& operator=(const FoldingBudget&) = delete;

  /// Charges the innermost budget there is. Errors: limit_exceeded.
  static Status spend(EvaluationCost cost);

 private:
  EvaluationCost most_, spent_;
  FoldingBudget* outer_;
};

}  // namespace kiln
