// SPDX-License-Identifier: Apache-2.0
#include "compiler/runner/footprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "compiler/objects/routine_archive.h"
#include "compiler/runner/build_commands.h"
#include "compiler/runner/process.h"

namespace kiln {
namespace fs = std::filesystem;
namespace {

/// Object code of the bundle.
Result<ObjectCode> compile_objects(const Program& program, const Target& target, const std::vector<OutputFile>& bundle,
                                   const CrossCompiler& compiler, const std::vector<std::string>& flags) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder) return std::move(folder).diagnostic();
  const fs::path& root = folder->path();
  if (Status s = write_folder(root / kBundleFolder, bundle); !s) return std::move(s).diagnostic();
  const bool clang = compiler.name == "clang";
  std::vector<std::string> command = object_command(target, compiler, flags);
  append_words(command, {clang ? "-fstack-size-section" : "-fstack-usage", "-DKILN_STACK_REPORT"});
  const std::vector<std::string> sources = bundle_sources(bundle);
  append_words(command, sources);
  if (Status s = run_build_step(command, root, "GCC 12 and clang 19 are known to work."); !s) return std::move(s).diagnostic();
  std::vector<ObjectInput> objects;
  for (const std::string& source : sources) {
    const std::string stem = fs::path(source).stem().string();
    Result<std::string> bytes = read_file(root / (stem + ".o"));
    if (!bytes) return std::move(bytes).diagnostic();
    ObjectInput& object = objects.emplace_back(ObjectInput{stem + ".o", *std::move(bytes), {}});
    if (clang || !fs::exists(root / (stem + ".su"))) continue;  // there is none for a source without functions
    Result<std::string> usage = read_file(root / (stem + ".su"));
    if (!usage) return std::move(usage).diagnostic();
    object.stack_usage = *std::move(usage);
  }
  return read_objects(objects, program.name + "::weights::");
}

/// The function of each step: <name>_run calls them in order.
std::vector<size_t> step_functions(const ObjectCode& code, const Program& program) {
  const CodeFunction* run = code.find(program.name + "_run");
  KILN_CHECK(run && run->calls.size() == program.steps.size(), "the object code does not call every layer once");
  std::vector<size_t> functions;
  for (const CodeCall& call : run->calls) functions.push_back(call.function.value());
  return functions;
}

/// `function` and all that it calls, into `found`.
void collect(const ObjectCode& code, size_t function, std::set<size_t>& found) {
  if (!found.insert(function).second) return;
  for (const CodeCall& call : code.functions[function].calls)
    if (call.function) collect(code, *call.function, found);
}

std::vector<int64_t> code_by_step(const ObjectCode& code, const std::vector<size_t>& steps) {
  std::set<size_t> known;
  std::vector<int64_t> bytes;
  for (size_t function : steps) {
    std::set<size_t> used;
    collect(code, function, used);
    int64_t& sum = bytes.emplace_back(0);
    for (size_t f : used)
      if (known.insert(f).second) sum += code.functions[f].bytes;
  }
  return bytes;
}

/// Flash of the routines, if the compiler's linker knows a library that has them.
std::optional<int64_t> measure_routines(const CrossCompiler& compiler, const std::vector<RoutineUse>& routines) {
  if (routines.empty()) return 0;
  if (!find_program(compiler.linker)) return std::nullopt;
  std::vector<std::string> command{compiler.linker};
  append_words(command, compiler.link_flags);
  command.emplace_back("-print-libgcc-file-name");
  Result<ProcessResult> printed = run_process(command, ".");
  if (!printed || !printed->ok()) return std::nullopt;
  Result<std::string> library = read_file(printed->output.substr(0, printed->output.find('\n')));
  if (!library) return std::nullopt;
  std::vector<std::string> symbols;
  for (const RoutineUse& use : routines) symbols.emplace_back(use.routine.symbol);
  Result<int64_t> bytes = archived_bytes(*library, symbols);
  return bytes ? std::optional(*bytes) : std::nullopt;
}

}  // namespace

bool can_measure(const Target& target) { return !target.compilers.empty(); }

Result<std::vector<RoutineUse>> find_routines(const ObjectCode& code, const std::vector<size_t>& steps) {
  std::map<std::string, std::vector<size_t>> users;
  for (size_t i = 0; i < steps.size(); ++i) {
    std::set<size_t> used;
    std::set<std::string> symbols;
    collect(code, steps[i], used);
    for (size_t f : used)
      for (const CodeCall& call : code.functions[f].calls)
        if (!call.function) symbols.insert(call.symbol);
    for (const std::string& symbol : symbols) users[symbol].push_back(i);
  }
  std::vector<RoutineUse> out;
  for (const std::string& symbol : code.undefined) {
    std::optional<RuntimeRoutine> routine = runtime_routine(symbol);
    if (!routine) {
      std::string where = users[symbol].empty() ? "" : fmt::format(", in layer {}", users[symbol].front() + 1);
      return error(
          DiagId::foreign_symbol,
          fmt::format("the emitted code needs '{}'{}, which is no routine that compilers bring along.", readable_symbol(symbol), where),
          "this is a fault of kiln; please report it with the model.");
    }
    out.push_back({*routine, users[symbol]});
  }
  return out;
}

Result<Footprint> measure_footprint(const Program& program, const Target& target, const std::vector<OutputFile>& bundle,
                                    const BuildOptions& build) {
  Result<CrossCompiler> compiler = find_cross_compiler(target, build.compiler);
  if (!compiler) return std::move(compiler).diagnostic();
  Result<ObjectCode> code = compile_objects(program, target, bundle, *compiler, build.flags);
  if (!code) return std::move(code).diagnostic();
  const std::vector<size_t> steps = step_functions(*code, program);
  Result<std::vector<RoutineUse>> routines = find_routines(*code, steps);
  if (!routines) return std::move(routines).diagnostic();
  Footprint out;
  out.compiler = compiler->command;
  out.flags = compiler->flags;
  append_words(out.flags, target.compile_flags);
  append_words(out.flags, build.flags);
  out.stack = stack_bound(*code, program.name + "_run");
  out.step_bytes = code_by_step(*code, steps);
  out.routines = *std::move(routines);
  out.routine_bytes = measure_routines(*compiler, out.routines);
  out.ram_bytes = program.memory.arena_bytes + code->data_bytes + code->zero_bytes;
  out.code = *std::move(code);
  return out;
}

}  // namespace kiln
