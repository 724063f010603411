// SPDX-License-Identifier: Apache-2.0
#include "passes/pass_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "compiler/ir/dot.h"
#include "compiler/ir/print.h"
#include "compiler/support/check.h"
#include "compiler/support/files.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

std::string print_for_people(const Graph& graph) {
  PrintOptions options;
  options.elide_constants = true;
  return print_graph(graph, options);
}

Status dump(const Graph& graph, const fs::path& directory, size_t number, std::string_view name) {
  if (directory.empty()) return Done{};
  std::error_code ec;
  fs::create_directories(directory, ec);  // a failure shows when the file is written
  std::string stem = fmt::format("{:02}-{}", number, name);
  if (Status s = write_file(directory / (stem + ".txt"), print_graph(graph)); !s) return s;
  return write_file(directory / (stem + ".dot"), graph_to_dot(graph));
}

bool listed(const std::vector<std::string>& list, std::string_view name) { return std::find(list.begin(), list.end(), name) != list.end(); }

}  // namespace

Status check_pass_names(const GraphPassOptions& options, std::span<const GraphPass> passes, std::span<const std::string_view> other) {
  std::vector<std::string_view> known;
  for (const GraphPass& pass : passes) known.push_back(pass.name);
  known.insert(known.end(), other.begin(), other.end());
  std::vector<std::string_view> wanted(options.disabled.begin(), options.disabled.end());
  if (!options.stop_after.empty()) wanted.push_back(options.stop_after);
  for (const std::string& name : options.print_after)
    if (name != "all") wanted.push_back(name);
  for (std::string_view name : wanted)
    if (std::find(known.begin(), known.end(), name) == known.end())
      return error(DiagId::unknown_pass, fmt::format("there is no pass '{}'.", name), fmt::format("the passes are {}.", fmt::join(known, ", ")));
  return Done{};
}

Result<bool> run_graph_passes(Graph& graph, PassContext& context, std::span<const GraphPass> passes, const GraphPassOptions& options) {
  using Clock = std::chrono::steady_clock;
  if (Status s = dump(graph, options.dump_dir, 0, "imported"); !s) return std::move(s).diagnostic();
  size_t number = 0;
  for (const GraphPass& pass : passes) {
    ++number;
    if (listed(options.disabled, pass.name)) continue;
    CheckContext check_context(fmt::format("pass {}", pass.name), [&] { return print_for_people(graph); });
    Clock::time_point start = Clock::now();
    Result<bool> changed = pass.run(graph, context);
    std::chrono::duration<double, std::milli> elapsed = Clock::now() - start;
    if (!changed) return std::move(changed).diagnostic();
    Status valid = verify(graph, options.disabled.empty() ? pass.stage_after : Stage::imported);
    KILN_CHECK(valid.ok(), fmt::format("after {}: {}", pass.name, valid.diagnostic().message));
    if (options.time_passes) fmt::print(options.log, "{:<24} {:>9.3f} ms{}\n", pass.name, elapsed.count(), *changed ? "" : "  (unchanged)");
    if (listed(options.print_after, "all") || listed(options.print_after, pass.name))
      fmt::print(options.log, "; after {}{}\n", pass.name, *changed ? "\n" + print_for_people(graph) : " (unchanged)");
    if (*changed)
      if (Status s = dump(graph, options.dump_dir, number, pass.name); !s) return std::move(s).diagnostic();
    if (options.stop_after == pass.name) return true;
  }
  return false;
}

}  // namespace kiln
