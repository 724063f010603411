// SPDX-License-Identifier: Apache-2.0
// The Graph: tensors in single assignment form over index ids.
//
// Values are graph inputs, constants, or outputs of nodes; each is defined once. Nodes stand in an order in which every
// value is defined before it is used. Ids stay valid for the life of the graph; erased nodes and values keep theirs.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/attr.h"
#include "compiler/ir/ids.h"
#include "compiler/ir/opdef.h"
#include "compiler/ir/tensor.h"
#include "compiler/support/unique_names.h"

namespace kiln {

/// The ONNX tensor that a value holds. The value is that tensor with its dimensions permuted by `perm` (empty: as they
/// are), then reshaped to the value's shape. Kept through rewrites, so that any surviving tensor can be compared.
struct OnnxTensor {
  std::string name;
  Shape shape;
  std::vector<int64_t> perm;
};

struct Value {
  std::string name;  ///< unique in the graph; from the ONNX name where there is one
  TensorType type;
  NodeId producer = kNoNode;
  size_t producer_output = 0;
  std::optional<Tensor> constant;
  std::optional<OnnxTensor> onnx;
  std::vector<NodeId> users;  ///< one entry per use, in no order
};

struct Node {
  const OpDef* op = nullptr;  ///< null once erased
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  Attrs attrs;
  std::vector<std::string> origin;  ///< names of the ONNX nodes it computes, the first limits::kOrigins of them; never empty
};

class Graph {
 public:
  std::string name = "model";
  std::vector<ValueId> inputs;
  bool has_narrow_weights = false;  ///< the model stores floats in 16 bits, which the graph has as f32

  // --- reading
  [[nodiscard]] const Value& value(ValueId id) const { return values_[index(id)]; }
  [[nodiscard]] const Node& node(NodeId id) const { return nodes_[index(id)]; }
  [[nodiscard]] const std::vector<ValueId>& outputs() const { return outputs_; }
  [[nodiscard]] const std::string& output_name(size_t i) const { return output_names_[i]; }
  [[nodiscard]] const TensorType& type(ValueId id) const { return value(id).type; }
  /// The value of a constant, or null; null for kNoValue.
  [[nodiscard]] const Tensor* constant(ValueId id) const;
  /// Live nodes in order. A copy: the graph may be changed while walking it (skip nodes that `alive` denies).
  [[nodiscard]] std::vector<NodeId> order() const;
  /// Whether live node `a` stands before live node `b`.
  [[nodiscard]] bool is_before(NodeId a, NodeId b) const { return places_[index(a)].label < places_[index(b)].label; }
  [[nodiscard]] bool alive(NodeId id) const { return nodes_[index(id)].op != nullptr; }
  [[nodiscard]] size_t value_count() const { return values_.size(); }
  /// The node that produces `id`, or null for inputs, constants and kNoValue.
  [[nodiscard]] const Node* producer(ValueId id) const;
  [[nodiscard]] bool is_output(ValueId id) const;
  [[nodiscard]] bool is_input(ValueId id) const;
  /// The one node that uses `id`, when it has exactly one use and is no graph output; else kNoNode.
  [[nodiscard]] NodeId only_user(ValueId id) const;
  /// What the hooks of an operator see of a node.
  [[nodiscard]] OpArgs args(NodeId id) const;

  // --- building
  ValueId add_input(std::string name, TensorType type);
  ValueId add_constant(std::string name, Tensor tensor);
  /// Makes `id` the next graph output under ONNX name `name` (empty: the value's own). A value may be several outputs.
  void add_output(ValueId id, std::string name = {});
  void set_output(size_t i, ValueId id);
  /// Adds a node before node `before` (at the end: kNoNode) with outputs of the given types, whose names derive from `name`.
  NodeId add_node(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs, std::vector<TensorType> output_types,
                  std::vector<std::string> origin, std::string_view name, NodeId before = kNoNode);

  // --- rewriting
  void set_input(NodeId node, size_t i, ValueId value);
  /// Adds optional inputs at the end, kNoValue in between if needed.
  void extend_inputs(NodeId node, size_t i, ValueId value);
  void set_attr(NodeId node, std::string name, Attr value) { nodes_[index(node)].attrs.set(std::move(name), std::move(value)); }
  void add_origin(NodeId node, const std::vector<std::string>& origin);
  /// All uses of `from`, graph outputs included, become uses of `to`. If `to` stands for no ONNX tensor it takes over that
  /// of `from` (and its name, if `to` is an unnamed product of a rewrite).
  void replace_uses(ValueId from, ValueId to);
  /// Erases a node whose outputs nobody uses; their names become free.
  void erase(NodeId node);
  void set_type(ValueId id, TensorType type) { values_[index(id)].type = std::move(type); }
  void set_onnx(ValueId id, std::optional<OnnxTensor> onnx) { values_[index(id)].onnx = std::move(onnx); }
  /// Renames a value; the name is made unique.
  void set_name(ValueId id, std::string_view wish);

 private:
  /// Where a node stands: its neighbours, and a number that grows along the order.
  struct Place {
    NodeId previous = kNoNode, next = kNoNode;
    uint64_t label = 0;
  };

  ValueId add_value(Value value);
  void add_use(NodeId node, size_t input);
  void drop_use(NodeId node, size_t input);
  void link(NodeId node, NodeId before);
  void unlink(NodeId node);
  void number_anew();

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<Place> places_;  ///< per node
  std::vector<ValueId> outputs_;
  std::vector<std::string> output_names_;
  UniqueNames names_;
  NodeId first_ = kNoNode, last_ = kNoNode;
  // So that a use is found, and dropped, in one step:
  std::vector<std::vector<uint32_t>> use_places_;     ///< per node and input: its entry in the value's `users`
  std::vector<std::vector<uint32_t>> user_operands_;  ///< per value and entry of `users`: which operand of the node it is
  std::vector<std::vector<uint32_t>> output_places_;  ///< per value: which outputs of the graph it is
};

}  // namespace kiln
