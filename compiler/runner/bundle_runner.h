// SPDX-License-Identifier: Apache-2.0
// Emitted code, run: a bundle is built together with a harness that feeds it, for this machine or for a board in QEMU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/program/program.h"
#include "compiler/runner/harness_image.h"

namespace kiln {

struct RunOptions {
  uint32_t traced_sets = 0;                          ///< for the first so many sets, the result of every step is returned
  uint32_t sequence_steps = 1;                       ///< of a model that keeps state: it is reset before every so many sets
  bool poison = false;                               ///< between steps, arena bytes that no live buffer uses are overwritten
  uint32_t timed_runs = 0;                           ///< further runs that are timed: with the first set, on a board with each
  std::vector<std::string> emulator_arguments = {};  ///< further ones for a board's emulator
  uint32_t arena_shortfall = 0;                      ///< bytes that the arena is made too small by, for tests
};

struct RunResult {
  std::vector<std::vector<Tensor>> outputs;       ///< [set][model output]
  std::vector<std::vector<Tensor>> step_results;  ///< [traced set][step]: the first output of its call
  int64_t median_nanoseconds = 0;                 ///< of a timed run
  int64_t stack_bytes = 0;                        ///< on a board: what the first set's run used, when it was not traced
  // On a board, with timed_runs:
  std::vector<int64_t> instructions;       ///< [set]: of a run; on Cortex-M to within a tick of SysTick / timed_runs
  std::vector<int64_t> step_instructions;  ///< [step] with the first set, when the build is traced
};

/// A built bundle. Its files are deleted with it. It refers to the Program it was built from.
class BuiltBundle {
 public:
  /// `bundle`: the files that emit_bundle made of `program` for `target`. Errors: bad_usage for a compiler that the target does not have,
  /// tool_missing without a compiler, tool_failed when it fails.
  static Result<BuiltBundle> build(const Program& program, const Target& target, const std::vector<OutputFile>& bundle,
                                   const BuildOptions& options);

  /// Runs every set of `inputs` (in the order of Program::inputs, with their types). Errors: tool_failed when the code ends in any way but
  /// its own.
  Result<RunResult> run(const std::vector<std::vector<Tensor>>& inputs, const RunOptions& options) const;

  /// The commands that built it, one per line.
  [[nodiscard]] const std::string& commands() const { return image_.commands(); }

 private:
  BuiltBundle(HarnessImage image, const Program& program, bool traced) : image_(std::move(image)), program_(program), traced_(traced) {}

  HarnessImage image_;
  const Program& program_;
  bool traced_;
};

}  // namespace kiln
