/* SPDX-License-Identifier: Apache-2.0
   Exit status 0 when relu computes max(x, 0). */
#include <stdio.h>

#include "relu.h"

static _Alignas(RELU_ARENA_ALIGN) unsigned char arena[RELU_ARENA_BYTES];

int main(void) {
  const float given[4] = {-1.0f, 2.0f, -3.0f, 4.0f};
  const float expected[4] = {0.0f, 2.0f, 0.0f, 4.0f};
  for (int i = 0; i < 4; ++i) relu_input_x(arena)[i] = given[i];
  relu_run(arena);
  for (int i = 0; i < 4; ++i) {
    const float found = relu_output_y(arena)[i];
    printf("y[%d] = %g\n", i, (double)found);
    if (found != expected[i]) return 1;
  }
  return 0;
}
