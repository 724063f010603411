// SPDX-License-Identifier: Apache-2.0
// Runs graph passes in order and checks the graph after each.
#pragma once

#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/verify.h"
#include "passes/pass.h"

namespace kiln {

struct GraphPass {
  std::string_view name;     ///< "fold-constants"
  std::string_view summary;  ///< what it does, for the pipeline page
  Result<bool> (*run)(Graph&, PassContext&);
  Stage stage_after;         ///< what holds from here on
};

struct GraphPassOptions {
  std::vector<std::string> disabled;     ///< passes to leave out
  std::vector<std::string> print_after;  ///< passes after which the IR is printed; "all": after each
  std::string stop_after;                ///< the last pass to run
  bool time_passes = false;
  std::filesystem::path dump_dir;     ///< write the IR as text and Graphviz after each pass that changed it, numbered; empty: no
  std::FILE* log = stderr;            ///< where IR and times are printed
};

/// Refuses pass names in `options` that are neither in `passes` nor in `other` (unknown_pass, listing all that exist).
Status check_pass_names(const GraphPassOptions& options, std::span<const GraphPass> passes, std::span<const std::string_view> other = {});

/// Runs `passes` over `graph`; true when `stop_after` stopped it. The names in `options` are taken to be checked. A graph that breaks the
/// rules of the stage after a pass is a fault of that pass: KILN_CHECK. With passes disabled only the rules of Stage::imported are held.
/// Errors: what passes report; cannot_write for `dump_dir`.
Result<bool> run_graph_passes(Graph& graph, PassContext& context, std::span<const GraphPass> passes, const GraphPassOptions& options);

}  // namespace kiln
