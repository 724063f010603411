// SPDX-License-Identifier: Apache-2.0
// One file of sample data, as it is stored: .npy, .npz, .pb, .csv, .png, .jpg, .wav.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct StoredArray {
  enum class Kind { array, image, audio };

  std::string name;  ///< of an .npz member or a TensorProto; else the file's without its extension
  Tensor values;     ///< image: u8[height,width,channels]; audio: f32[frames], the mean of its channels, full scale at -1 and 1
  Kind kind = Kind::array;
  int64_t sample_rate = 0;  ///< of audio, hertz
};

/// Whether the file's name ends in one of the types above, in capitals or not.
bool is_sample_file(const std::filesystem::path& path);
/// Whether such a file may hold more than one sample.
bool may_hold_many(const std::filesystem::path& path);
/// One array, or all of an .npz. Errors: cannot_read, bad_input_data, unsupported_tensor.
Result<std::vector<StoredArray>> read_sample_file(const std::filesystem::path& path);

}  // namespace kiln
