// SPDX-License-Identifier: Apache-2.0
#include "compiler/runner/harness_image.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <cstdlib>
#include <sstream>

#include "compiler/runner/build_commands.h"
#include "compiler/runner/harness/harness.h"
#include "compiler/runner/process.h"
#include "compiler/support/code_writer.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

constexpr const char* kBinary = "harness";
// With a hyphen, so that their objects cannot be named like those of a bundle, whose names are identifiers.
constexpr const char *kHostSource = "host-harness.cpp", *kDeviceSource = "device-harness.cpp";

std::vector<std::string> split_words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// The host's C++ compiler and its own arguments.
Result<std::vector<std::string>> find_compiler(std::string wish) {
  const char* variable = std::getenv("CXX");
  if (wish.empty() && variable) wish = variable;
  if (std::vector<std::string> words = split_words(wish); !words.empty()) {
    if (find_program(words[0])) return words;
    return error(DiagId::tool_missing, fmt::format("the C++ compiler '{}' is not there.", words[0]),
                 "set CXX to a compiler that builds for this machine.");
  }
  for (const char* name : {"c++", "g++", "clang++"})
    if (find_program(name)) return std::vector<std::string>{name};
  return error(DiagId::tool_missing, "no C++ compiler for this machine is in PATH (c++, g++ or clang++).", "install g++, or set CXX.");
}

Diagnostic run_failure(const ProcessResult& run) {
  if (run.signal == SIGILL)
    return error(DiagId::tool_failed, "this machine cannot run the emitted code: it lacks instructions of the chosen --cpu.",
                 "choose --cpu native.");
  std::string how = run.signal ? fmt::format("was ended by signal {} ({})", run.signal, strsignal(run.signal))
                               : fmt::format("ended with exit code {}", run.exit_code);
  return error(DiagId::tool_failed, fmt::format("the emitted code {}: {}", how, first_lines(run.output, 20)),
               "this is a fault of kiln; please report it with the model.");
}

/// What builds for this machine.
Result<std::vector<std::vector<std::string>>> host_commands(const Target& target, const std::vector<OutputFile>& bundle,
                                                            const BuildOptions& options) {
  Result<std::vector<std::string>> compiler = find_compiler(options.compiler);
  if (!compiler) return std::move(compiler).diagnostic();
  std::vector<std::string> command = *std::move(compiler);
  append_words(command, {"-std=c++17", "-O2"});
  append_words(command, target.compile_flags);
  append_words(command, options.flags);
  if (options.traced) command.emplace_back("-DKILN_TRACE");
  if (options.sanitize) append_words(command, {"-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"});
  command.emplace_back(kHostSource);
  append_words(command, bundle_sources(bundle));
  append_words(command, {"-o", kBinary});
  return std::vector<std::vector<std::string>>{std::move(command)};
}

/// What builds an image for a board: all sources to objects, then the image.
Result<std::vector<std::vector<std::string>>> board_commands(const Target& target, const std::vector<OutputFile>& bundle,
                                                             const BuildOptions& options) {
  Result<CrossCompiler> chosen = find_cross_compiler(target, options.compiler);
  if (!chosen) return std::move(chosen).diagnostic();
  const CrossCompiler& cross = *chosen;
  const std::string& emulator = target.board->emulator.front();
  for (const auto& [program, package] : {std::pair(cross.linker, cross.package), std::pair(emulator, target.board->package)})
    if (!find_program(program))
      return error(DiagId::tool_missing, fmt::format("'{}', which links or runs code for {}, is not in PATH.", program, target.name),
                   fmt::format("apt install {}", package));
  std::vector<std::string> sources = bundle_sources(bundle);
  sources.emplace_back(kDeviceSource);
  for (const auto& [name, text] : target.board->files)
    if (fs::path(name).extension() == ".cpp") sources.push_back(name);
  std::vector<std::string> flags = target.board->flags, link{cross.linker};
  append_words(flags, options.flags);
  std::vector<std::string> compile = object_command(target, cross, flags);
  if (options.traced) compile.emplace_back("-DKILN_TRACE");
  append_words(compile, sources);
  append_words(link, cross.link_flags);
  append_words(link, {"-nostartfiles", "-nostdlib", "-Wl,--gc-sections", "-T", "link.ld"});
  for (const std::string& source : sources) link.push_back(fs::path(source).stem().string() + ".o");
  append_words(link, {"-lgcc", "-o", kBinary});
  return std::vector<std::vector<std::string>>{std::move(compile), std::move(link)};
}

void write_ports(CodeWriter& out, const std::string& name, const std::vector<HarnessedCode::Port>& ports) {
  out.linef("const Port k{}List[] = {{", name);
  for (const HarnessedCode::Port& port : ports) out.linef("  {{[](void* arena) -> void* {{ {} }}, {}}},", port.body, port.bytes);
  out.line("  {nullptr, 0}};");
  out.linef("const Ports k{0}s = {{k{0}List, {1}}};", name, ports.size());
}

/// What harness.cpp needs to know of the code.
std::string bundle_header(const HarnessedCode& code) {
  CodeWriter out;
  out.linef("#include \"{}\"", code.header);
  out.line("#include <stddef.h>");
  out.line("#include <stdint.h>");
  out.linef("constexpr size_t kArenaBytes = {}, kArenaAlign = {}, kSteps = {};", code.arena_bytes, code.arena_align, code.steps);
  out.line("struct Port { void* (*at)(void* arena); size_t bytes; };");
  out.line("struct Ports {");
  out.line("  const Port* first;");
  out.line("  size_t count;");
  out.line("  const Port* begin() const { return first; }");
  out.line("  const Port* end() const { return first + count; }");
  out.line("};");
  write_ports(out, "Input", code.inputs);
  write_ports(out, "Output", code.outputs);
  out.linef("constexpr void (*run_bundle)(void*) = &{};", code.run);
  out.linef("inline void reset_bundle(void* arena) {{ {}(arena); }}", code.reset.empty() ? "(void)" : code.reset);
  return std::move(out).text();
}

}  // namespace

Result<HarnessImage> HarnessImage::build(const Target& target, const std::vector<OutputFile>& bundle, const HarnessedCode& code,
                                         const BuildOptions& options) {
  auto commands = target.board ? board_commands(target, bundle, options) : host_commands(target, bundle, options);
  if (!commands) return std::move(commands).diagnostic();
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder) return folder.diagnostic();
  HarnessImage built(*std::move(folder));
  const fs::path& root = built.folder_.path();
  if (Status s = write_folder(root / kBundleFolder, bundle); !s) return s.diagnostic();
  if (Status s = write_file(root / "harness_bundle.h", bundle_header(code)); !s) return s.diagnostic();
  if (Status s = write_file(root / (target.board ? kDeviceSource : kHostSource), target.board ? kDeviceHarness : kHostHarness); !s)
    return s.diagnostic();
  if (target.board)
    for (const auto& [name, text] : target.board->files)
      if (Status s = write_file(root / name, text); !s) return s.diagnostic();
  for (const std::vector<std::string>& command : *commands) {
    built.commands_ += (built.commands_.empty() ? "" : "\n") + command_text(command);
    Status s = run_build_step(
        command, root,
        target.board ? "GCC 12 and clang 19 are known to work." : "set CXX to another compiler; g++ 12 and clang 19 are known to work.");
    if (!s) return std::move(s).diagnostic();
  }
  if (target.board) built.emulator_ = target.board->emulator;
  return built;
}

Result<std::string> HarnessImage::run(std::string_view job, const std::vector<std::string>& emulator_arguments) const {
  const fs::path& root = folder_.path();
  if (Status s = write_file(root / "job", job); !s) return s.diagnostic();
  std::vector<std::string> command = emulator_;
  if (!emulator_.empty()) command.insert(command.begin() + 1, emulator_arguments.begin(), emulator_arguments.end());
  command.push_back((root / kBinary).string());
  if (emulator_.empty()) append_words(command, {"job", "result"});
  Result<ProcessResult> ran = run_process(command, root);
  if (!ran) return ran.diagnostic();
  if (!ran->ok()) return run_failure(*ran);
  return read_file(root / "result");
}

}  // namespace kiln
