// SPDX-License-Identifier: Apache-2.0
// Reads the text form of print.h. Beyond what is printed it understands, for hand-written graphs:
//   results without a type (it is inferred):   %y = relu(%x)
//   constants `splat 0.5`, `random 42` (see random_tensor) and `hex "00ff..."` (the bytes, little endian)
//   comments `// text` and `; text` to the end of the line
#pragma once

#include <string_view>

#include "compiler/ir/graph.h"

namespace kiln {

/// The graph, verified at Stage::imported. Errors: bad_ir_text, the message beginning with "line:column: "; limit_exceeded for absurd shapes.
Result<Graph> parse_graph(std::string_view text, const OpTable& ops);

}  // namespace kiln
