// SPDX-License-Identifier: Apache-2.0
// The ONNX operators that kiln reads, as tables: for `kiln ops` and docs/operators.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/ir/opdef.h"

namespace kiln {

/// Records of ONNX operators by domain and name.
std::vector<const OpDef*> onnx_operators();
/// "Conv", "com.microsoft::Gelu".
std::string full_name(const OpDef& op);
/// "1+", "11 to 17".
std::string opsets_text(const OpDef& op);

/// One more column of the table: its title, and by full_name what stands in it.
struct OperatorColumn {
  std::string title;
  std::map<std::string, std::string> cells;
};

/// A Markdown table: operator, opsets, what it is, `columns`.
std::string operator_table(const std::vector<OperatorColumn>& columns);

}  // namespace kiln
