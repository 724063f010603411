// SPDX-License-Identifier: Apache-2.0
// Sizes of the register tiles that blocked kernels compute at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "targets/kernels/layer_facts.h"

namespace kiln::kernels {

/// `count` split into equal blocks of at most `largest`: the size of one.
int32_t even_block(int32_t count, int32_t largest);

/// Output columns whose windows lie inside the input (nn::interior).
template <class D>
int32_t interior_columns(const D& d) {
  int32_t first = ceil_div(d.pad_left, d.stride_w);
  int32_t slack = d.in_w + d.pad_left - (d.kernel_w - 1) * d.dilation_w - 1;
  int32_t last = slack < 0 ? -1 : std::min(slack / d.stride_w, d.out_w - 1);
  return std::max(0, last - first + 1);
}

/// Below this a vector kernel is no better than the reference.
inline constexpr int32_t kMinChannels = 4;

/// A tile of `pixels` x (`vectors` * `lanes`) sums.
struct TileShape {
  int32_t lanes, vectors, pixels;
};

/// The tile for `channels` >= kMinChannels output channels of `pixels` pixels that lie side by side. It stays in registers, beside
/// `vectors` registers of weights and one or two inputs. Wider tiles read each weight and each input fewer times, so it is as large as
/// `registers` allows; where a layer has few channels or pixels the sizes are chosen to waste the least work in the last,
/// overlapping block. `most_lanes`: of a register, a power of two.
TileShape choose_tile(int32_t most_lanes, int32_t registers, int32_t channels, int32_t pixels);

}  // namespace kiln::kernels
