// SPDX-License-Identifier: Apache-2.0
// ONNX's official models with stored vectors, as files, and what kiln has to be told of them: it takes shapes, axes and the like as
// constants only, so of many models some inputs become initializers.
#pragma once

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/frontend/tensor_file.h"
#include "compiler/support/files.h"

namespace kiln::test {

struct OfficialSet {
  std::string name;  ///< of its list in tests/onnx/conformance
  std::vector<std::filesystem::path> roots;
  size_t cases;  ///< in it when it is complete
};

/// Debian's package, version 1.12: 932 models in node, 82 in pytorch-converted, 35 in pytorch-operator, 23 in simple. (The folder real has
/// vectors only.)
inline OfficialSet debian_set() {
  OfficialSet set{"libonnx-testdata", {}, 1072};
  for (const char* part : {"node", "pytorch-converted", "pytorch-operator", "simple"})
    set.roots.push_back(std::filesystem::path("/usr/share/libonnx-testdata/data") / part);
  return set;
}

/// Newer ones, in KILN_MODELS or in ../shared/models beside the source.
inline OfficialSet newer_set() {
  const char* chosen = std::getenv("KILN_MODELS");
  return {"onnx-node-tests", {std::filesystem::path(chosen ? chosen : KILN_SOURCE_DIR "/../shared/models") / "onnx_node_tests"}, 902};
}

/// A model and its vectors. Inputs are those without an initializer.
struct OfficialCase {
  std::string name;
  std::filesystem::path folder;
  onnx::ModelProto model;
  std::vector<TestSet> sets;
  std::string vectors_problem;  ///< code of the message when the vectors cannot be read
  std::vector<std::string> input_names;
};

inline OfficialCase load_case(const std::filesystem::path& folder) {
  OfficialCase c{folder.filename().string(), folder, {}, {}, {}, {}};
  Result<std::string> bytes = read_file(folder / "model.onnx");
  REQUIRE((bytes.ok() && c.model.ParseFromString(*bytes)));
  if (Result<std::vector<TestSet>> sets = load_test_sets(folder); sets) c.sets = *std::move(sets);
  else c.vectors_problem = to_string(sets.diagnostic());
  std::set<std::string> initializers;
  for (const onnx::TensorProto& t : c.model.graph().initializer()) initializers.insert(t.name());
  for (const onnx::ValueInfoProto& input : c.model.graph().input())
    if (!initializers.count(input.name())) c.input_names.push_back(input.name());
  return c;
}

/// Numbers of the inputs that are to become initializers.
using Frozen = std::set<size_t>;

/// The sets of inputs to try, smaller ones first: none, short lists of integers, all integers, all but the first, all.
inline std::vector<Frozen> freezings(const OfficialCase& c) {
  std::vector<Frozen> out{{}};
  if (c.sets.empty()) return out;
  const std::vector<NamedTensor>& inputs = c.sets.front().inputs;
  auto add = [&](auto&& wanted) {
    Frozen frozen;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (wanted(i, inputs[i].tensor.type)) frozen.insert(i);
    if (std::find(out.begin(), out.end(), frozen) == out.end()) out.push_back(frozen);
  };
  auto is_integer = [](const TensorType& t) { return t.dtype == DType::i64 || t.dtype == DType::i32 || t.dtype == DType::boolean; };
  add([&](size_t i, const TensorType& t) { return i > 0 && is_integer(t) && t.rank() <= 1; });
  add([&](size_t i, const TensorType& t) { return i > 0 && is_integer(t); });
  add([](size_t i, const TensorType&) { return i > 0; });
  add([](size_t, const TensorType&) { return true; });
  return out;
}

/// The model with these inputs as initializers; nothing when an input is no tensor.
inline std::optional<std::string> frozen_model(const OfficialCase& c, const Frozen& frozen) {
  onnx::ModelProto model = c.model;
  const std::filesystem::path set = std::filesystem::exists(c.folder / "test_data_set_0") ? c.folder / "test_data_set_0" : c.folder;
  for (size_t i : frozen) {
    onnx::TensorProto* tensor = model.mutable_graph()->add_initializer();
    Result<std::string> value = read_file(set / fmt::format("input_{}.pb", i));
    if (i >= c.input_names.size() || !value || !tensor->ParseFromString(*value)) return std::nullopt;
    tensor->set_name(c.input_names[i]);
  }
  return model.SerializeAsString();
}

inline std::vector<std::filesystem::path> model_folders(const std::vector<std::filesystem::path>& roots) {
  std::vector<std::filesystem::path> folders;
  for (const std::filesystem::path& root : roots)
    if (std::filesystem::exists(root))
      for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(root))
        if (std::filesystem::exists(entry.path() / "model.onnx")) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// The types of the main graph's nodes, sorted, with spaces between.
inline std::string all_operators(const onnx::ModelProto& model) {
  std::set<std::string> types;
  for (const onnx::NodeProto& node : model.graph().node()) types.insert(node.op_type());
  return fmt::format("{}", fmt::join(types, " "));
}

}  // namespace kiln::test
