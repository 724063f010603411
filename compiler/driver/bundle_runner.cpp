// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/bundle_runner.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "compiler/driver/build_commands.h"
#include "compiler/driver/harness/harness.h"
#include "compiler/driver/process.h"
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

/// What harness.cpp needs to know of the bundle.
std::string harness_bundle_header(const Program& program) {
  std::string upper = program.name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  CodeWriter out;
  out.linef("#include \"{}/{}.h\"", kBundleFolder, program.name);
  out.line("#include <stddef.h>");
  out.line("#include <stdint.h>");
  out.linef("constexpr size_t kArenaBytes = {0}_ARENA_BYTES, kArenaAlign = {0}_ARENA_ALIGN, kSteps = {1};", upper, program.steps.size());
  out.line("struct Port { void* (*at)(void* arena); size_t bytes; };");
  out.line("struct Ports {");
  out.line("  const Port* first;");
  out.line("  size_t count;");
  out.line("  const Port* begin() const { return first; }");
  out.line("  const Port* end() const { return first + count; }");
  out.line("};");
  out.line("const Port kInputList[] = {");
  for (const IoTensor& io : program.inputs)
    out.linef("  {{[](void* arena) -> void* {{ return {}_input_{}(arena); }}, {}}},", program.name, io.c_name,
              program.tensor(io.tensor).type.bytes());
  out.line("  {nullptr, 0}};");
  out.linef("const Ports kInputs = {{kInputList, {}}};", program.inputs.size());
  out.line("const Port kOutputList[] = {");
  for (const IoTensor& io : program.outputs) {
    const TensorType& type = program.tensor(io.tensor).type;
    out.linef("  {{[](void* arena) -> void* {{ return const_cast<{}*>({}_output_{}(arena)); }}, {}}},", dtype_c_name(type.dtype),
              program.name, io.c_name, type.bytes());
  }
  out.line("  {nullptr, 0}};");
  out.linef("const Ports kOutputs = {{kOutputList, {}}};", program.outputs.size());
  out.linef("constexpr void (*run_bundle)(void*) = &{}_run;", program.name);
  out.linef("inline void reset_bundle(void* arena) {{ {}(arena); }}", program.states.empty() ? "(void)" : program.name + "_reset");
  return std::move(out).text();
}

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Offsets and sizes of the arena bytes that no buffer alive across the start of `step` uses.
std::vector<std::pair<uint32_t, uint32_t>> dead_ranges(const Program& program, const std::vector<Lifetime>& lives, int64_t step) {
  std::vector<std::pair<int64_t, int64_t>> used;
  for (size_t i = 0; i < lives.size(); ++i) {
    if (lives[i].first >= step || lives[i].last < step) continue;
    const ProgramTensor& t = program.tensor(TensorId{static_cast<uint32_t>(i)});
    used.emplace_back(t.arena_offset, t.arena_offset + t.type.bytes());
  }
  used.emplace_back(program.memory.arena_bytes, program.memory.arena_bytes);
  std::sort(used.begin(), used.end());
  std::vector<std::pair<uint32_t, uint32_t>> dead;
  int64_t at = 0;
  for (auto [begin, end] : used) {
    if (begin > at) dead.emplace_back(static_cast<uint32_t>(at), static_cast<uint32_t>(begin - at));
    at = std::max(at, end);
  }
  return dead;
}

/// See harness.cpp.
std::string job_bytes(const Program& program, const std::vector<std::vector<Tensor>>& inputs, const RunOptions& options) {
  std::string job;
  for (uint32_t number : {static_cast<uint32_t>(inputs.size()), options.traced_sets, options.timed_runs,
                          static_cast<uint32_t>(options.poison), options.arena_shortfall, options.sequence_steps})
    append(job, number);
  if (options.poison) {
    std::vector<Lifetime> lives = lifetimes(program);
    for (int64_t step = 0; step <= static_cast<int64_t>(program.steps.size()); ++step) {
      std::vector<std::pair<uint32_t, uint32_t>> ranges = dead_ranges(program, lives, step);
      append(job, static_cast<uint32_t>(ranges.size()));
      for (auto [offset, bytes] : ranges) {
        append(job, offset);
        append(job, bytes);
      }
    }
  }
  for (const std::vector<Tensor>& set : inputs) {
    KILN_CHECK(set.size() == program.inputs.size(), "an input set has a wrong number of tensors");
    for (size_t i = 0; i < set.size(); ++i) {
      const TensorType& type = program.tensor(program.inputs[i].tensor).type;
      KILN_CHECK(set[i].type.dtype == type.dtype && set[i].type.shape == type.shape, "an input tensor has a wrong type");
      job.append(reinterpret_cast<const char*>(set[i].bytes().data()), set[i].bytes().size());
    }
  }
  return job;
}

/// Reads tensors one after the other from the harness's result.
class ResultReader {
 public:
  explicit ResultReader(std::string_view bytes) : rest_(bytes) {}
  Tensor tensor(const TensorType& type) {
    Tensor t(TensorType{type.dtype, type.shape, type.quant});
    read(t.bytes().data(), t.bytes().size());
    return t;
  }
  void read(void* to, size_t bytes) {
    KILN_CHECK(bytes <= rest_.size(), "the harness's result is too short");
    if (bytes) std::memcpy(to, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
  }

 private:
  std::string_view rest_;
};

RunResult parse_result(const Program& program, std::string_view bytes, size_t sets, const RunOptions& options, bool from_board, bool traced) {
  ResultReader reader(bytes);
  RunResult result;
  for (size_t set = 0; set < sets; ++set) {
    if (set < options.traced_sets) {
      std::vector<Tensor>& steps = result.step_results.emplace_back();
      for (const Step& step : program.steps) steps.push_back(reader.tensor(program.tensor(step.call.outputs.front()).type));
    }
    std::vector<Tensor>& outputs = result.outputs.emplace_back();
    for (const IoTensor& io : program.outputs) outputs.push_back(reader.tensor(program.tensor(io.tensor).type));
  }
  reader.read(&result.median_nanoseconds, sizeof result.median_nanoseconds);
  if (!from_board) return result;
  reader.read(&result.stack_bytes, sizeof result.stack_bytes);
  if (options.timed_runs == 0) return result;
  result.instructions.resize(sets);
  for (size_t set = sets; set-- > 0;) reader.read(&result.instructions[set], sizeof(int64_t));
  result.step_instructions.resize(traced ? program.steps.size() : 0);
  reader.read(result.step_instructions.data(), result.step_instructions.size() * sizeof(int64_t));
  return result;
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
Result<std::vector<std::vector<std::string>>> host_commands(const Target& target, const std::vector<OutputFile>& bundle, const BuildOptions& options) {
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
Result<std::vector<std::vector<std::string>>> board_commands(const Target& target, const std::vector<OutputFile>& bundle, const BuildOptions& options) {
  Result<CrossCompiler> chosen = find_cross_compiler(target, options.compiler);
  if (!chosen) return std::move(chosen).diagnostic();
  const CrossCompiler& cross = *chosen;
  const std::string& emulator = target.board->emulator.front();
  for (const auto& [program, package] : {std::pair(cross.command, cross.package), std::pair(cross.linker, cross.package), std::pair(emulator, target.board->package)})
    if (!find_program(program))
      return error(DiagId::tool_missing, fmt::format("'{}', which builds or runs code for {}, is not in PATH.", program, target.name),
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

}  // namespace

Result<BuiltBundle> BuiltBundle::build(const Program& program, const Target& target, const std::vector<OutputFile>& bundle,
                                       const BuildOptions& options) {
  auto commands = target.board ? board_commands(target, bundle, options) : host_commands(target, bundle, options);
  if (!commands) return std::move(commands).diagnostic();
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder) return folder.diagnostic();
  BuiltBundle built(*std::move(folder), program, options.traced);
  const fs::path& root = built.folder_.path();
  if (Status s = write_folder(root / kBundleFolder, bundle); !s) return s.diagnostic();
  if (Status s = write_file(root / "harness_bundle.h", harness_bundle_header(program)); !s) return s.diagnostic();
  if (Status s = write_file(root / (target.board ? kDeviceSource : kHostSource), target.board ? kDeviceHarness : kHostHarness); !s) return s.diagnostic();
  if (target.board)
    for (const auto& [name, text] : target.board->files)
      if (Status s = write_file(root / name, text); !s) return s.diagnostic();
  for (const std::vector<std::string>& command : *commands) {
    built.commands_ += (built.commands_.empty() ? "" : "\n") + command_text(command);
    Status s = run_build_step(command, root,
                              target.board ? "GCC 12 and clang 19 are known to work." : "set CXX to another compiler; g++ 12 and clang 19 are known to work.");
    if (!s) return std::move(s).diagnostic();
  }
  if (target.board) built.emulator_ = target.board->emulator;
  return built;
}

Result<RunResult> BuiltBundle::run(const std::vector<std::vector<Tensor>>& inputs, const RunOptions& options) const {
  KILN_CHECK(traced_ || (options.traced_sets == 0 && !options.poison), "tracing needs a traced build");
  KILN_CHECK(options.sequence_steps > 0, "a sequence has steps");
  KILN_CHECK(options.timed_runs == 0 || !inputs.empty(), "timing needs an input set");
  const fs::path& root = folder_.path();
  if (Status s = write_file(root / "job", job_bytes(program_, inputs, options)); !s) return s.diagnostic();
  std::vector<std::string> command = emulator_;
  if (!emulator_.empty()) command.insert(command.begin() + 1, options.emulator_arguments.begin(), options.emulator_arguments.end());
  command.push_back((root / kBinary).string());
  if (emulator_.empty()) append_words(command, {"job", "result"});
  Result<ProcessResult> ran = run_process(command, root);
  if (!ran) return ran.diagnostic();
  if (!ran->ok()) return run_failure(*ran);
  Result<std::string> bytes = read_file(root / "result");
  if (!bytes) return bytes.diagnostic();
  return parse_result(program_, *bytes, inputs.size(), options, !emulator_.empty(), traced_);
}

}  // namespace kiln
