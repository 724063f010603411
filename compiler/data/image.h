// SPDX-License-Identifier: Apache-2.0
// Pictures: PNG by libpng, JPEG by libjpeg-turbo, as the numbers stored in them. No colour management: gamma and profiles are not
// applied, transparency is left out, 16 bits per channel are scaled to 8.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

inline constexpr uint32_t kMaxPictureSide = 1 << 15;  ///< in pixels; larger pictures are refused

/// Whether a picture is small enough to be unpacked (limits::kPictureNumbers), by what the header of its file says.
[[nodiscard]] bool picture_fits(int64_t height, int64_t width, int64_t channels);
/// The bad_input_data for one that is not.
[[nodiscard]] Diagnostic picture_too_large(int64_t height, int64_t width, int64_t channels);

/// u8[height,width,channels]: 1 channel for grey pictures, 3 (red, green, blue) for all others. Errors: bad_input_data, also when the file
/// ends early.
Result<Tensor> decode_png(std::string_view bytes);
Result<Tensor> decode_jpeg(std::string_view bytes);

/// A picture of real numbers, row by row, channels last.
struct Picture {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<double> values;
};

/// Grey is repeated in all channels; colour becomes grey by 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as stored and so without rounding.
/// `channels` and the picture's are 1 or 3.
Picture with_channels(const Picture& picture, int64_t channels);

/// Pixel centres at half indices, as in ONNX Resize `half_pixel`. No low-pass filter: shrinking to less than half by `bilinear` skips
/// pixels.
Picture resized_nearest(const Picture& picture, int64_t height, int64_t width);
Picture resized_bilinear(const Picture& picture, int64_t height, int64_t width);

}  // namespace kiln
