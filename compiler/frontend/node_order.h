// SPDX-License-Identifier: Apache-2.0
// Which nodes of an ONNX graph matter, and in which order.
#pragma once

#include <onnx/onnx_pb.h>

#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

using NodeProtos = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

struct OrderedNode {
  const onnx::NodeProto* proto;
  int index;  ///< in the file

  /// The node's name, or "Conv_3" where it has none.
  [[nodiscard]] std::string name() const;
};

struct NodeOrder {
  /// The nodes on which the wanted tensors depend, each after those it depends on. Nodes that
  /// already stand in such an order stay in the order of the file.
  std::vector<OrderedNode> nodes;
  /// Names read by those nodes and their subgraphs, and the wanted ones. The strings are those of
  /// the model.
  std::unordered_set<std::string_view> read;
};

/// Errors: duplicate_tensor when two nodes define one name, cyclic_graph. Names that no node
/// defines come from elsewhere.
Result<NodeOrder> order_nodes(const NodeProtos& nodes, std::span<const std::string_view> wanted);

/// The outputs of a graph. The strings are those of the model.
std::vector<std::string_view> output_names(const onnx::GraphProto& graph);

/// "'conv1' (Conv)", for messages.
std::string describe(const onnx::NodeProto& node, std::string_view name);

}  // namespace kiln
