// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/proto.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <limits>
#include <optional>

#include "compiler/ir/limits.h"
#include "compiler/support/files.h"

namespace kiln {
namespace {

bool parse_with_depth(const std::string& bytes, int depth, google::protobuf::MessageLite& message) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  in.SetTotalBytesLimit(std::numeric_limits<int>::max());
  in.SetRecursionLimit(depth);
  return message.ParseFromCodedStream(&in) && in.ConsumedEntireMessage();
}

Status parse(const std::string& bytes, google::protobuf::MessageLite& message) {
  if (bytes.size() > limits::kModelBytes)
    return error(DiagId::limit_exceeded, fmt::format("the file has {} bytes, the limit is {}.",
                                                     bytes.size(), limits::kModelBytes));
  if (parse_with_depth(bytes, limits::kMessageDepth, message)) return Done{};
  message.Clear();
  // Only to tell the two reasons apart.
  if (parse_with_depth(bytes, 10 * limits::kMessageDepth, message))
    return error(DiagId::limit_exceeded,
                 fmt::format("messages are nested more than {} deep.", limits::kMessageDepth),
                 "flatten the nested subgraphs of the model.");
  return error(
      DiagId::not_onnx,
      fmt::format("the {} bytes are no ONNX protobuf message, or are cut off.", bytes.size()),
      "check that the file was copied or downloaded completely.");
}

// Formats that are commonly mistaken for ONNX.
Status refuse_other_formats(const std::string& bytes) {
  auto is = [&](size_t at, std::string_view magic) {
    return bytes.size() > at && std::string_view(bytes).substr(at, magic.size()) == magic;
  };
  auto refuse = [](const char* what, const char* hint) {
    return error(DiagId::not_onnx, fmt::format("this is {}, not an ONNX model.", what), hint);
  };
  if (bytes.empty()) return refuse("an empty file", "export the model again.");
  if (is(4, "TFL3")) return refuse("a TensorFlow Lite model", "convert it with tf2onnx.");
  if (is(4, "ORTM"))
    return refuse("an ONNX Runtime .ort file", "use the .onnx file that it was made from.");
  if (is(0, "PK\x03\x04"))
    return refuse("a zip archive (a PyTorch checkpoint or Keras file?)",
                  "export the model to ONNX.");
  if (is(0, "\x89HDF")) return refuse("an HDF5 file (a Keras model?)", "convert it with tf2onnx.");
  if (is(0, "version https://git-lfs"))
    return refuse("a Git LFS pointer", "fetch the file itself with `git lfs pull`.");
  return Done{};
}

// Checks the names and the lengths of lists in a whole model; stops at the first offence.
class TextCheck {
 public:
  bool model(const onnx::ModelProto& model) {
    for (const auto& import : model.opset_import()) name(import.domain());
    for (const onnx::FunctionProto& function : model.functions()) {
      name(function.name());
      name(function.domain());
      for (const std::string& n : function.input()) name(n);
      for (const std::string& n : function.output()) name(n);
      for (const std::string& n : function.attribute()) name(n);
      nodes(function.node());
    }
    graph(model.graph());
    return !problem_;
  }
  [[nodiscard]] Diagnostic diagnostic() && { return std::move(*problem_); }

 private:
  void name(const std::string& text) {
    if (problem_) return;
    if (text.size() > limits::kNameBytes)
      problem_ = error(DiagId::limit_exceeded, fmt::format("a name has {} bytes, the limit is {}.",
                                                           text.size(), limits::kNameBytes));
    else if (!is_plain_text(text))
      problem_ = error(DiagId::not_onnx,
                       "a name in the model is not UTF-8 text or has control characters.",
                       "rename the tensor or node.");
  }

  void graph(const onnx::GraphProto& graph) {
    for (const onnx::ValueInfoProto& info : graph.input()) value(info);
    for (const onnx::ValueInfoProto& info : graph.output()) value(info);
    for (const onnx::TensorProto& tensor : graph.initializer()) name(tensor.name());
    nodes(graph.node());
  }

  void value(const onnx::ValueInfoProto& info) {
    name(info.name());
    for (const auto& dim : info.type().tensor_type().shape().dim()) name(dim.dim_param());
  }

  void nodes(const google::protobuf::RepeatedPtrField<onnx::NodeProto>& nodes) {
    for (const onnx::NodeProto& node : nodes) {
      if (problem_) return;
      name(node.name());
      name(node.op_type());
      name(node.domain());
      length("inputs", node.input_size());
      length("outputs", node.output_size());
      for (const std::string& n : node.input()) name(n);
      for (const std::string& n : node.output()) name(n);
      for (const onnx::AttributeProto& attribute : node.attribute()) {
        name(attribute.name());
        name(attribute.ref_attr_name());
        if (attribute.has_g()) graph(attribute.g());
        for (const onnx::GraphProto& g : attribute.graphs()) graph(g);
      }
    }
  }

  void length(const char* what, int count) {
    if (!problem_ && static_cast<size_t>(count) > limits::kOperands)
      problem_ = error(DiagId::limit_exceeded, fmt::format("a node has {} {}, the limit is {}.",
                                                           count, what, limits::kOperands));
  }

  std::optional<Diagnostic> problem_;
};

}  // namespace

Result<onnx::ModelProto> parse_model(const std::string& bytes) {
  return guarded([&]() -> Result<onnx::ModelProto> {
    if (Status s = refuse_other_formats(bytes); !s) return std::move(s).diagnostic();
    onnx::ModelProto model;
    if (Status s = parse(bytes, model); !s) return std::move(s).diagnostic();
    if (!model.has_graph())
      return error(DiagId::not_onnx, "the file holds no graph.",
                   "check that it is an ONNX model and no single tensor.");
    TextCheck check;
    if (!check.model(model)) return std::move(check).diagnostic();
    return model;
  });
}

Result<onnx::ModelProto> read_model(const std::filesystem::path& path) {
  Result<std::string> bytes = read_file(path, limits::kModelBytes);
  if (!bytes) return std::move(bytes).diagnostic();
  Result<onnx::ModelProto> model = parse_model(*bytes);
  if (!model) return std::move(model).diagnostic().in_file(path.string());
  return model;
}

Result<onnx::TensorProto> parse_tensor(const std::string& bytes) {
  return guarded([&]() -> Result<onnx::TensorProto> {
    onnx::TensorProto tensor;
    if (Status s = parse(bytes, tensor); !s) return std::move(s).diagnostic();
    return tensor;
  });
}

bool is_plain_text(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto at = [&](size_t k) {
      return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u;
    };
    unsigned lead = at(0);
    if (lead < 0x20 || lead == 0x7f) return false;
    size_t length = lead < 0x80       ? 1
                    : lead >> 5 == 6  ? 2
                    : lead >> 4 == 14 ? 3
                    : lead >> 3 == 30 ? 4
                                      : 0;
    if (length == 0) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t k = 1; k < length; ++k) {
      if (at(k) >> 6 != 2) return false;
      code = code << 6 | (at(k) & 0x3fu);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    bool control = code >= 0x80 && code < 0xa0;
    if (code < kSmallest[length] || code > 0x10ffff || surrogate || control) return false;
    i += length;
  }
  return true;
}

Result<Opsets> read_opsets(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const onnx::OperatorSetIdProto& import : imports) {
    auto [it, added] = opsets.emplace(plain_domain(import.domain()), import.version());
    if (!added && it->second != import.version())
      return error(
          DiagId::bad_opset,
          fmt::format("opset {} and opset {} of domain '{}' are imported, only one can be.",
                      it->second, import.version(), it->first));
  }
  auto it = opsets.find("");
  if (it == opsets.end()) return opsets;
  if (it->second < limits::kOldestOpset)
    return error(DiagId::unsupported_node,
                 fmt::format("the model uses opset {}, kiln reads opset {} to {}.", it->second,
                             limits::kOldestOpset, limits::kNewestOpset),
                 "export it again with a newer opset, or convert it with onnx.version_converter.");
  if (it->second > limits::kNewestOpset)
    return error(DiagId::unsupported_node,
                 fmt::format("the model uses opset {}, kiln reads opset {} to {}.", it->second,
                             limits::kOldestOpset, limits::kNewestOpset),
                 fmt::format("export it again with opset {} or older.", limits::kNewestOpset));
  return opsets;
}

}  // namespace kiln
