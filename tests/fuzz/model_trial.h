// SPDX-License-Identifier: Apache-2.0
// The whole compiler on a model that may be damaged, within one process: it must end soon, with little memory, and with emitted files or
// with messages that fit the exit codes 2 and 3.
//
// A crash, a failed check, a sanitizer's report or a hang ends the process; which mutant it was is printed, and its bytes are left in
// kiln-mutant.onnx in the system's temporary folder.
#pragma once

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>

#include "compiler/emit/bundle.h"
#include "compiler/ir/verify.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/pipeline/test_vectors.h"
#include "compiler/support/files.h"

#if defined(__SANITIZE_ADDRESS__)
#define KILN_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KILN_TEST_SANITIZED 1
#endif
#endif
#ifndef KILN_TEST_SANITIZED
#define KILN_TEST_SANITIZED 0
#endif

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace kiln::test {

constexpr bool kSanitized = KILN_TEST_SANITIZED;

/// Whether a ModelTrial takes over the process's signals. libFuzzer has its own.
enum class Watch { signals, nothing };

class ModelTrial {
 public:
  static constexpr double kMostSeconds = kSanitized ? 20 : 2;
  /// Of the process, at its peak; sanitizers have memory of their own.
  static constexpr int64_t kMostBytes = int64_t{512} << 20;

  explicit ModelTrial(Watch watch = Watch::signals) : watch_(watch) {
    if (watch == Watch::nothing) return;
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
      if (!kSanitized) std::signal(signal, on_signal);
    std::signal(SIGPROF, on_signal);
    static const bool once = [] {
      std::atexit(dump);
      if (kSanitized && __sanitizer_set_death_callback) __sanitizer_set_death_callback(dump);
      return true;
    }();
    static_cast<void>(once);
  }

  /// What is wrong with kiln, or an empty text. `label` says which mutant it is.
  std::string run(const std::string& bytes, const std::string& label) {
    current_bytes = &bytes;
    current_label = &label;
    watch_for(10 * kMostSeconds);  // a slow one is reported by its time, only an endless one ends the run
    const double start = seconds_used();
    std::string problem = compile(bytes);
    const double seconds = seconds_used() - start;
    watch_for(0);
    if (problem.empty() && seconds > kMostSeconds) problem = fmt::format("it took {:.1f} s", seconds);
    const int64_t peak = peak_bytes();
    if (problem.empty() && !kSanitized && peak > kMostBytes && peak > peak_) problem = fmt::format("the process took {} bytes", peak);
    peak_ = std::max(peak_, peak);
    if (!problem.empty()) save();
    current_bytes = nullptr;
    return problem;
  }
  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] int64_t peak() const { return peak_; }

  /// The peak of the process's resident memory.
  static int64_t peak_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return int64_t{1024} * usage.ru_maxrss;
  }

 private:
  /// Of the processor, since other work on the machine must not count.
  static double seconds_used() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
  }
  void watch_for(double seconds) const {
    if (watch_ == Watch::nothing) return;
    itimerval timer{};
    timer.it_value.tv_sec = static_cast<time_t>(seconds);
    setitimer(ITIMER_PROF, &timer, nullptr);
  }

  std::string compile(const std::string& bytes) {
    Diagnostics diagnostics;
    std::optional<ImportedModel> model = import_model_bytes(bytes, folder_.path() / "mutant.onnx", {}, diagnostics);
    if (model.has_value() == diagnostics.has_errors()) return "result and messages of the import disagree";
    if (model)
      if (Status s = verify(model->graph); !s) return s.diagnostic().message;
    std::optional<Compiled> compiled;
    if (model) compiled = compile_graph(*std::move(model), {}, diagnostics);
    if (compiled.has_value() == diagnostics.has_errors()) return "result and messages disagree";
    for (const Diagnostic& d : diagnostics.all())
      if (d.message.empty() || d.message.back() != '.') return fmt::format("no proper message: '{}'", d.message);
    if (!compiled) {
      const ExitCode code = diagnostics.exit_code();
      return code == ExitCode::bad_model || code == ExitCode::unsupported ? "" : fmt::format("exit code {}", static_cast<int>(code));
    }
    ++accepted_;
    BundleOptions options;
    if (Result<std::vector<TestVector>> vectors = make_test_vectors(*compiled, 1)) options.vectors = *std::move(vectors);
    return emit_bundle(compiled->program, compiled->target, compiled->info, options).empty() ? "no files" : "";
  }

  static void save() { static_cast<void>(write_file(std::filesystem::temp_directory_path() / "kiln-mutant.onnx", *current_bytes)); }
  static void dump() {
    if (!current_bytes) return;
    fmt::print(stderr, "\nwhile it compiled {}\n", *current_label);
    save();
    current_bytes = nullptr;
  }
  static void on_signal(int number) {
    dump();
    fmt::print(stderr, "ended by signal {}\n", number);
    _exit(1);
  }

  static inline const std::string *current_bytes = nullptr, *current_label = nullptr;
  Watch watch_;
  TemporaryFolder folder_ = *TemporaryFolder::create();
  int accepted_ = 0;
  int64_t peak_ = peak_bytes();
};

}  // namespace kiln::test
