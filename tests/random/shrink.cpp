// SPDX-License-Identifier: Apache-2.0
#include "shrink.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "../model_maker.h"
#include "compiler/frontend/import.h"
#include "compiler/ops/evaluate.h"

namespace kiln::test {
namespace {

/// A model with its inputs by name.
struct Case {
  onnx::ModelProto model;
  std::vector<std::map<std::string, Tensor>> inputs;  ///< per set
};

Case parsed(const RandomGraph& graph) {
  Case c;
  KILN_CHECK(c.model.ParseFromString(graph.model), "the model to shrink does not parse");
  for (const std::vector<Tensor>& set : graph.inputs) {
    auto& named = c.inputs.emplace_back();
    for (size_t i = 0; i < set.size(); ++i) named.emplace(c.model.graph().input(static_cast<int>(i)).name(), set[i]);
  }
  return c;
}

template <class Field, class Keep>
void keep_only(Field* field, const Keep& keep) {
  Field kept;
  for (auto& item : *field)
    if (keep(item)) *kept.Add() = item;
  field->Swap(&kept);
}

/// Drops nodes, constants and inputs that reach no output. Constants and inputs that a subgraph might read stay.
void prune(Case& c) {
  onnx::GraphProto& graph = *c.model.mutable_graph();
  std::set<std::string> needed;
  bool nested = false;
  for (const onnx::ValueInfoProto& output : graph.output()) needed.insert(output.name());
  std::set<const onnx::NodeProto*> live;
  for (int i = graph.node_size() - 1; i >= 0; --i) {
    const onnx::NodeProto& node = graph.node(i);
    for (const onnx::AttributeProto& attribute : node.attribute()) nested = nested || attribute.has_g();
    if (!nested && std::none_of(node.output().begin(), node.output().end(), [&](const std::string& name) { return needed.count(name); })) continue;
    live.insert(&node);
    needed.insert(node.input().begin(), node.input().end());
  }
  keep_only(graph.mutable_node(), [&](const onnx::NodeProto& node) { return live.count(&node) > 0; });
  if (nested) return;
  keep_only(graph.mutable_initializer(), [&](const onnx::TensorProto& t) { return needed.count(t.name()) > 0; });
  keep_only(graph.mutable_input(), [&](const onnx::ValueInfoProto& v) { return needed.count(v.name()) > 0; });
  for (auto& set : c.inputs) std::erase_if(set, [&](const auto& item) { return needed.count(item.first) == 0; });
}

RandomGraph packed(const Case& c, const RandomGraph& like) {
  RandomGraph graph = like;
  graph.model = c.model.SerializeAsString();
  graph.inputs.clear();
  for (const auto& set : c.inputs) {
    std::vector<Tensor>& ordered = graph.inputs.emplace_back();
    for (const onnx::ValueInfoProto& input : c.model.graph().input()) ordered.push_back(set.at(input.name()));
  }
  return graph;
}

void declare(onnx::ValueInfoProto& info, const std::string& name, const TensorType& type) {
  info.Clear();
  info.set_name(name);
  onnx::TypeProto_Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx_number(type.dtype));
  tensor.mutable_shape();
  for (int64_t dim : type.shape) tensor.mutable_shape()->add_dim()->set_dim_value(dim);
}

/// The first `size` of the indices of dimension `axis`.
Tensor cut(const Tensor& t, size_t axis, int64_t size) {
  TensorType type = t.type;
  const int64_t outer = product(type.shape, 0, axis), was = type.shape[axis];
  const int64_t inner = product(type.shape, axis + 1, type.shape.size()) * element_bytes(type.dtype);
  type.shape[axis] = size;
  std::vector<std::byte> bytes;
  for (int64_t o = 0; o < outer; ++o) {
    const std::byte* from = t.bytes().data() + o * was * inner;
    bytes.insert(bytes.end(), from, from + size * inner);
  }
  return Tensor(type, std::move(bytes));
}

/// The values of all results of nodes, by name and set; empty when the model does not import or evaluate.
std::vector<std::map<std::string, Tensor>> all_values(const Case& c) {
  Case open = c;
  open.model.mutable_graph()->clear_output();
  std::vector<std::string> names;
  for (const onnx::NodeProto& node : c.model.graph().node())
    for (const std::string& name : node.output())
      if (!name.empty()) names.push_back(name);
  for (const std::string& name : names) open.model.mutable_graph()->add_output()->set_name(name);
  Diagnostics diagnostics;
  std::optional<ImportedModel> model = import_model_bytes(open.model.SerializeAsString(), "shrink.onnx", {}, diagnostics);
  if (!model) return {};
  std::vector<std::map<std::string, Tensor>> values;
  for (const auto& set : c.inputs) {
    std::vector<Tensor> inputs;
    for (const onnx::ValueInfoProto& input : c.model.graph().input()) inputs.push_back(set.at(input.name()));
    Result<std::vector<Tensor>> out = evaluate(model->graph, inputs);
    if (!out) return {};
    auto& named = values.emplace_back();
    for (size_t i = 0; i < names.size(); ++i) {
      (*out)[i].type.quant = {};
      named.emplace(names[i], std::move((*out)[i]));
    }
  }
  return values;
}

class Shrinker {
 public:
  Shrinker(const RandomGraph& graph, const Fails& fails, int attempts) : like_(graph), fails_(fails), attempts_(attempts), best_(parsed(graph)) {}

  RandomGraph run() {
    one_set();
    bool changed = true;
    while (changed && attempts_ > 0) {
      changed = one_output();
      changed = drop_nodes() || changed;
      changed = cut_sizes() || changed;
    }
    return packed(best_, like_);
  }

 private:
  /// Keeps `c`, pruned, when it fails.
  bool take(Case c) {
    if (attempts_ <= 0) return false;
    --attempts_;
    prune(c);
    if (c.model.graph().output_size() == 0 || !fails_(packed(c, like_))) return false;
    best_ = std::move(c);
    return true;
  }

  void one_set() {
    for (const auto& set : std::vector(best_.inputs)) {
      Case c = best_;
      c.inputs = {set};
      if (best_.inputs.size() > 1 && take(std::move(c))) return;
    }
  }

  /// The result of the earliest node that alone makes the failure.
  bool one_output() {
    const onnx::GraphProto graph = best_.model.graph();
    const std::vector<std::map<std::string, Tensor>> values = all_values(best_);
    for (const onnx::NodeProto& node : graph.node())
      for (const std::string& name : node.output()) {
        if (name.empty() || (graph.output_size() == 1 && graph.output(0).name() == name)) continue;
        Case c = best_;
        c.model.mutable_graph()->clear_output();
        onnx::ValueInfoProto& output = *c.model.mutable_graph()->add_output();
        output.set_name(name);
        if (!values.empty()) declare(output, name, values.front().at(name).type);
        if (take(std::move(c))) return true;
      }
    return false;
  }

  /// Replaces the first result of node `i` by `name` wherever it is read.
  static Case bypassed(Case c, int i, const std::string& name) {
    const std::string old = c.model.graph().node(i).output(0);
    for (onnx::NodeProto& node : *c.model.mutable_graph()->mutable_node())
      for (std::string& input : *node.mutable_input())
        if (input == old) input = name;
    return c;
  }

  /// The first result of node `i` handed in from outside.
  static Case handed_in(Case c, int i, const std::vector<std::map<std::string, Tensor>>& values, bool as_constant) {
    onnx::GraphProto& graph = *c.model.mutable_graph();
    const std::string name = graph.node(i).output(0);
    graph.mutable_node()->DeleteSubrange(i, 1);
    if (as_constant) *graph.add_initializer() = to_proto(values.front().at(name), name);
    else declare(*graph.add_input(), name, values.front().at(name).type);
    for (size_t set = 0; set < c.inputs.size() && !as_constant; ++set) c.inputs[set].emplace(name, values[set].at(name));
    return c;
  }

  bool drop_nodes() {
    bool changed = false;
    for (int i = best_.model.graph().node_size() - 1; i >= 0; --i) {
      if (i >= best_.model.graph().node_size()) continue;  // pruned meanwhile
      const onnx::NodeProto node = best_.model.graph().node(i);
      const std::vector<std::map<std::string, Tensor>> values = all_values(best_);
      if (values.empty()) return changed;
      const TensorType type = values.front().at(node.output(0)).type;
      auto type_of = [&](const std::string& name) {
        if (auto it = best_.inputs.front().find(name); it != best_.inputs.front().end()) return it->second.type;
        auto it = values.front().find(name);
        return it != values.front().end() ? it->second.type : TensorType{DType::f32, {-1}, {}};
      };
      bool gone = node.output_size() == 1 && (take(handed_in(best_, i, values, false)) || take(handed_in(best_, i, values, true)));
      for (int k = 0; k < node.input_size() && !gone; ++k)
        gone = type_of(node.input(k)) == type && take(bypassed(best_, i, node.input(k)));
      changed = changed || gone;
    }
    return changed;
  }

  /// Everything of size `from` becomes `to`: inputs, constants, and shapes among the constants.
  static Case resized(Case c, int64_t from, int64_t to) {
    onnx::GraphProto& graph = *c.model.mutable_graph();
    auto smaller = [&](Tensor t) {
      for (size_t axis = 0; axis < t.type.shape.size(); ++axis)
        if (t.type.shape[axis] == from) t = cut(t, axis, to);
      return t;
    };
    for (auto& set : c.inputs)
      for (auto& [name, tensor] : set) tensor = smaller(tensor);
    for (onnx::ValueInfoProto& input : *graph.mutable_input()) declare(input, std::string(input.name()), c.inputs.front().at(input.name()).type);
    for (onnx::TensorProto& proto : *graph.mutable_initializer()) {
      std::optional<DType> dtype = dtype_from_onnx(proto.data_type());
      if (!dtype || *dtype == DType::i4 || *dtype == DType::u4) continue;
      TensorType type{*dtype, Shape(proto.dims().begin(), proto.dims().end()), {}};
      const auto* first = reinterpret_cast<const std::byte*>(proto.raw_data().data());
      Tensor t(type, std::vector<std::byte>(first, first + proto.raw_data().size()));
      if (type.dtype == DType::i64 && type.rank() == 1)
        for (int64_t& v : t.as<int64_t>()) v = v == from ? to : v;
      else t = smaller(t);
      proto = to_proto(t, std::string(proto.name()));
    }
    for (onnx::ValueInfoProto& output : *graph.mutable_output()) output.mutable_type()->mutable_tensor_type()->clear_shape();
    return c;
  }

  bool cut_sizes() {
    bool changed = false;
    std::set<int64_t, std::greater<>> sizes;
    for (const auto& [name, tensor] : best_.inputs.front()) sizes.insert(tensor.type.shape.begin(), tensor.type.shape.end());
    for (const onnx::TensorProto& t : best_.model.graph().initializer()) sizes.insert(t.dims().begin(), t.dims().end());
    for (int64_t size : sizes)
      for (int64_t to : {int64_t{1}, int64_t{2}, size / 2, size - 1}) {
        if (to < 1 || to >= size) continue;
        if (!take(resized(best_, size, to))) continue;
        changed = true;
        break;
      }
    return changed;
  }

  const RandomGraph& like_;
  const Fails& fails_;
  int attempts_;
  Case best_;
};

}  // namespace

RandomGraph shrink(const RandomGraph& graph, const Fails& fails, int attempts) { return Shrinker(graph, fails, attempts).run(); }

std::optional<bool> in_child(const std::function<bool()>& f, unsigned seconds) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(seconds);
    _exit(f() ? 1 : 0);
  }
  KILN_CHECK(child > 0, "no process can be started");
  int status = 0;
  while (waitpid(child, &status, 0) < 0) continue;
  if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) return std::nullopt;
  return WEXITSTATUS(status) == 1;
}

Result<std::string> save_failure(const RandomGraph& graph, const std::filesystem::path& folder, const std::string& target) {
  if (Status s = save_graph(graph, folder); !s) return std::move(s).diagnostic();
  const std::string path = (folder / graph.name).string();
  return fmt::format("kiln diff {0}.onnx --inputs {0}-0{1}", path, target == "host" ? "" : " --target " + target);
}

}  // namespace kiln::test
