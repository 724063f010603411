// SPDX-License-Identifier: Apache-2.0
// Emitted code of many small models, built into one program and run: one process of the C++ compiler for all of them.
//
// The sources of the bundles are what `kiln compile` writes. Only the kernels are taken from runtime-stubs instead of each
// bundle's own copy, so that the compiler reads them once.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/process.h"
#include "tests/kiln_command.h"

namespace kiln::test {

/// A model to be run: its inputs per set, and what became of it.
struct EmittedCase {
  std::string name;  ///< an identifier
  std::vector<OutputFile> files;
  Program program;
  std::vector<std::vector<Tensor>> inputs;   ///< [set][model input]
  std::vector<std::vector<Tensor>> outputs;  ///< [set][model output]: the result
  std::string failure;                       ///< of the compiler or of the run; empty: `outputs` is complete
};

class EmittedBatch {
 public:
  explicit EmittedBatch(std::vector<EmittedCase> cases) : cases_(std::move(cases)) {}

  /// Builds and runs all cases. Those whose code does not compile are found by building each alone.
  void run() {
    if (std::string problem = build_and_run(cases_); problem.empty()) return;
    for (EmittedCase& c : cases_) {
      std::vector<EmittedCase> alone;
      alone.push_back(std::move(c));
      std::string problem = build_and_run(alone);
      c = std::move(alone.front());
      if (!problem.empty()) c.failure = problem;
    }
  }
  [[nodiscard]] const std::vector<EmittedCase>& cases() const { return cases_; }

 private:
  static std::string upper_case(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
  }

  static std::string ports(const EmittedCase& c, bool outputs) {
    std::string text;
    const Program& p = c.program;
    for (const IoTensor& io : outputs ? p.outputs : p.inputs) {
      const TensorType& type = p.tensor(io.tensor).type;
      text += fmt::format("  {{[](void* arena) -> void* {{ return const_cast<{0}*>({1}_{2}_{3}(arena)); }}, {4}}},\n",
                          dtype_c_name(type.dtype), p.name, outputs ? "output" : "input", io.c_name, type.bytes());
    }
    return fmt::format("const conformance::Port {}_{}s[] = {{\n{}  {{nullptr, 0}}}};\n", c.name, outputs ? "output" : "input", text);
  }

  static std::string main_source(const std::vector<EmittedCase>& cases) {
    std::string text = "#include \"tests/onnx/conformance_harness.h\"\n", table;
    for (const EmittedCase& c : cases) {
      text += fmt::format("#include \"{0}/{0}.cpp\"\n#include \"{0}/{0}_weights.cpp\"\n{1}{2}", c.name, ports(c, false), ports(c, true));
      table += fmt::format("  {{\"{0}\", {1}_ARENA_BYTES, {1}_ARENA_ALIGN, {2}, &{0}_run, {0}_inputs, {3}, {0}_outputs, {4}}},\n", c.name,
                           upper_case(c.name), c.inputs.size(), c.program.inputs.size(), c.program.outputs.size());
    }
    return fmt::format(
        "{}const conformance::Case kCases[] = {{\n{}}};\nint main(int argc, char** argv) {{ return conformance::run_cases(kCases, {}, "
        "argc, argv); }}\n",
        text, table, cases.size());
  }

  /// Why nothing could be run, or an empty text.
  static std::string build_and_run(std::vector<EmittedCase>& cases) {
    TemporaryFolder folder = *TemporaryFolder::create();
    for (const EmittedCase& c : cases) {
      std::vector<OutputFile> files;
      for (const OutputFile& file : c.files)
        if (file.path.starts_with(c.name)) files.push_back(file);
      if (Status s = write_folder(folder.path() / c.name, files); !s) return s.diagnostic().message;
    }
    if (Status s = write_file(folder.path() / "main.cpp", main_source(cases)); !s) return s.diagnostic().message;
    const char *flags = std::getenv("KILN_CONFORMANCE_FLAGS"), *source = KILN_SOURCE_DIR;
    Result<ProcessResult> built = run_process(
        {"sh", "-c",
         fmt::format("g++ -std=c++17 {} -I'{}' -I'{}/runtime-stubs' main.cpp -o program", flags ? flags : "-O1", source, source)},
        folder.path());
    if (!built) return built.diagnostic().message;
    if (!built->ok()) return "the emitted code does not compile: " + built->output.substr(0, 2000);
    size_t first = 0;
    while (first < cases.size()) first = run_from(first, folder.path(), cases);
    return {};
  }

  /// Runs the cases from `first` on; the number of the one behind the last that was run.
  static size_t run_from(size_t first, const std::filesystem::path& folder, std::vector<EmittedCase>& cases) {
    std::string inputs;
    for (size_t i = first; i < cases.size(); ++i)
      for (const std::vector<Tensor>& set : cases[i].inputs)
        for (const Tensor& t : set) inputs.append(reinterpret_cast<const char*>(t.bytes().data()), t.bytes().size());
    std::filesystem::remove(folder / "outputs");
    Status written = write_file(folder / "inputs", inputs);
    Result<ProcessResult> run = run_process({(folder / "program").string(), std::to_string(first), "inputs", "outputs"}, folder);
    Result<std::string> outputs = read_file(folder / "outputs");
    std::string failure = !written   ? written.diagnostic().message
                          : !run     ? run.diagnostic().message
                          : !outputs ? outputs.diagnostic().message
                                     : "";
    if (failure.empty() && !run->ok())
      failure = fmt::format("the emitted code ended with signal {} and exit code {}: {}", run->signal, run->exit_code, run->output);
    std::string_view rest = outputs ? std::string_view(*outputs) : std::string_view();
    for (; first < cases.size(); ++first)
      if (!take_outputs(cases[first], rest)) {
        cases[first].failure = failure.empty() ? "the emitted code wrote no outputs" : failure;
        return first + 1;
      }
    return first;
  }

  /// Cuts the outputs of a case from the front of `rest`; false when they are not all there.
  static bool take_outputs(EmittedCase& c, std::string_view& rest) {
    for (size_t set = 0; set < c.inputs.size(); ++set) {
      std::vector<Tensor>& tensors = c.outputs.emplace_back();
      for (const IoTensor& io : c.program.outputs) {
        Tensor t(TensorType{c.program.tensor(io.tensor).type.dtype, c.program.tensor(io.tensor).type.shape, {}});
        if (rest.size() < t.bytes().size()) return false;
        std::copy_n(reinterpret_cast<const std::byte*>(rest.data()), t.bytes().size(), t.bytes().begin());
        rest.remove_prefix(t.bytes().size());
        tensors.push_back(std::move(t));
      }
    }
    return true;
  }

  std::vector<EmittedCase> cases_;
};

/// Runs batches beside the caller, at most two at a time.
class BatchQueue {
 public:
  void add(std::vector<EmittedCase> cases) {
    if (cases.empty()) return;
    batches_.push_back(std::make_unique<EmittedBatch>(std::move(cases)));
    if (running_.size() - finished_ >= kTogether) running_[finished_++].wait();
    running_.push_back(std::async(std::launch::async, &EmittedBatch::run, batches_.back().get()));
  }
  /// All batches, after their end.
  const std::vector<std::unique_ptr<EmittedBatch>>& wait() {
    for (std::future<void>& f : running_)
      if (f.valid()) f.get();
    return batches_;
  }

 private:
  static constexpr size_t kTogether = 2;
  std::vector<std::unique_ptr<EmittedBatch>> batches_;
  std::vector<std::future<void>> running_;
  size_t finished_ = 0;
};

}  // namespace kiln::test
