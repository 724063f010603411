// SPDX-License-Identifier: Apache-2.0
// For tests that use kiln as a user does.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"

namespace kiln::test {

/// Runs the built kiln in `folder`.
inline ProcessResult kiln_in(const std::filesystem::path& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), KILN_BINARY);
  Result<ProcessResult> result = run_process(arguments, folder);
  REQUIRE(result.ok());
  return *std::move(result);
}
inline ProcessResult kiln_command(std::vector<std::string> arguments) { return kiln_in(".", std::move(arguments)); }

inline TemporaryFolder temporary_folder() {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  return *std::move(folder);
}

/// What the model compiles to; on the heap, since built bundles refer to it.
inline std::unique_ptr<Compiled> compile(const CompileOptions& options) {
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_model(options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(compiled);
  return std::make_unique<Compiled>(*std::move(compiled));
}

}  // namespace kiln::test
