// SPDX-License-Identifier: Apache-2.0
// The messages of a run as the user reads them: what is said alike of several nodes is said once, with the nodes.
#pragma once

#include <string>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

struct Terminal;

struct Problem {
  Diagnostic said;                 ///< its `node` is the first
  std::vector<std::string> nodes;  ///< all, as "'conv1' (Conv)"; empty when it is about none
};

/// Messages that differ in their node only become one. What kiln does not support comes by reason (that is, by code), behind the rest.
std::vector<Problem> list_problems(const Diagnostics& diagnostics);

/// "error E300: m.onnx: nodes 'a' (Magic), 'b' (Magic), 'c' (Magic) and 12 more: operator 'Magic' is not supported.\n  hint: ...".
std::string to_string(const Problem& problem);

/// {schema_version, kiln_version, exit_code, messages: [{severity, code, message, hint, file, nodes: [{name, type}]}]}.
std::string problems_json(const Diagnostics& diagnostics);

/// For verbs whose report has no contents since the run failed: writes problems_json to `file`, "-" for stdout, nothing if it is empty. The
/// exit code: that of the first error, or of the failure to write.
ExitCode write_problems(const std::string& file, const Diagnostics& diagnostics, const Terminal& terminal);

}  // namespace kiln
