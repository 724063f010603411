// SPDX-License-Identifier: Apache-2.0
// The requantization of a channel as a line in integers: runtime-stubs/nn/scalar/line.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kiln::kernels {

/// What a channel does with its sums: clamp(round(float(sum + bias) * m) + zero_point, low, high) for least <= sum <= most.
struct Staircase {
  int64_t least, most;
  int32_t bias;
  float m;
};

/// The bounds that all channels of a layer share.
struct Grid {
  int32_t zero_point, low, high;
};

/// Operands of the kernel: one offset per channel; factors has pre and post in front.
struct LineForms {
  std::vector<int32_t> offsets, factors;
  int32_t lines = 0;  ///< channels that have a line
};

/// Lines for as many channels as possible.
LineForms line_forms(std::span<const Staircase> channels, const Grid& grid);

}  // namespace kiln::kernels
