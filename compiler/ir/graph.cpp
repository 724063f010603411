// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {

const Tensor* Graph::constant(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const Value& v = value(id);
  return v.constant ? &*v.constant : nullptr;
}

const Node* Graph::producer(ValueId id) const {
  if (id == kNoValue || value(id).producer == kNoNode) return nullptr;
  return &node(value(id).producer);
}

bool Graph::is_output(ValueId id) const { return std::find(outputs_.begin(), outputs_.end(), id) != outputs_.end(); }
bool Graph::is_input(ValueId id) const { return std::find(inputs.begin(), inputs.end(), id) != inputs.end(); }

NodeId Graph::only_user(ValueId id) const {
  const Value& v = value(id);
  return v.users.size() == 1 && !is_output(id) ? v.users[0] : kNoNode;
}

OpArgs Graph::args(NodeId id) const {
  const Node& n = node(id);
  OpArgs args{*n.op, n.attrs, {}, {}, {}};
  for (ValueId v : n.inputs) {
    args.inputs.push_back(v == kNoValue ? nullptr : &value(v).type);
    args.constants.push_back(constant(v));
  }
  for (ValueId v : n.outputs) args.outputs.push_back(&value(v).type);
  return args;
}

std::string Graph::unique_name(std::string_view wish) const {
  std::string base(wish.empty() ? "value" : wish);
  std::string name = base;
  for (int i = 1; names_.count(name); ++i) name = fmt::format("{}_{}", base, i);
  return name;
}

ValueId Graph::add_value(Value v) {
  ValueId id{static_cast<uint32_t>(values_.size())};
  v.name = unique_name(v.name);
  names_.emplace(v.name, id);
  values_.push_back(std::move(v));
  return id;
}

ValueId Graph::add_input(std::string wish, TensorType type) {
  Value v;
  v.name = std::move(wish);
  v.type = std::move(type);
  ValueId id = add_value(std::move(v));
  inputs.push_back(id);
  return id;
}

ValueId Graph::add_constant(std::string wish, Tensor tensor) {
  Value v;
  v.name = std::move(wish);
  v.type = tensor.type;
  v.constant = std::move(tensor);
  return add_value(std::move(v));
}

NodeId Graph::add_node(const OpDef& op, std::vector<ValueId> node_inputs, Attrs attrs, std::vector<TensorType> output_types,
                       std::vector<std::string> origin, std::string_view wish, NodeId before) {
  KILN_CHECK(!origin.empty(), fmt::format("a node '{}' without origin", op.name));
  NodeId id{static_cast<uint32_t>(nodes_.size())};
  Node n;
  n.op = &op;
  n.inputs = std::move(node_inputs);
  n.attrs = std::move(attrs);
  n.origin = std::move(origin);
  for (ValueId v : n.inputs)
    if (v != kNoValue) values_[index(v)].users.push_back(id);
  for (size_t i = 0; i < output_types.size(); ++i) {
    Value v;
    v.name = wish;
    v.type = std::move(output_types[i]);
    v.producer = id;
    v.producer_output = i;
    n.outputs.push_back(add_value(std::move(v)));
  }
  nodes_.push_back(std::move(n));
  auto at = before == kNoNode ? order_.end() : std::find(order_.begin(), order_.end(), before);
  KILN_CHECK(before == kNoNode || at != order_.end(), "insertion before an erased node");
  order_.insert(at, id);
  return id;
}

void Graph::drop_use(ValueId v, NodeId user) {
  if (v == kNoValue) return;
  std::vector<NodeId>& users = values_[index(v)].users;
  auto it = std::find(users.begin(), users.end(), user);
  KILN_CHECK(it != users.end(), "use lists disagree with the nodes");
  users.erase(it);
}

void Graph::set_input(NodeId id, size_t i, ValueId v) {
  Node& n = nodes_[index(id)];
  drop_use(n.inputs[i], id);
  n.inputs[i] = v;
  if (v != kNoValue) values_[index(v)].users.push_back(id);
}

void Graph::extend_inputs(NodeId id, size_t i, ValueId v) {
  Node& n = nodes_[index(id)];
  if (n.inputs.size() <= i) n.inputs.resize(i + 1, kNoValue);
  set_input(id, i, v);
}

void Graph::add_origin(NodeId id, const std::vector<std::string>& origin) {
  std::vector<std::string>& own = nodes_[index(id)].origin;
  for (const std::string& name : origin)
    if (std::find(own.begin(), own.end(), name) == own.end()) own.push_back(name);
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  Value& old = values_[index(from)];
  Value& now = values_[index(to)];
  for (NodeId user : old.users) {
    for (ValueId& v : nodes_[index(user)].inputs)
      if (v == from) v = to;
    now.users.push_back(user);
  }
  old.users.clear();
  for (ValueId& v : outputs_)
    if (v == from) v = to;
  if (!now.onnx && old.onnx && !now.constant) {
    now.onnx = old.onnx;
    if (now.producer != kNoNode) {
      std::string taken = old.name;
      set_name(from, old.name + "_was");
      set_name(to, taken);
    }
  }
}

void Graph::set_name(ValueId id, std::string_view wish) {
  Value& v = values_[index(id)];
  names_.erase(v.name);
  v.name = unique_name(wish);
  names_.emplace(v.name, id);
}

void Graph::erase(NodeId id) {
  Node& n = nodes_[index(id)];
  for (ValueId v : n.outputs) KILN_CHECK(value(v).users.empty() && !is_output(v), fmt::format("erasing a node whose output {} is used", value(v).name));
  for (ValueId v : n.inputs) drop_use(v, id);
  for (ValueId v : n.outputs) {  // others may take the names
    names_.erase(values_[index(v)].name);
    values_[index(v)].name.clear();
  }
  n = Node{};
  order_.erase(std::find(order_.begin(), order_.end(), id));
}

}  // namespace kiln
