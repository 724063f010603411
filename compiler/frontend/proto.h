// SPDX-License-Identifier: Apache-2.0
// Bytes -> protobuf message, with everything that protobuf leaves open closed: depth, exceptions,
// and names that are no text.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "compiler/support/diagnostics.h"

namespace kiln {

/// Parses the bytes of a model file and checks what holds for every part of it: all names are plain
/// text of sensible length, lists have sensible lengths, there is a graph. Errors: not_onnx,
/// limit_exceeded.
Result<onnx::ModelProto> parse_model(const std::string& bytes);
/// Reads and parses. Errors: those of read_file and parse_model, with the file named.
Result<onnx::ModelProto> read_model(const std::filesystem::path& path);
/// Parses a TensorProto file. Errors: not_onnx, limit_exceeded.
Result<onnx::TensorProto> parse_tensor(const std::string& bytes);

/// UTF-8 without control characters: what may go into messages, comments of emitted code and JSON.
bool is_plain_text(std::string_view text);

/// Domain -> version. The default domain is "" (ONNX also spells it "ai.onnx").
using Opsets = std::map<std::string, int64_t, std::less<>>;
inline std::string_view plain_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view{} : domain;
}
/// Errors: bad_opset for a default domain outside limits::kOldestOpset to kNewestOpset, and for
/// contradictions.
Result<Opsets> read_opsets(
    const google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto>& imports);

/// Runs `f`, which returns a Result, and turns what protobuf throws and a lack of memory into a
/// Diagnostic.
template <class F>
auto guarded(F&& f) -> decltype(f()) {
  google::protobuf::LogSilencer quiet;
  try {
    return f();
  } catch (const google::protobuf::FatalException& e) {
    return error(DiagId::not_onnx,
                 std::string("protobuf cannot process the file: ") + e.what() + ".");
  } catch (const std::bad_alloc&) {
    return error(DiagId::limit_exceeded, "there is not enough memory for this model.");
  }
}

}  // namespace kiln
