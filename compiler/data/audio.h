// SPDX-License-Identifier: Apache-2.0
// Sound in .wav files, by libsndfile.
#pragma once

#include <cstdint>
#include <string_view>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

struct Audio {
  Tensor mono;              ///< f32[frames], the mean of all channels; full scale of integer formats is -1 and 1
  int64_t sample_rate = 0;  ///< hertz
};

/// Errors: bad_input_data, also when the file holds less than its header says.
Result<Audio> decode_wav(std::string_view bytes);

}  // namespace kiln
