// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/node_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace kiln {
namespace {

using Names = std::unordered_set<std::string_view>;

void collect_captures(const onnx::GraphProto& graph, Names& out);

// What a node reads: its inputs, and what its subgraphs take from the graph around.
void collect_reads(const onnx::NodeProto& node, Names& out) {
  for (const std::string& name : node.input())
    if (!name.empty()) out.insert(name);
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) collect_captures(attribute.g(), out);
    for (const onnx::GraphProto& graph : attribute.graphs()) collect_captures(graph, out);
  }
}

void collect_captures(const onnx::GraphProto& graph, Names& out) {
  Names read, defined;
  for (const onnx::NodeProto& node : graph.node()) {
    collect_reads(node, read);
    defined.insert(node.output().begin(), node.output().end());
  }
  for (const onnx::ValueInfoProto& output : graph.output()) read.insert(output.name());
  for (const onnx::ValueInfoProto& input : graph.input()) defined.insert(input.name());
  for (const onnx::TensorProto& tensor : graph.initializer()) defined.insert(tensor.name());
  for (std::string_view name : read)
    if (!defined.count(name)) out.insert(name);
}

class Sorter {
 public:
  explicit Sorter(const NodeProtos& nodes)
      : nodes_(nodes), state_(static_cast<size_t>(nodes.size()), State::unseen) {}

  Result<NodeOrder> run(std::span<const std::string_view> wanted) {
    for (int i = 0; i < nodes_.size(); ++i)
      for (const std::string& name : nodes_[i].output())
        if (!name.empty() && !producer_.emplace(name, i).second)
          return error(DiagId::duplicate_tensor,
                       fmt::format("tensor '{}' is the output of two nodes.", name))
              .at_node(describe(nodes_[i], OrderedNode{&nodes_[i], i}.name()));
    mark_live(wanted);
    for (int i = 0; i < nodes_.size(); ++i)
      if (live_.count(i) && !visit(i)) return cycle();
    return std::move(order_);
  }

 private:
  enum class State : uint8_t { unseen, open, done };
  struct Frame {
    int node;
    std::vector<int> needs;
    size_t next = 0;
  };

  [[nodiscard]] std::vector<int> needs_of(int node) const {
    Names read;
    collect_reads(nodes_[node], read);
    std::vector<int> needs;
    for (std::string_view name : read)
      if (auto it = producer_.find(name); it != producer_.end()) needs.push_back(it->second);
    std::sort(needs.begin(), needs.end());  // the order of a hash set must not show
    return needs;
  }

  void mark_live(std::span<const std::string_view> wanted) {
    std::vector<int> stack;
    auto reach = [&](std::string_view name) {
      order_.read.insert(name);
      auto it = producer_.find(name);
      if (it != producer_.end() && live_.insert(it->second).second) stack.push_back(it->second);
    };
    for (std::string_view name : wanted) reach(name);
    while (!stack.empty()) {
      int node = stack.back();
      stack.pop_back();
      Names read;
      collect_reads(nodes_[node], read);
      for (std::string_view name : read) reach(name);
    }
  }

  // Depth first with a stack of its own: a chain may be as long as the model. False: a cycle, whose
  // nodes are on the stack.
  bool visit(int start) {
    if (state(start) == State::done) return true;
    open(start);
    while (!stack_.empty()) {
      Frame& frame = stack_.back();
      if (frame.next == frame.needs.size()) {
        state(frame.node) = State::done;
        order_.nodes.push_back({&nodes_[frame.node], frame.node});
        stack_.pop_back();
        continue;
      }
      int need = frame.needs[frame.next++];
      if (state(need) == State::open) {
        closing_ = need;
        return false;
      }
      if (state(need) == State::unseen) open(need);
    }
    return true;
  }

  void open(int node) {
    state(node) = State::open;
    stack_.push_back({node, needs_of(node)});
  }
  State& state(int node) { return state_[static_cast<size_t>(node)]; }

  [[nodiscard]] Diagnostic cycle() const {
    std::string path;
    size_t count = 0;
    auto first = std::find_if(stack_.begin(), stack_.end(),
                              [&](const Frame& f) { return f.node == closing_; });
    for (auto it = first; it != stack_.end() && count < 5; ++it, ++count) {
      const onnx::NodeProto& node = nodes_[it->node];
      path += fmt::format("{}{}", count ? ", " : "",
                          describe(node, OrderedNode{&node, it->node}.name()));
    }
    auto length = static_cast<size_t>(stack_.end() - first);
    return error(DiagId::cyclic_graph,
                 fmt::format("{} node{} wait{} for each other's outputs: {}{}.", length,
                             length == 1 ? "" : "s", length == 1 ? "s" : "", path,
                             length > count ? ", ..." : ""),
                 "a graph must not have cycles; loops are written with Loop or Scan.");
  }

  const NodeProtos& nodes_;
  std::unordered_map<std::string_view, int> producer_;
  std::unordered_set<int> live_;
  std::vector<State> state_;
  std::vector<Frame> stack_;
  int closing_ = -1;
  NodeOrder order_;
};

}  // namespace

Result<NodeOrder> order_nodes(const NodeProtos& nodes, std::span<const std::string_view> wanted) {
  return Sorter(nodes).run(wanted);
}

std::vector<std::string_view> output_names(const onnx::GraphProto& graph) {
  std::vector<std::string_view> names;
  for (const onnx::ValueInfoProto& output : graph.output()) names.emplace_back(output.name());
  return names;
}

std::string OrderedNode::name() const {
  return proto->name().empty() ? fmt::format("{}_{}", proto->op_type(), index) : proto->name();
}

std::string describe(const onnx::NodeProto& node, std::string_view name) {
  return fmt::format("'{}' ({})", name, node.op_type());
}

}  // namespace kiln
