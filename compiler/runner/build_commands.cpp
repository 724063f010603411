// SPDX-License-Identifier: Apache-2.0
#include "compiler/runner/build_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/runner/process.h"

namespace kiln {
namespace fs = std::filesystem;

std::vector<std::string> bundle_sources(const std::vector<OutputFile>& bundle) {
  std::vector<std::string> sources;
  for (const OutputFile& file : bundle)
    if (file.path.find('/') == std::string::npos && fs::path(file.path).extension() == ".cpp")
      sources.push_back(fmt::format("{}/{}", kBundleFolder, file.path));
  return sources;
}

Result<CrossCompiler> find_cross_compiler(const Target& target, const std::string& name) {
  std::vector<std::string> names, commands, packages;
  for (const CrossCompiler& compiler : target.compilers) {
    names.push_back(compiler.name);
    if (!name.empty() && compiler.name != name) continue;
    if (find_program(compiler.command)) return compiler;
    commands.push_back(compiler.command);
    packages.push_back("apt install " + compiler.package);
  }
  if (commands.empty())
    return error(DiagId::bad_usage, fmt::format("--compiler {}: {} is built with {}.", name, target.name, fmt::join(names, " or ")));
  return error(
      DiagId::tool_missing,
      fmt::format("{} not in PATH: code for {} cannot be built.",
                  commands.size() == 1 ? fmt::format("'{}' is", commands[0]) : fmt::format("'{}' are", fmt::join(commands, "' and '")),
                  target.name),
      fmt::format("{}", fmt::join(packages, ", or ")));
}

std::vector<std::string> object_command(const Target& target, const CrossCompiler& compiler, const std::vector<std::string>& flags) {
  std::vector<std::string> command{compiler.command};
  append_words(command,
               {"-c", "-std=c++17", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-ffunction-sections", "-fdata-sections", "-I."});
  append_words(command, compiler.flags);
  append_words(command, target.compile_flags);
  append_words(command, flags);
  return command;
}

Status run_build_step(const std::vector<std::string>& command, const fs::path& folder, const std::string& hint) {
  Result<ProcessResult> compiled = run_process(command, folder);
  if (!compiled) return compiled.diagnostic();
  if (compiled->ok()) return Done{};
  return error(DiagId::tool_failed,
               fmt::format("'{}' cannot build the emitted code: {}", command.front(), first_lines(compiled->output, 20)), hint);
}

void append_words(std::vector<std::string>& command, const std::vector<std::string>& words) {
  command.insert(command.end(), words.begin(), words.end());
}

std::string first_lines(const std::string& text, size_t count) {
  size_t end = 0;
  for (size_t i = 0; i < count && end < text.size(); ++i) end = std::min(text.find('\n', end), text.size() - 1) + 1;
  return text.substr(0, end);
}

}  // namespace kiln
