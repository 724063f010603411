// SPDX-License-Identifier: Apache-2.0
// The checked-in lists of what becomes of ONNX's official cases: tests/onnx/conformance/*.csv.
//
// A row is `case,state,inputs,operators,code,reason`.
//   state:      pass      evaluation and emitted code give the stored outputs
//               refused   import or compilation ends with exit code 3
//               excluded  the stored vectors are wrong; nothing is checked
//   inputs:     of a case that passes: how many inputs are read at run time, of how many; the others are initializers
//   operators:  ONNX operators that the row counts for: all of a model that passes, the one that is to blame for a refusal
//   code, reason: the first error of a refusal; why a case is excluded
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "compiler/support/files.h"

namespace kiln::test {

struct CaseRow {
  std::string state, inputs, operators, code, reason;
  bool operator==(const CaseRow&) const = default;
};

/// By the name of the case.
using CaseList = std::map<std::string, CaseRow>;

constexpr const char* kCaseListHead = "case,state,inputs,operators,code,reason\n";
constexpr const char* kHowToAccept = "to accept it: KILN_REBASE=1 build/bin/onnx_tests '[conformance]'";

inline std::filesystem::path case_list_path(const std::string& set) {
  return std::filesystem::path(KILN_SOURCE_DIR) / "tests/onnx/conformance" / (set + ".csv");
}

inline std::string case_line(const std::string& name, const CaseRow& row) {
  std::string reason = row.reason;
  for (size_t at = 0; (at = reason.find('"', at)) != std::string::npos; at += 2) reason.insert(at, 1, '"');
  return fmt::format("{},{},{},{},{},\"{}\"\n", name, row.state, row.inputs, row.operators, row.code, reason);
}

inline CaseList read_case_list(const std::string& set) {
  CaseList list;
  Result<std::string> text = read_file(case_list_path(set));
  if (!text) return list;
  std::istringstream in(text->substr(std::min(text->size(), std::string_view(kCaseListHead).size())));
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> fields(1);  // the first five have no commas; the last is quoted
    size_t at = 0;
    for (; at < line.size() && fields.size() < 6; ++at) {
      if (line[at] == ',') fields.emplace_back();
      else fields.back() += line[at];
    }
    REQUIRE(fields.size() == 6);
    for (++at; at + 1 < line.size(); ++at) {
      fields[5] += line[at];
      if (line[at] == '"') ++at;
    }
    list[fields[0]] = CaseRow{fields[1], fields[2], fields[3], fields[4], fields[5]};
  }
  return list;
}

inline void write_case_list(const std::string& set, const CaseList& list) {
  std::string text = kCaseListHead;
  for (const auto& [name, row] : list) text += case_line(name, row);
  REQUIRE(write_file(case_list_path(set), text).ok());
}

/// What differs between the checked-in list and a run, one line a case; empty when nothing does.
inline std::string list_changes(const CaseList& expected, const CaseList& actual) {
  auto say = [](const CaseRow& row) {
    return row.state == "pass" ? fmt::format("pass ({} inputs at run time)", row.inputs) : fmt::format("{} {} \"{}\"", row.state, row.code, row.reason);
  };
  std::string text;
  for (const auto& [name, row] : actual) {
    auto it = expected.find(name);
    if (it == expected.end()) text += fmt::format("{}: {}; the list does not have it\n", name, say(row));
    else if (!(it->second == row)) text += fmt::format("{}: {}; listed as {}\n", name, say(row), say(it->second));
  }
  for (const auto& [name, row] : expected)
    if (!actual.count(name)) text += fmt::format("{}: listed as {}, but there is no such case\n", name, say(row));
  return text;
}

}  // namespace kiln::test
