// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/ops.h"

namespace kiln {

const OpTable& op_table() {
  static const OpTable table({
#define KILN_OP(identifier) &ops::identifier,
#include "compiler/ops/ops.def"
#undef KILN_OP
  });
  return table;
}

}  // namespace kiln
