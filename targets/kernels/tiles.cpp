// SPDX-License-Identifier: Apache-2.0
#include "targets/kernels/tiles.h"

namespace kiln::kernels {
namespace {

/// A single row of outputs has no neighbours to share weights with; this many independent sums hide the latency of an addition.
constexpr int32_t kVectorsForOneRow = 8;

}  // namespace

int32_t even_block(int32_t count, int32_t largest) {
  if (count <= 0) return 1;
  return ceil_div(count, ceil_div(count, largest));
}

TileShape choose_tile(int32_t most_lanes, int32_t registers, int32_t channels, int32_t pixels) {
  int32_t most_vectors = pixels == 1 ? kVectorsForOneRow : 2;
  TileShape best{};
  int32_t best_cost = INT32_MAX;
  while (most_lanes > channels) most_lanes /= 2;
  for (int32_t lanes = most_lanes; lanes >= std::min(kMinChannels, channels); lanes /= 2) {
    for (int32_t vectors = std::min(most_vectors, channels / lanes); vectors >= 1; --vectors) {
      int32_t cost = ceil_div(channels, lanes * vectors) * vectors;
      if (cost >= best_cost) continue;
      best_cost = cost;
      best = {lanes, vectors, 1};
    }
  }
  best.pixels = even_block(pixels, std::max(1, (registers - 2 - best.vectors) / best.vectors));
  return best;
}

}  // namespace kiln::kernels
