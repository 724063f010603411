// SPDX-License-Identifier: Apache-2.0
// ONNX's official models with stored vectors: each gives its stored outputs, by evaluation of the imported graph and by the emitted
// code, built by g++ and run; or it is refused with exit code 3. The lists in tests/onnx/conformance say which of the two for every
// case (conformance_list.h); a case that changes fails the test. To accept the changes:
//
//   KILN_REBASE=1 build/bin/onnx_tests '[conformance]'
//
// The sets are in official_cases.h; one that is absent is skipped with a notice.
//
// KILN_CONFORMANCE_FLAGS: how the emitted code is built, instead of -O1: "-O2 -fsanitize=address,undefined".
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>

#include "compiler/emit/bundle.h"
#include "compiler/ops/evaluate.h"
#include "compiler/program/lowering.h"
#include "tests/onnx/conformance_batch.h"
#include "tests/onnx/conformance_list.h"
#include "tests/onnx/official_cases.h"
#include "tests/onnx_models.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

constexpr size_t kCasesPerProgram = 40;
// The relative tolerance of ONNX's own runner; some of its models hold pi as 3.14159.
constexpr double kAbsolute = 1e-5, kRelative = 1e-3;

/// Why the vectors of a case cannot be used, or an empty text.
std::string wrong_vectors(const std::string& set, const std::string& name) {
  if (set != "libonnx-testdata") return {};
  if (name.find("BFLOAT16") != std::string::npos) return "ONNX 1.12 stores the bf16 vectors as u16";
  if (name == "test_resize_downsample_scales_cubic_align_corners")
    return "the vectors go by a fractional output size, ONNX Runtime by the whole one";
  if (name == "test_resize_downsample_scales_linear_align_corners") return "the vectors were corrected after ONNX 1.12";
  return {};
}

/// NonMaxSuppression gives as many rows as its limit allows: those without a box, which the stored results do not have, are -1.
Tensor without_filler(const Tensor& actual, const Tensor& expected) {
  const Shape &shape = actual.type.shape, &wanted = expected.type.shape;
  if (actual.type.dtype != DType::i64 || shape.size() != 2 || wanted.size() != 2 || shape[1] != 3 || wanted[1] != 3 ||
      wanted[0] >= shape[0])
    return actual;
  const std::span<const int64_t> all = actual.as<int64_t>(), rows = all.first(static_cast<size_t>(expected.type.elements()));
  const bool filled = std::all_of(all.begin() + static_cast<std::ptrdiff_t>(rows.size()), all.end(), [](int64_t i) { return i == -1; });
  return filled ? Tensor::of<int64_t>(wanted, rows) : actual;
}

/// Why `given` is not `expected`, or an empty text.
std::string difference(const Tensor& given, const Tensor& expected) {
  const Tensor actual = without_filler(given, expected);
  if (actual.type.dtype != expected.type.dtype || actual.type.shape != expected.type.shape)
    return to_string(actual.type) + " instead of " + to_string(expected.type);
  const std::vector<double> a = actual.to_doubles(), e = expected.to_doubles();
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same =
        a[i] == e[i] || (std::isnan(a[i]) && std::isnan(e[i])) || std::fabs(a[i] - e[i]) <= kAbsolute + kRelative * std::fabs(e[i]);
    if (!same) return fmt::format("element {} is {} instead of {}", i, a[i], e[i]);
  }
  return {};
}

std::string difference(const std::vector<Tensor>& actual, const std::vector<NamedTensor>& expected) {
  if (actual.size() != expected.size()) return fmt::format("{} outputs instead of {}", actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    if (std::string what = difference(actual[i], expected[i].tensor); !what.empty()) return fmt::format("output {}: {}", i, what);
  return {};
}

/// What became of a case up to its emitted code.
struct Outcome {
  CaseRow row;
  std::string failure;  ///< what is wrong with kiln
  std::optional<EmittedCase> emitted;
};

/// The row of a model that is refused; `failure` when it should not be, or not so.
Outcome refused(const OfficialCase& c, const Diagnostics& diagnostics) {
  for (const Diagnostic& d : diagnostics.all()) {
    if (d.severity != Severity::error) continue;
    Outcome outcome;
    // The blamed node is described as "'name' (Type)".
    size_t begin = d.node.rfind('(');
    std::string type = begin == std::string::npos ? all_operators(c.model) : d.node.substr(begin + 1, d.node.size() - begin - 2);
    outcome.row = {"refused", "", type, std::string(diagnostic_code(d.id)), d.message};
    if (diagnostics.exit_code() != ExitCode::unsupported) outcome.failure = "refused with another exit code than 3: " + to_string(d);
    return outcome;
  }
  return {{}, "refused without an error", {}};
}

/// Imports, evaluates, compiles and emits `c` with these inputs as initializers.
Outcome run_frozen(const OfficialCase& c, const std::string& bytes, const Frozen& frozen) {
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model_bytes(bytes, c.folder / "model.onnx", {}, diagnostics);
  if (!model) return refused(c, diagnostics);
  if (c.sets.empty()) return {{}, "the model is accepted, but its vectors cannot be read: " + c.vectors_problem, {}};
  EmittedCase emitted;
  emitted.name = c_identifier(c.name);
  for (const TestSet& set : c.sets) {
    std::vector<Tensor>& inputs = emitted.inputs.emplace_back();
    for (size_t i = 0; i < set.inputs.size(); ++i)
      if (!frozen.count(i)) inputs.push_back(set.inputs[i].tensor);
    Result<std::vector<Tensor>> outputs = evaluate(model->graph, inputs);
    if (!outputs) return {{}, "evaluation: " + outputs.diagnostic().message, {}};
    if (std::string what = difference(*outputs, set.outputs); !what.empty()) return {{}, "evaluation: " + what, {}};
    if (!frozen.empty()) break;  // the initializers are those of the first set
  }
  CompileOptions options;
  options.model = c.folder / "model.onnx";
  options.name = emitted.name;
  std::optional<Compiled> compiled = compile_graph(*std::move(model), options, diagnostics);
  if (!compiled) return refused(c, diagnostics);
  emitted.files = emit_bundle(compiled->program, compiled->target, compiled->info, {});
  emitted.program = std::move(compiled->program);
  Outcome outcome;
  outcome.row = {"pass", fmt::format("{} of {}", c.input_names.size() - frozen.size(), c.input_names.size()), all_operators(c.model), "",
                 ""};
  outcome.emitted = std::move(emitted);
  return outcome;
}

Outcome run_case(const OfficialCase& c) {
  Outcome outcome;
  for (const Frozen& frozen : freezings(c)) {
    std::optional<std::string> bytes = frozen_model(c, frozen);
    if (!bytes) break;
    outcome = run_frozen(c, *bytes, frozen);
    if (outcome.row.state != "refused") break;
  }
  return outcome;
}

/// The rows of all cases of a set; those that are neither right nor refused are failures.
class SetRun {
 public:
  explicit SetRun(std::string set) : set_(std::move(set)) {}

  void run(const std::vector<fs::path>& folders) {
    BatchQueue queue;
    std::vector<EmittedCase> batch;
    for (const fs::path& folder : folders) {
      OfficialCase c = load_case(folder);
      INFO(c.name);
      if (std::string why = wrong_vectors(set_, c.name); !why.empty()) {
        rows_[c.name] = {"excluded", "", all_operators(c.model), "", why};
        continue;
      }
      Outcome outcome = run_case(c);
      if (!outcome.failure.empty()) FAIL_CHECK(outcome.failure);
      if (outcome.row.state.empty()) continue;
      rows_[c.name] = outcome.row;
      if (!outcome.emitted) continue;
      expected_[outcome.emitted->name] = {c.name, std::move(c.sets)};
      batch.push_back(*std::move(outcome.emitted));
      if (batch.size() == kCasesPerProgram) queue.add(std::exchange(batch, {}));
    }
    queue.add(std::move(batch));
    for (const std::unique_ptr<EmittedBatch>& done : queue.wait())
      for (const EmittedCase& c : done->cases()) check(c);
  }
  [[nodiscard]] const CaseList& rows() const { return rows_; }

 private:
  void check(const EmittedCase& c) {
    const auto& [name, sets] = expected_.at(c.name);
    std::string failure = c.failure;
    for (size_t i = 0; failure.empty() && i < c.outputs.size(); ++i) failure = difference(c.outputs[i], sets[i].outputs);
    if (failure.empty()) return;
    rows_.erase(name);
    FAIL_CHECK(name << ": emitted code: " << failure);
  }

  std::string set_;
  CaseList rows_;
  std::map<std::string, std::pair<std::string, std::vector<TestSet>>> expected_;  ///< by the name of the emitted code
};

void check_set(const OfficialSet& which) {
  const std::string& set = which.name;
  const std::vector<fs::path> folders = model_folders(which.roots);
  if (folders.empty()) {
    KILN_SKIP("there is no " << which.roots.front());
    return;
  }
  CHECK(folders.size() == which.cases);
  SetRun run(set);
  run.run(folders);
  std::map<std::string, size_t> counts;
  for (const auto& [name, row] : run.rows()) ++counts[row.state + (row.code.empty() ? "" : " with " + row.code)];
  std::string text = fmt::format("{}: {} cases", set, folders.size());
  for (const auto& [state, n] : counts) text += fmt::format(", {} {}", n, state);
  WARN(text);
  if (std::getenv("KILN_REBASE")) return write_case_list(set, run.rows());
  const std::string changes = list_changes(read_case_list(set), run.rows());
  if (!changes.empty())
    FAIL_CHECK("cases whose state is not that of tests/onnx/conformance/" << set << ".csv:\n" << changes << kHowToAccept);
}

/// A sum, emitted as bundle `name`.
EmittedCase emitted_sum(const std::string& name) {
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model_bytes(
      graph_model("agraph (float[3] x) => (float[3] y) { y = Add(x, x) }").SerializeAsString(), name + ".onnx", {}, diagnostics);
  REQUIRE(model);
  CompileOptions options;
  options.name = name;
  std::optional<Compiled> compiled = compile_graph(*std::move(model), options, diagnostics);
  REQUIRE(compiled);
  EmittedCase c;
  c.name = name;
  c.files = emit_bundle(compiled->program, compiled->target, compiled->info, {});
  c.program = std::move(compiled->program);
  c.inputs = {{Tensor::floats({3}, {1, 2, 3})}};
  return c;
}

/// Puts `code` in front of the layers.
EmittedCase spoiled(EmittedCase c, const std::string& code) {
  for (OutputFile& file : c.files) {
    const std::string head = fmt::format("void {}_run(void* arena) {{\n", c.name);
    if (size_t at = file.bytes.find(head); file.path == c.name + ".cpp" && at != std::string::npos)
      file.bytes.insert(at + head.size(), code);
  }
  return c;
}

}  // namespace

TEST_CASE("what is wrong with emitted code is said of its case alone", "[conformance]") {
  std::vector<EmittedCase> cases = {emitted_sum("good"), spoiled(emitted_sum("crash"), "__builtin_trap();"), emitted_sum("good_too"),
                                    spoiled(emitted_sum("outside"), "static_cast<char*>(arena)[OUTSIDE_ARENA_BYTES] = 1;")};
  auto check = [](const EmittedCase& c, const std::string& failure) {
    INFO(c.name << ": " << c.failure);
    CHECK(c.failure.empty() == failure.empty());
    CHECK(c.failure.find(failure) != std::string::npos);
    if (failure.empty()) CHECK(c.outputs == std::vector<std::vector<Tensor>>{{Tensor::floats({3}, {2, 4, 6})}});
  };
  EmittedBatch batch(cases);
  batch.run();
  check(batch.cases()[0], "");
  check(batch.cases()[1], "signal 4");
  check(batch.cases()[2], "");
  check(batch.cases()[3], "a byte behind the arena");

  EmittedBatch other({emitted_sum("good"), spoiled(emitted_sum("wrong"), "no_such_function();")});
  other.run();
  check(other.cases()[0], "");
  check(other.cases()[1], "does not compile");
}

TEST_CASE("the cases of Debian's libonnx-testdata pass or are refused as listed", "[conformance]") { check_set(debian_set()); }

TEST_CASE("the newer official cases pass or are refused as listed", "[conformance]") { check_set(newer_set()); }
