// SPDX-License-Identifier: Apache-2.0
// The records of all operators (ops.def) by name, for importers and rewrites that build nodes.
#pragma once

#include "compiler/ir/opdef.h"

namespace kiln {

namespace ops {
#define KILN_OP(identifier) extern const OpDef identifier;
#include "compiler/ops/ops.def"
#undef KILN_OP
}  // namespace ops

/// All operators.
const OpTable& op_table();

}  // namespace kiln
