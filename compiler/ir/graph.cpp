// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ir/limits.h"

namespace kiln {
namespace {

/// Between the labels of neighbours: room for 32 insertions at one place, and for 2^32 nodes.
constexpr uint64_t kLabelGap = uint64_t{1} << 32;

}  // namespace

const Tensor* Graph::constant(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const Value& v = value(id);
  return v.constant ? &*v.constant : nullptr;
}

const Node* Graph::producer(ValueId id) const {
  if (id == kNoValue || value(id).producer == kNoNode) return nullptr;
  return &node(value(id).producer);
}

bool Graph::is_output(ValueId id) const { return id != kNoValue && !output_places_[index(id)].empty(); }
bool Graph::is_input(ValueId id) const { return id != kNoValue && value(id).producer == kNoNode && !value(id).constant; }

std::vector<NodeId> Graph::order() const {
  std::vector<NodeId> out;
  for (NodeId id = first_; id != kNoNode; id = places_[index(id)].next) out.push_back(id);
  return out;
}

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

ValueId Graph::add_value(Value v) {
  ValueId id{static_cast<uint32_t>(values_.size())};
  v.name = names_.take(v.name.empty() ? "value" : v.name);
  values_.push_back(std::move(v));
  user_operands_.emplace_back();
  output_places_.emplace_back();
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
  if (n.origin.size() > limits::kOrigins) n.origin.resize(limits::kOrigins);
  for (size_t i = 0; i < output_types.size(); ++i) {
    Value v;
    v.name = wish;
    v.type = std::move(output_types[i]);
    v.producer = id;
    v.producer_output = i;
    n.outputs.push_back(add_value(std::move(v)));
  }
  use_places_.emplace_back(n.inputs.size());
  nodes_.push_back(std::move(n));
  for (size_t i = 0; i < node(id).inputs.size(); ++i) add_use(id, i);
  places_.emplace_back();
  link(id, before);
  return id;
}

void Graph::link(NodeId id, NodeId before) {
  KILN_CHECK(before == kNoNode || alive(before), "insertion before an erased node");
  const NodeId previous = before == kNoNode ? last_ : places_[index(before)].previous;
  Place& place = places_[index(id)];
  place.previous = previous;
  place.next = before;
  (previous == kNoNode ? first_ : places_[index(previous)].next) = id;
  (before == kNoNode ? last_ : places_[index(before)].previous) = id;
  const uint64_t low = previous == kNoNode ? 0 : places_[index(previous)].label;
  if (before == kNoNode) {
    place.label = low + kLabelGap;
    return;
  }
  const uint64_t high = places_[index(before)].label;
  place.label = low + (high - low) / 2;
  if (place.label == low) number_anew();
}

void Graph::unlink(NodeId id) {
  const Place& place = places_[index(id)];
  (place.previous == kNoNode ? first_ : places_[index(place.previous)].next) = place.next;
  (place.next == kNoNode ? last_ : places_[index(place.next)].previous) = place.previous;
}

void Graph::number_anew() {
  uint64_t label = 0;
  for (NodeId id = first_; id != kNoNode; id = places_[index(id)].next) places_[index(id)].label = label += kLabelGap;
}

void Graph::add_use(NodeId id, size_t i) {
  const ValueId v = node(id).inputs[i];
  if (v == kNoValue) return;
  std::vector<NodeId>& users = values_[index(v)].users;
  use_places_[index(id)][i] = static_cast<uint32_t>(users.size());
  users.push_back(id);
  user_operands_[index(v)].push_back(static_cast<uint32_t>(i));
}

void Graph::drop_use(NodeId id, size_t i) {
  const ValueId v = node(id).inputs[i];
  if (v == kNoValue) return;
  std::vector<NodeId>& users = values_[index(v)].users;
  std::vector<uint32_t>& operands = user_operands_[index(v)];
  const uint32_t at = use_places_[index(id)][i];
  KILN_CHECK(at < users.size() && users[at] == id && operands[at] == i, "use lists disagree with the nodes");
  // The last entry takes its place.
  users[at] = users.back();
  operands[at] = operands.back();
  use_places_[index(users[at])][operands[at]] = at;
  users.pop_back();
  operands.pop_back();
}

void Graph::add_output(ValueId id, std::string wish) {
  output_places_[index(id)].push_back(static_cast<uint32_t>(outputs_.size()));
  outputs_.push_back(id);
  output_names_.push_back(wish.empty() ? value(id).name : std::move(wish));
}

void Graph::set_output(size_t i, ValueId id) {
  std::erase(output_places_[index(outputs_[i])], static_cast<uint32_t>(i));
  output_places_[index(id)].push_back(static_cast<uint32_t>(i));
  outputs_[i] = id;
}

void Graph::set_input(NodeId id, size_t i, ValueId v) {
  drop_use(id, i);
  nodes_[index(id)].inputs[i] = v;
  add_use(id, i);
}

void Graph::extend_inputs(NodeId id, size_t i, ValueId v) {
  Node& n = nodes_[index(id)];
  if (n.inputs.size() <= i) {
    n.inputs.resize(i + 1, kNoValue);
    use_places_[index(id)].resize(i + 1);
  }
  set_input(id, i, v);
}

void Graph::add_origin(NodeId id, const std::vector<std::string>& origin) {
  std::vector<std::string>& own = nodes_[index(id)].origin;
  for (const std::string& name : origin) {
    if (own.size() >= limits::kOrigins) return;
    if (std::find(own.begin(), own.end(), name) == own.end()) own.push_back(name);
  }
}

void Graph::replace_uses(ValueId from, ValueId to) {
  if (from == to) return;
  Value& old = values_[index(from)];
  Value& now = values_[index(to)];
  std::vector<uint32_t> &operands = user_operands_[index(from)], &places = output_places_[index(from)];
  for (size_t k = 0; k < old.users.size(); ++k) {
    nodes_[index(old.users[k])].inputs[operands[k]] = to;
    add_use(old.users[k], operands[k]);
  }
  old.users.clear();
  operands.clear();
  for (uint32_t place : places) {
    outputs_[place] = to;
    output_places_[index(to)].push_back(place);
  }
  places.clear();
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
  std::string& name = values_[index(id)].name;
  names_.release(name);
  name = names_.take(wish.empty() ? "value" : wish);
}

void Graph::erase(NodeId id) {
  Node& n = nodes_[index(id)];
  for (ValueId v : n.outputs) KILN_CHECK(value(v).users.empty() && !is_output(v), fmt::format("erasing a node whose output {} is used", value(v).name));
  for (size_t i = 0; i < n.inputs.size(); ++i) drop_use(id, i);
  for (ValueId v : n.outputs) {  // others may take the names
    names_.release(values_[index(v)].name);
    values_[index(v)].name.clear();
  }
  n = Node{};
  unlink(id);
}

}  // namespace kiln
