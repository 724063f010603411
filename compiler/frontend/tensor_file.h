// SPDX-License-Identifier: Apache-2.0
// Tensors in files: NumPy's .npy and .npz, and ONNX TensorProto .pb with the folder layout of the
// ONNX backend tests.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// The one tensor of a .npy or .pb file. Errors: cannot_read, bad_input_data, unsupported_tensor.
Result<Tensor> load_tensor(const std::filesystem::path& path);

/// All tensors of a .npz file, or the one of a .npy or .pb file. Names: the member's, the
/// TensorProto's, or else the file's without its extension.
Result<std::vector<NamedTensor>> load_tensors(const std::filesystem::path& path);

/// The bytes of a .npy file (format version 1.0, C order).
std::string save_npy(const Tensor& tensor);

/// One folder of input_N.pb and output_N.pb files, in the order of N. Names are those in the files,
/// which may be empty.
struct TestSet {
  std::string name;  ///< of the folder
  std::vector<NamedTensor> inputs;
  std::vector<NamedTensor> outputs;
};

/// `folder` holds input_N.pb and output_N.pb files itself, or has test_data_set_* folders that do
/// (in the order of their numbers). Errors: cannot_read, bad_input_data where there is neither.
Result<std::vector<TestSet>> load_test_sets(const std::filesystem::path& folder);

}  // namespace kiln
