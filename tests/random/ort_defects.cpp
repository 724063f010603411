// SPDX-License-Identifier: Apache-2.0
#include "ort_defects.h"

#include <onnx/onnx_pb.h>

namespace kiln::test {
namespace {

struct Defect {
  std::string_view reason;
  /// Whether the model has what the defect needs, and the finding looks like it.
  bool (*applies)(const onnx::GraphProto& graph, const Finding& finding);
};

bool casts_to_f16(const onnx::GraphProto& graph) {
  for (const onnx::TensorProto& t : graph.initializer())
    if (t.data_type() == onnx::TensorProto::FLOAT16) return true;
  for (const onnx::NodeProto& node : graph.node())
    for (const onnx::AttributeProto& attribute : node.attribute())
      if (attribute.name() == "to" && attribute.i() == onnx::TensorProto::FLOAT16) return true;
  return false;
}

// Observed with ONNX Runtime 1.30.0, CPU, optimizations off.
constexpr Defect kDefects[] = {
    {"drops a cast to f16 and back, and so its rounding (insert_cast_transformer, which runs at every level)",
     [](const onnx::GraphProto& graph, const Finding& finding) { return casts_to_f16(graph) && (finding.relative < 0x1p-10 || finding.absolute == 1); }},
};

}  // namespace

std::string ort_lacks(const std::string& message) {
  if (message.find("Could not find an implementation for") != std::string::npos) {
    const size_t begin = message.find("implementation for") + 19;
    return "no kernel for " + message.substr(begin, message.find(' ', begin) - begin);
  }
  return {};
}

std::string ort_defect(const std::string& model, const Finding& finding) {
  onnx::ModelProto proto;
  if (!proto.ParseFromString(model)) return {};
  for (const Defect& d : kDefects)
    if (d.applies(proto.graph(), finding)) return std::string(d.reason);
  return {};
}

}  // namespace kiln::test
