// SPDX-License-Identifier: Apache-2.0
// Attributes of ONNX nodes, checked against what the operator's record allows.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <utility>
#include <vector>

#include "compiler/frontend/external_data.h"
#include "compiler/ir/opdef.h"

namespace kiln {

/// Name and value of a node's attributes, with references to attributes of the surrounding function
/// resolved: such a value keeps the name that it has outside.
using AttrProtos = std::vector<std::pair<std::string, const onnx::AttributeProto*>>;

/// Errors: bad_node for values of the wrong type, unsupported_node for attributes that the record
/// does not list.
Result<Attrs> attrs_from_protos(const AttrProtos& protos, const OnnxOp& op,
                                const ExternalData& external);

}  // namespace kiln
