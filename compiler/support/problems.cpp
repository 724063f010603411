// SPDX-License-Identifier: Apache-2.0
#include "compiler/support/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "compiler/support/files.h"
#include "compiler/support/terminal.h"

namespace kiln {
namespace {

constexpr size_t kNodesNamed = 3;

/// 0 for what stands in the order in which it was found, then what is not supported, at the end what was not looked at.
int place(const Problem& p) {
  if (p.said.id == DiagId::unsupported_node && p.said.severity == Severity::note) return 2;
  return p.said.severity == Severity::error && diagnostic_exit_code(p.said.id) == ExitCode::unsupported;
}

/// "'conv1' (Conv)" -> name and type.
std::pair<std::string, std::string> name_and_type(const std::string& node) {
  const size_t end = node.rfind("' (");
  if (end == std::string::npos || node.size() < end + 4) return {node, ""};
  return {node.substr(1, end - 1), node.substr(end + 3, node.size() - end - 4)};
}

}  // namespace

std::vector<Problem> list_problems(const Diagnostics& diagnostics) {
  std::vector<Problem> problems;
  std::map<std::tuple<DiagId, Severity, std::string, std::string, std::string>, size_t> known;
  for (const Diagnostic& d : diagnostics.all()) {
    if (d.node.empty()) {
      problems.push_back({d, {}});
      continue;
    }
    auto [it, added] = known.emplace(std::tuple(d.id, d.severity, d.message, d.hint, d.file), problems.size());
    if (added) problems.push_back({d, {}});
    problems[it->second].nodes.push_back(d.node);
  }
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    if (place(a) != place(b)) return place(a) < place(b);
    return place(a) == 1 && diagnostic_code(a.said.id) < diagnostic_code(b.said.id);
  });
  return problems;
}

std::string to_string(const Problem& problem) {
  if (problem.nodes.size() < 2) return to_string(problem.said);
  Diagnostic said = problem.said;
  const size_t named = std::min(kNodesNamed, problem.nodes.size()), more = problem.nodes.size() - named;
  std::string nodes = fmt::format("{}", fmt::join(problem.nodes.begin(), problem.nodes.begin() + static_cast<std::ptrdiff_t>(named), ", "));
  if (more > 0) nodes += fmt::format(" and {} more", more);
  said.message = fmt::format("nodes {}: {}", nodes, said.message);
  said.node.clear();
  return to_string(said);
}

std::string problems_json(const Diagnostics& diagnostics) {
  nlohmann::ordered_json j;
  j["schema_version"] = 1;
  j["kiln_version"] = KILN_VERSION;
  j["exit_code"] = static_cast<int>(diagnostics.exit_code());
  j["messages"] = nlohmann::ordered_json::array();
  constexpr const char* kSeverities[] = {"note", "warning", "error"};
  for (const Problem& p : list_problems(diagnostics)) {
    nlohmann::ordered_json row;
    row["severity"] = kSeverities[static_cast<size_t>(p.said.severity)];
    row["code"] = diagnostic_code(p.said.id);
    row["message"] = p.said.message;
    row["hint"] = p.said.hint;
    row["file"] = p.said.file;
    row["nodes"] = nlohmann::ordered_json::array();
    for (const std::string& node : p.nodes) {
      const auto [name, type] = name_and_type(node);
      row["nodes"].push_back({{"name", name}, {"type", type}});
    }
    j["messages"].push_back(std::move(row));
  }
  // Names of nodes are checked to be UTF-8; paths need not be.
  return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

ExitCode write_problems(const std::string& file, const Diagnostics& diagnostics, const Terminal& terminal) {
  if (file == "-")
    fmt::print("{}", problems_json(diagnostics));
  else if (!file.empty())
    if (Status s = write_file(file, problems_json(diagnostics)); !s) return terminal.fail(s.diagnostic());
  return diagnostics.exit_code();
}

}  // namespace kiln
