// SPDX-License-Identifier: Apache-2.0
// onnx::TensorProto -> Tensor, in all forms of storage.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>

#include "compiler/frontend/external_data.h"
#include "compiler/ir/tensor.h"

namespace kiln {

/// The DType of a TensorProto.DataType number, or nothing for strings, complex numbers, 8-bit
/// floats and numbers not known.
std::optional<DType> dtype_from_onnx(int32_t data_type);
/// The TensorProto.DataType number of a DType.
int32_t onnx_number(DType dtype);
/// "string", "complex64", ..., or the number.
std::string onnx_type_name(int32_t data_type);

/// Errors: bad_initializer, bad_external_data, bad_dimensions, limit_exceeded, unsupported_tensor.
/// `external` null: a tensor file that stands alone, with no folder to look for data in.
Result<Tensor> tensor_from_proto(const onnx::TensorProto& proto, const ExternalData* external);

/// The tensor with its elements in raw_data. 4-bit types are not written.
onnx::TensorProto tensor_to_proto(const Tensor& tensor, const std::string& name);

/// What the raw_data of a tensor with external data would be. Errors as above.
Result<std::string> raw_external_data(const onnx::TensorProto& proto, const ExternalData& external);

}  // namespace kiln
