// SPDX-License-Identifier: Apache-2.0
// How the files of a bundle are compiled: the parts that building for this machine, for boards and for reports of sizes share.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/program/target.h"
#include "compiler/support/files.h"

namespace kiln {

/// Where builds put the bundle, relative to their folder.
constexpr const char* kBundleFolder = "bundle";

/// The emitted sources, relative to the folder of the build.
std::vector<std::string> bundle_sources(const std::vector<OutputFile>& bundle);

/// The target's compiler `name`, or the first of its compilers that is installed when that is empty: one and the same for all that is built,
/// run and measured. Errors: bad_usage, naming those there are; tool_missing.
Result<CrossCompiler> find_cross_compiler(const Target& target, const std::string& name);

/// What compiles sources, which have to be appended, to objects in the current folder; `flags` stand behind those of the target.
std::vector<std::string> object_command(const Target& target, const CrossCompiler& compiler, const std::vector<std::string>& flags);

/// Runs one command of a build in `folder`. Errors: tool_failed with the first lines of what the command said, and `hint`.
Status run_build_step(const std::vector<std::string>& command, const std::filesystem::path& folder, const std::string& hint);

void append_words(std::vector<std::string>& command, const std::vector<std::string>& words);

/// The first lines of a tool's output: the first error says more than its consequences.
std::string first_lines(const std::string& text, size_t count);

}  // namespace kiln
