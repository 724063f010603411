// SPDX-License-Identifier: Apache-2.0
// What is asked of a compilation.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "compiler/frontend/import.h"
#include "compiler/program/target.h"
#include "passes/pass_runner.h"

namespace kiln {

/// All that decides what a model is compiled to; the members of the command line are named by their options.
struct CompileOptions {
  std::filesystem::path model;
  ImportOptions import;
  bool integer_io = false;  ///< --io-dtype int8: quantized inputs and outputs are handed over as integers
  std::string name;         ///< --name: prefix of the API; empty: made from the file name
  std::string target = "host";
  std::string cpu;                                               ///< --cpu or --march; empty: the target's default
  Goal goal = Goal::speed;                                       ///< --optimize
  GraphPassOptions passes;                                       ///< how the passes are run and what they show
  std::filesystem::path dot;                                     ///< --dot: the graph after the graph passes; empty: not written
  std::function<void(const std::string& line)> explain_kernels;  ///< --explain kernels: told why each call got its kernel; null: nobody is
  bool reference_kernels = false;                                ///< the reference rows only
  bool wide_weights = false;                                     ///< --wide-weights: those of 16-bit models are stored as f32
};

}  // namespace kiln
