/* SPDX-License-Identifier: Apache-2.0
   Exit status 0 when relu computes max(x, 0), and sum the sum of its inputs since the last reset. */
#include <stdio.h>

#include "relu.h"
#include "sum.h"

static _Alignas(RELU_ARENA_ALIGN) unsigned char arena[RELU_ARENA_BYTES];

static _Alignas(SUM_ARENA_ALIGN) unsigned char sum_arena[SUM_ARENA_BYTES];

/* Adds `value` to each of the sums and returns the first one. */
static float sum_step(float value) {
  for (int i = 0; i < 4; ++i) sum_input_x(sum_arena)[i] = value;
  sum_run(sum_arena);
  return sum_output_y(sum_arena)[0];
}

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
  for (int sequence = 0; sequence < 2; ++sequence) {
    sum_reset(sum_arena);
    if (sum_step(1.0f) != 1.0f || sum_step(2.0f) != 3.0f) return 1;
  }
  return 0;
}
