// SPDX-License-Identifier: Apache-2.0
// The main program of emitted code under test: many bundles in one process (conformance_batch.h writes the table).
//
// program FIRST INPUTS OUTPUTS
//   FIRST    number of the first case to run
//   INPUTS   of these cases one after the other, per set the bytes of all inputs
//   OUTPUTS  is appended to, in the same order; a case is written when it is complete
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace conformance {

struct Port {
  void* (*at)(void* arena);
  size_t bytes;
};

struct Case {
  const char* name;
  size_t arena_bytes, arena_align, sets;
  void (*run)(void* arena);
  const Port* inputs;
  size_t input_count;
  const Port* outputs;
  size_t output_count;
};

constexpr unsigned kSecondsPerCase = 20;
constexpr size_t kGuardBytes = 4096;
constexpr unsigned char kGuard = 0xa5, kPoison = 0xff;  // 0xff: NaN in every float type, -1 in integers

[[noreturn]] inline void stop(const char* why, const char* name) {
  fprintf(stderr, "%s: %s\n", name, why);
  exit(1);
}

// An arena of exactly the stated size, with guard bytes behind it.
inline unsigned char* make_arena(const Case& c) {
  void* block = nullptr;
  if (posix_memalign(&block, c.arena_align < sizeof(void*) ? sizeof(void*) : c.arena_align, c.arena_bytes + kGuardBytes) != 0)
    stop("no memory for the arena", c.name);
  memset(block, kPoison, c.arena_bytes);
  memset(static_cast<unsigned char*>(block) + c.arena_bytes, kGuard, kGuardBytes);
  return static_cast<unsigned char*>(block);
}

inline void run_case(const Case& c, FILE* in, FILE* out) {
  alarm(kSecondsPerCase);
  unsigned char* arena = make_arena(c);
  for (size_t set = 0; set < c.sets; ++set) {
    for (size_t i = 0; i < c.input_count; ++i)
      if (fread(c.inputs[i].at(arena), 1, c.inputs[i].bytes, in) != c.inputs[i].bytes) stop("the inputs end early", c.name);
    c.run(arena);
    for (size_t i = 0; i < kGuardBytes; ++i)
      if (arena[c.arena_bytes + i] != kGuard) stop("a byte behind the arena was overwritten", c.name);
    for (size_t i = 0; i < c.output_count; ++i)
      if (fwrite(c.outputs[i].at(arena), 1, c.outputs[i].bytes, out) != c.outputs[i].bytes) stop("cannot write the outputs", c.name);
  }
  if (fflush(out) != 0) stop("cannot write the outputs", c.name);
  free(arena);
}

inline int run_cases(const Case* cases, size_t count, int argc, char** argv) {
  if (argc != 4) stop("usage: FIRST INPUTS OUTPUTS", argv[0]);
  FILE *in = fopen(argv[2], "rb"), *out = fopen(argv[3], "ab");
  if (!in || !out) stop("cannot open the files", argv[0]);
  for (size_t i = strtoul(argv[1], nullptr, 10); i < count; ++i) run_case(cases[i], in, out);
  return 0;
}

}  // namespace conformance
