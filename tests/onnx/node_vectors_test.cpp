// SPDX-License-Identifier: Apache-2.0
// The single-operator models of ONNX's backend tests, evaluated by the operators' `eval` hooks, against their stored outputs.
// A model passes, or it is refused with a message about what is not supported; wrong numbers, wrong types, internal errors
// and refusals for any other reason fail. Shapes and axes are inputs of many of these models, but kiln takes them as constants
// only: where the model as it stands is refused, its test inputs are made initializers, first all but the first, then all.
//
// Folders: onnx_node_tests in KILN_MODELS, or in ../shared/models beside the source, and those of Debian's package
// libonnx-testdata; each is skipped with a notice when absent.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <map>

#include "compiler/frontend/import.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/ops/evaluate.h"
#include "compiler/support/files.h"

using namespace kiln;
namespace fs = std::filesystem;

namespace {

// The relative tolerance of ONNX's own runner; some of its models hold pi as 3.14159.
constexpr double kAbsolute = 1e-5, kRelative = 1e-3;

/// Debian's vectors are of ONNX 1.12. Those of bf16 are stored as u16; the other one was corrected later.
bool has_wrong_vectors(const std::string& name) {
  return name.find("BFLOAT16") != std::string::npos || name == "test_resize_downsample_scales_linear_align_corners";
}

std::vector<fs::path> model_folders(const fs::path& root) {
  std::vector<fs::path> folders;
  if (!fs::exists(root)) return folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(root))
    if (fs::exists(entry.path() / "model.onnx")) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// The model with the inputs from `first` on as initializers whose values are those of test set `set`; or nothing when a value is no tensor.
std::optional<std::string> with_constant_inputs(const std::string& bytes, const fs::path& set, int first) {
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(bytes));
  for (int i = first; i < model.graph().input_size(); ++i) {
    Result<std::string> value = read_file(set / ("input_" + std::to_string(i) + ".pb"));
    onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
    if (!value || !model.graph().input(i).type().has_tensor_type() || !tensor->ParseFromString(*value)) return std::nullopt;
    tensor->set_name(model.graph().input(i).name());
  }
  return model.SerializeAsString();
}

/// NonMaxSuppression gives as many rows as its limit allows: those without a box, which the stored results do not have, are -1.
Tensor without_filler(const Tensor& actual, const Tensor& expected) {
  const Shape &shape = actual.type.shape, &wanted = expected.type.shape;
  if (actual.type.dtype != DType::i64 || shape.size() != 2 || wanted.size() != 2 || shape[1] != 3 || wanted[1] != 3 || wanted[0] >= shape[0]) return actual;
  const std::span<const int64_t> all = actual.as<int64_t>(), rows = all.first(static_cast<size_t>(expected.type.elements()));
  const bool filled = std::all_of(all.begin() + static_cast<std::ptrdiff_t>(rows.size()), all.end(), [](int64_t i) { return i == -1; });
  return filled ? Tensor::of<int64_t>(wanted, rows) : actual;
}

/// Why `actual` is not `expected`, or an empty text.
std::string difference(const Tensor& given, const Tensor& expected) {
  const Tensor actual = without_filler(given, expected);
  if (actual.type.dtype != expected.type.dtype || actual.type.shape != expected.type.shape)
    return to_string(actual.type) + " instead of " + to_string(expected.type);
  const std::vector<double> a = actual.to_doubles(), e = expected.to_doubles();
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i])) || std::fabs(a[i] - e[i]) <= kAbsolute + kRelative * std::fabs(e[i]);
    if (!same) return "element " + std::to_string(i) + " is " + std::to_string(a[i]) + " instead of " + std::to_string(e[i]);
  }
  return {};
}

struct Outcome {
  bool passed = false;
  std::string refusal;  ///< code of the message with which the model was refused
  std::string failure;  ///< what is wrong with kiln
};

/// Imports `model_path` and evaluates it on the inputs of `set` before number `first_constant`.
Outcome run_model(const fs::path& model_path, const TestSet& set, size_t first_constant) {
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model(model_path, {}, diagnostics);
  if (!model) {
    for (const Diagnostic& d : diagnostics.all())
      if (d.severity == Severity::error) return {false, std::string(diagnostic_code(d.id)), {}};
    return {false, {}, "refused without an error"};
  }
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < std::min(first_constant, set.inputs.size()); ++i) inputs.push_back(set.inputs[i].tensor);
  Result<std::vector<Tensor>> outputs = evaluate(model->graph, inputs);
  if (!outputs) return {false, {}, outputs.diagnostic().message};
  if (outputs->size() != set.outputs.size()) return {false, {}, std::to_string(outputs->size()) + " outputs"};
  for (size_t i = 0; i < outputs->size(); ++i)
    if (std::string what = difference((*outputs)[i], set.outputs[i].tensor); !what.empty()) return {false, {}, what};
  return {true, {}, {}};
}

Outcome run_folder(const fs::path& folder, const TestSet& set) {
  Outcome outcome = run_model(folder / "model.onnx", set, set.inputs.size());
  Result<std::string> bytes = read_file(folder / "model.onnx");
  Result<TemporaryFolder> temporary = TemporaryFolder::create();
  REQUIRE((bytes.ok() && temporary.ok()));
  for (int first : {1, 0}) {
    if (outcome.refusal.empty()) break;
    std::optional<std::string> changed = with_constant_inputs(*bytes, folder / "test_data_set_0", first);
    if (!changed) break;
    REQUIRE(write_file(temporary->path() / "model.onnx", *changed).ok());
    outcome = run_model(temporary->path() / "model.onnx", set, static_cast<size_t>(first));
  }
  return outcome;
}

/// Runs all models below `root`; at least `share` of them must pass, the others be refused.
void check_all(const fs::path& root, double share) {
  const std::vector<fs::path> folders = model_folders(root);
  if (folders.empty()) {
    WARN("skipped: there is no " << root);
    return;
  }
  size_t passed = 0;
  std::map<std::string, size_t> refusals;
  for (const fs::path& folder : folders) {
    if (has_wrong_vectors(folder.filename().string())) continue;
    Result<std::vector<TestSet>> sets = load_test_sets(folder);
    if (!sets) {  // sequences, strings, 8-bit floats
      ++refusals[std::string(diagnostic_code(sets.diagnostic().id))];
      continue;
    }
    const Outcome outcome = run_folder(folder, sets->front());
    INFO(folder.filename().string());
    CHECK(outcome.failure == "");
    passed += outcome.passed ? 1 : 0;
    if (!outcome.refusal.empty()) {
      ++refusals[outcome.refusal];
      // unsupported operator, node, type or tensor; dimensions of size 0; opsets outside 7 to 25
      const std::vector<std::string> expected = {"E207", "E209", "E300", "E301", "E302", "E303"};
      CHECK_THAT(expected, Catch::VectorContains(outcome.refusal));
    }
  }
  std::string text = std::to_string(passed) + " of " + std::to_string(folders.size()) + " pass";
  for (const auto& [code, count] : refusals) text += ", " + std::to_string(count) + " refused with " + code;
  WARN(text);
  CHECK(static_cast<double>(passed) >= share * static_cast<double>(folders.size()));
}

}  // namespace

TEST_CASE("operators compute the stored outputs of ONNX's tests") {
  const char* chosen = std::getenv("KILN_MODELS");
  check_all(fs::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / "onnx_node_tests", 0.7);
}

TEST_CASE("operators compute the stored outputs of ONNX's tests in Debian's package") {
  check_all("/usr/share/libonnx-testdata/data/node", 0.5);
}
