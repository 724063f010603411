// SPDX-License-Identifier: Apache-2.0
// A program that runs emitted code: the harness and what it calls, built for this machine or for a board in QEMU.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/program/target.h"
#include "compiler/support/files.h"

namespace kiln {

struct BuildOptions {
  /// For this machine a command, with arguments if need be; empty: $CXX, else c++, g++ or clang++ of $PATH. For a board the name of one of
  /// the target's compilers ("clang"); empty: the first of them that is installed.
  std::string compiler = {};
  std::vector<std::string> flags = {};  ///< of the compiler, behind the target's own: "-O3"
  bool sanitize = false;                ///< AddressSanitizer and UndefinedBehaviorSanitizer; any finding ends the run
  bool traced = false;                  ///< needed for RunOptions::traced_sets and poison

  [[nodiscard]] bool is_given() const { return !compiler.empty() || !flags.empty(); }
};

/// What the harness calls.
struct HarnessedCode {
  struct Port {
    std::string body;  ///< of a function from void* arena to void*: "return kws_input_x(arena);"
    int64_t bytes;
  };
  std::string header;  ///< that declares everything, relative to the folder of the build
  int64_t arena_bytes = 0, arena_align = 16;
  size_t steps = 0;
  std::vector<Port> inputs, outputs;
  std::string run;         ///< the name of a function of void* arena
  std::string reset = {};  ///< another; empty when nothing is kept between runs
};

/// Its files are deleted with it.
class HarnessImage {
 public:
  /// `bundle`: files, put into kBundleFolder, of which the .cpp that lie in no folder of their own are compiled.
  /// Errors: bad_usage for a compiler that the target does not have, tool_missing without a compiler, tool_failed when it fails.
  static Result<HarnessImage> build(const Target& target, const std::vector<OutputFile>& bundle, const HarnessedCode& code,
                                    const BuildOptions& options);

  /// The bytes of RESULT for those of JOB (harness.cpp). Errors: tool_failed when the code ends in any way but its own.
  Result<std::string> run(std::string_view job, const std::vector<std::string>& emulator_arguments) const;

  /// The commands that built it, one per line.
  [[nodiscard]] const std::string& commands() const { return commands_; }
  [[nodiscard]] bool on_board() const { return !emulator_.empty(); }

 private:
  explicit HarnessImage(TemporaryFolder folder) : folder_(std::move(folder)) {}

  TemporaryFolder folder_;
  std::string commands_;
  std::vector<std::string> emulator_;  ///< in front of the image; empty: it runs here
};

}  // namespace kiln
