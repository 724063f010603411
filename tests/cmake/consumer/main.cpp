// SPDX-License-Identifier: Apache-2.0
// Prints y = scale * x for x = 1, 2, 3, 4, having passed x through relu; scale is in the model's external data.
#include <cstdint>
#include <cstdio>

#include "affine.h"
#include "relu.h"

namespace {
alignas(AFFINE_ARENA_ALIGN) uint8_t affine_arena[AFFINE_ARENA_BYTES];
alignas(RELU_ARENA_ALIGN) uint8_t relu_arena[RELU_ARENA_BYTES];
}  // namespace

int main() {
  for (int i = 0; i < 4; ++i) relu_input_x(relu_arena)[i] = static_cast<float>(i + 1);
  relu_run(relu_arena);
  for (int i = 0; i < 4; ++i) affine_input_x(affine_arena)[i] = relu_output_y(relu_arena)[i];
  affine_run(affine_arena);
  for (int i = 0; i < 4; ++i) std::printf("%g ", static_cast<double>(affine_output_y(affine_arena)[i]));
  std::printf("\n");
  return 0;
}
