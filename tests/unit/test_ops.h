// SPDX-License-Identifier: Apache-2.0
// A few operators for tests of the IR itself, which must not depend on kiln's own.
#pragma once

#include "compiler/ir/builder.h"
#include "compiler/ir/graph.h"
#include "compiler/ir/opdef.h"

namespace kiln::test {

inline Result<std::vector<TensorType>> infer_like_first(const OpArgs& args) {
  if (args.inputs.empty() || !args.has(0)) return error(DiagId::bad_node, "an operand is missing.");
  return std::vector<TensorType>{args.in(0)};
}
inline Result<std::vector<TensorType>> infer_two(const OpArgs& args) { return std::vector<TensorType>{args.in(0), args.in(0)}; }
inline Result<std::vector<Tensor>> eval_first(const OpArgs& args) { return std::vector<Tensor>{*args.constant(0)}; }

inline OpDef make_op(std::string_view name, Result<std::vector<TensorType>> (*infer)(const OpArgs&), bool has_eval) {
  OpDef op;
  op.name = name;
  op.infer = infer;
  if (has_eval) op.eval = eval_first;
  return op;
}

/// First operand through; any further operands and attributes go.
inline const OpDef kCopy = make_op("copy", infer_like_first, true);
/// Two results.
inline const OpDef kTwin = make_op("twin", infer_two, false);

inline const OpTable& table() {
  static const OpTable ops({&kCopy, &kTwin});
  return ops;
}

}  // namespace kiln::test
