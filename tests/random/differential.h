// SPDX-License-Identifier: Apache-2.0
// One model, computed in several ways that must agree: ONNX Runtime; the evaluation of the imported graph (the reference); that of the
// graph after the passes, and after some of them; the emitted code with passes, and without.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/runner/harness_image.h"
#include "generator.h"

namespace kiln::test {

enum class Way { onnxruntime, passes, some_passes, emitted, emitted_without_passes };
std::string_view way_name(Way way);

/// A model that is refused, or a way that does not agree with the reference.
struct Finding {
  enum class Kind { refused, invalid, differs, fails } kind;
  std::optional<Way> way;  ///< none: import or evaluation
  std::string text;
  double absolute = HUGE_VAL, relative = HUGE_VAL;  ///< of differences: the worst one, and that by what is expected
};

struct DifferentialOptions {
  std::string target = "host", cpu = {};
  BuildOptions build{.compiler = {}, .flags = {"-O0"}};
  bool emitted = true;      ///< build and run emitted code
  bool onnxruntime = true;  ///< where it is installed
  size_t batch = 60;        ///< models in one program
  /// Called before the turn of each graph, and of all of a batch together: with their names and how many they are.
  std::function<void(const std::string&, size_t)> begin = [](const std::string&, size_t) {};
};

/// What a run of many models has come to.
struct Totals {
  int graphs = 0, refused = 0;
  int against_onnxruntime = 0, against_emitted = 0;
  std::map<std::string, int> passes;             ///< how many graphs each pass has changed
  std::map<std::string, int> families;           ///< how many kernel calls each family has
  std::map<std::string, int> onnxruntime_lacks;  ///< models that ONNX Runtime does not compute, by what it says
  std::map<std::string, int> excepted;           ///< differences that kOrtDefects explains, by reason
};

/// The findings of each graph, mostly none.
std::vector<std::vector<Finding>> compare_ways(const std::vector<RandomGraph>& graphs, const DifferentialOptions& options, Totals& totals);

}  // namespace kiln::test
