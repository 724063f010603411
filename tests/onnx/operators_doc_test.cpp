// SPDX-License-Identifier: Apache-2.0
// docs/operators.md is what the records of the operators and the lists of official cases say; nobody writes it. This test fails when it
// is not up to date. To make it anew, after the lists: KILN_REBASE=1 build/bin/onnx_tests '[conformance]'
//
// The element types of an operator are found by trying: the first official case that passes and has this operator alone is imported and
// compiled with every type in place of the one that it has.
#include <catch2/catch.hpp>
#include <cstdlib>

#include "compiler/ir/limits.h"
#include "compiler/ops/ops.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/report/operator_table.h"
#include "tests/onnx/conformance_list.h"
#include "tests/onnx/official_cases.h"
#include "tests/skip.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

constexpr size_t kReasonsShown = 6;

struct TypeName {
  int32_t number;  ///< TensorProto.DataType
  const char* name;
};
constexpr TypeName kTypes[] = {{1, "f32"}, {11, "f64"}, {10, "f16"}, {16, "bf16"}, {3, "i8"},   {5, "i16"}, {6, "i32"},
                               {7, "i64"}, {2, "u8"},   {4, "u16"},  {12, "u32"},  {13, "u64"}, {9, "bool"}};

/// A tensor of zeros and ones of another type; as initializers, shapes and the like stay what they are.
void retype(onnx::TensorProto& tensor, int32_t from, int32_t to) {
  if (tensor.data_type() != from) return;
  int64_t count = 1;
  for (int64_t dim : tensor.dims()) count *= dim;
  constexpr int kBytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2};
  tensor.clear_float_data();
  tensor.clear_int32_data();
  tensor.clear_int64_data();
  tensor.clear_double_data();
  tensor.clear_uint64_data();
  tensor.set_data_type(to);
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) bytes += '\1' + std::string(static_cast<size_t>(kBytes[to]) - 1, '\0');
  tensor.set_raw_data(bytes);
}

bool compiles(const onnx::ModelProto& model) {
  Diagnostics diagnostics;
  std::optional<ImportedModel> imported = import_model_bytes(model.SerializeAsString(), "m.onnx", {}, diagnostics);
  return imported && compile_graph(*std::move(imported), {}, diagnostics);
}

/// The type that most of the case's operands share: that of the first input which has the type of the first output, else of the first
/// input.
int32_t main_type(const onnx::GraphProto& graph) {
  const int32_t wanted = graph.output(0).type().tensor_type().elem_type();
  for (const onnx::ValueInfoProto& input : graph.input())
    if (input.type().tensor_type().elem_type() == wanted) return wanted;
  return graph.input(0).type().tensor_type().elem_type();
}

/// "f32 f64 i32": what the operator of this case takes.
std::string types_of(const OfficialCase& c) {
  if (c.model.graph().node_size() != 1 || c.model.graph().input_size() == 0 || c.model.graph().output_size() == 0) return {};
  onnx::ModelProto accepted;
  for (const Frozen& frozen : freezings(c)) {
    std::optional<std::string> bytes = frozen_model(c, frozen);
    if (bytes && accepted.ParseFromString(*bytes) && compiles(accepted)) break;
    accepted.Clear();
  }
  if (!accepted.has_graph()) return {};
  std::string text;
  const int32_t from = main_type(accepted.graph());
  for (const TypeName& to : kTypes) {
    onnx::ModelProto model = accepted;
    for (auto* list : {model.mutable_graph()->mutable_input(), model.mutable_graph()->mutable_output()})
      for (onnx::ValueInfoProto& value : *list)
        if (auto* type = value.mutable_type()->mutable_tensor_type(); type->elem_type() == from) type->set_elem_type(to.number);
    if (to.number != from)
      for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) retype(tensor, from, to.number);
    if (compiles(model)) text += fmt::format("{}{}", text.empty() ? "" : " ", to.name);
  }
  return text;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

/// What the lists say of one operator.
struct Facts {
  size_t passed = 0, refused = 0;
  std::map<std::string, size_t> reasons;
  std::string types;
};

class Document {
 public:
  void add(const OfficialSet& set) {
    const CaseList list = read_case_list(set.name);
    std::map<std::string, size_t> states;
    for (const auto& [name, row] : list) {
      ++states[row.state];
      for (const std::string& op : words(row.operators)) {
        Facts& facts = facts_[op];
        facts.passed += row.state == "pass";
        facts.refused += row.state == "refused";
        if (row.state == "refused") ++facts.reasons[row.reason];
      }
    }
    totals_ += fmt::format("| {} | {} | {} | {} | {} |\n", set.name, list.size(), states["pass"], states["refused"], states["excluded"]);
    for (const fs::path& folder : model_folders(set.roots)) {
      auto row = list.find(folder.filename().string());
      if (row == list.end() || row->second.state != "pass" || words(row->second.operators).size() != 1) continue;
      Facts& facts = facts_[row->second.operators];
      if (facts.types.empty()) facts.types = types_of(load_case(folder));
    }
  }

  [[nodiscard]] std::string text() const {
    OperatorColumn types{"element types", {}}, cases{"official cases: pass, refused", {}};
    for (const auto& [op, facts] : facts_) {
      types.cells[op] = facts.types;
      cases.cells[op] = fmt::format("{}, {}", facts.passed, facts.refused);
    }
    return fmt::format(kText, limits::kOldestDescribedOpset, limits::kNewestOpset, totals_, operator_table({types, cases}), expanded(),
                       refusals(), limits::kElements, limits::kRank, limits::kNodes, limits::kNesting, limits::kTensorBytes,
                       limits::kFoldedBytes, limits::kFoldedWork);
  }

 private:
  /// Operators without a record, whose definition in ONNX is imported, or that the importer itself knows.
  [[nodiscard]] std::string expanded() const {
    std::string text;
    for (const auto& [op, facts] : facts_)
      if (facts.passed > 0 && !op_table().find_onnx("", op)) text += fmt::format("| {} | {}, {} |\n", op, facts.passed, facts.refused);
    return text;
  }

  [[nodiscard]] std::string refusals() const {
    std::string text;
    for (const auto& [op, facts] : facts_) {
      if (facts.reasons.empty()) continue;
      std::vector<std::pair<std::string, size_t>> reasons(facts.reasons.begin(), facts.reasons.end());
      std::stable_sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
      text += fmt::format("- **{}**, {}: ", op, facts.refused);
      for (size_t i = 0; i < std::min(kReasonsShown, reasons.size()); ++i) text += fmt::format("{}{}", i ? " " : "", reasons[i].first);
      text += reasons.size() > kReasonsShown ? fmt::format(" And {} more.\n", reasons.size() - kReasonsShown) : "\n";
    }
    return text;
  }

  static constexpr const char* kText = R"(# Operators

This page is generated: by `KILN_REBASE=1 build/bin/onnx_tests '[conformance]'`, from the records of the operators (`compiler/ops`) and the lists
of official cases (`tests/onnx/conformance`). A test fails when it is not up to date. `kiln ops --markdown` prints the first three columns.

kiln reads opset {} to {}; of older models the operators whose definition has not changed until then. All shapes are static: dimensions
are bound by `--dim` and `--input-shape`, and what computes shapes, axes, pads and the like has to be constant when the model is imported.

## Official cases

Each case is imported, evaluated, compiled, emitted, built by g++ and run; the results are compared with the stored ones. A case that is not
supported is refused with exit code 3. Inputs that kiln has to know are made initializers, as few as possible; the lists say how many.

| set | cases | pass | refused | stored vectors are wrong |
|---|---|---|---|---|
{}
## Operators with a record

Element types are those that a case of the operator compiles with.

{}
## Operators that become others

Without a record: imported by their definition in ONNX, or taken apart by the importer.

| ONNX operator | official cases: pass, refused |
|---|---|
{}
NaN goes through arithmetic and reductions; where it is among the elements of a maximum pool, a sort (TopK) or an ArgMax, the result is
unspecified. The positions of Resize and Upsample are exact fractions: of the sizes, also where a scale is the float next to their ratio, else of the scale; ONNX
Runtime computes them in float, and takes another element than ONNX defines at a few ties. Numbers outside the range of an integer type become its nearest bound when they are cast to it, and NaN becomes 0.

## What is refused

By operator: how many official cases, and why.

{}
## Limits

What is larger is refused with E210: tensors of more than {} elements or {} dimensions; models of more than {} nodes with functions inlined,
or with functions and branches nested more than {} deep; an initializer of more than {} bytes; constants that are computed while the model is
imported and take more than {} bytes or {} operations together. All limits are in `compiler/ir/limits.h`.
)";

  std::map<std::string, Facts> facts_;
  std::string totals_;
};

}  // namespace

TEST_CASE("docs/operators.md is up to date", "[conformance]") {
  Document document;
  for (const OfficialSet& set : {debian_set(), newer_set()}) {
    if (model_folders(set.roots).size() != set.cases) {
      KILN_SKIP("there is no " << set.roots.front());
      return;
    }
    document.add(set);
  }
  const fs::path path = fs::path(KILN_SOURCE_DIR) / "docs/operators.md";
  const std::string text = document.text();
  if (std::getenv("KILN_REBASE")) {
    REQUIRE(write_file(path, text).ok());
    return;
  }
  Result<std::string> stored = read_file(path);
  const bool current = stored && *stored == text;
  if (!current) FAIL_CHECK("docs/operators.md is not what the records and lists say; " << kHowToAccept);
}
