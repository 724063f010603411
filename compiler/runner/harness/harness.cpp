// SPDX-License-Identifier: Apache-2.0
// Runs a bundle on the host for `kiln run` and `kiln diff`: reads input sets from a file, writes the outputs to another.
// The generated harness_bundle.h gives kArenaBytes, kArenaAlign, kSteps, kInputs, kOutputs, run_bundle and reset_bundle.
//
// harness JOB RESULT
//   JOB:    Job; the dead ranges (per step, from before the first to after the last: uint32 count, then pairs of uint32 offset
//           and bytes), only with Job::poison; per set the bytes of all inputs.
//   RESULT: per set, for the first Job::traced_sets what the steps gave, as records: uint32 step and bytes, then the bytes, which
//           follow those of earlier records of that step; behind them a record of step kNoStep without bytes. Then the bytes of all outputs.
//           At the end uint64 median nanoseconds of a run with the first set, or 0.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "harness_bundle.h"

namespace {

// Exit codes that the host runner knows.
constexpr int kBadFile = 3, kWroteOutside = 4, kNoMemory = 5;

struct Job {
  uint32_t sets, traced_sets, timed_runs, poison;
  uint32_t arena_shortfall;  // bytes that the arena is made too small by, for tests
  uint32_t sequence_steps;   // sets from one reset to the next
};

struct Range {
  uint32_t offset, bytes;
};

constexpr unsigned char kGuard = 0xa5;
constexpr unsigned char kPoison = 0xff;  // NaN in every float type, -1 in integers
// A sanitizer finds stray accesses by itself, if nothing lies around the arena.
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGuardBytes = 0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr size_t kGuardBytes = 0;
#else
constexpr size_t kGuardBytes = 4096;
#endif
#else
constexpr size_t kGuardBytes = 4096;
#endif

[[noreturn]] void stop(int code, const char* why) {
  std::fprintf(stderr, "%s\n", why);
  std::exit(code);
}

struct File {
  FILE* handle;
  File(const char* path, const char* mode) : handle(std::fopen(path, mode)) {
    if (!handle) stop(kBadFile, path);
  }
  void read(void* to, size_t bytes) {
    if (bytes && std::fread(to, 1, bytes, handle) != bytes) stop(kBadFile, "the job ends early");
  }
  void write(const void* from, size_t bytes) {
    if (bytes && std::fwrite(from, 1, bytes, handle) != bytes) stop(kBadFile, "cannot write the result");
  }
  void close() {
    if (std::fclose(handle) != 0) stop(kBadFile, "cannot write the result");
  }
};

// The arena with guard bytes before and behind it.
class Arena {
 public:
  explicit Arena(size_t bytes) : bytes_(bytes), before_(kGuardBytes ? kArenaAlign : 0) {
    size_t total = before_ + bytes_ + kGuardBytes;
    if (posix_memalign(&block_, std::max<size_t>(kArenaAlign, sizeof(void*)), std::max<size_t>(total, 1)) != 0)
      stop(kNoMemory, "no memory for the arena");
    std::memset(block_, kGuard, total);
    std::memset(get(), kPoison, bytes_);
  }
  ~Arena() { std::free(block_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  unsigned char* get() const { return static_cast<unsigned char*>(block_) + before_; }
  void check() const {
    for (size_t i = 0; i < before_; ++i)
      if (get()[-1 - static_cast<std::ptrdiff_t>(i)] != kGuard) stop(kWroteOutside, "a byte before the arena was overwritten");
    for (size_t i = 0; i < kGuardBytes; ++i)
      if (get()[bytes_ + i] != kGuard) stop(kWroteOutside, "a byte behind the arena was overwritten");
  }

 private:
  void* block_ = nullptr;
  size_t bytes_, before_;
};

constexpr uint32_t kNoStep = 0xffffffff;

// What kiln_trace needs of the run.
File* trace_file = nullptr;

void write_record(uint32_t step, const void* data, uint32_t bytes) {
  if (!trace_file) return;
  const uint32_t head[2] = {step, bytes};
  trace_file->write(head, sizeof head);
  trace_file->write(data, bytes);
}

std::vector<std::vector<Range>> dead_ranges;  // [i]: between step i - 1 and step i

void poison(unsigned char* arena, size_t before_step) {
  if (dead_ranges.empty()) return;
  for (const Range& r : dead_ranges[before_step]) std::memset(arena + r.offset, kPoison, r.bytes);
}

void read_dead_ranges(File& job) {
  dead_ranges.resize(kSteps + 1);
  for (std::vector<Range>& ranges : dead_ranges) {
    uint32_t count;
    job.read(&count, sizeof count);
    ranges.resize(count);
    job.read(ranges.data(), count * sizeof(Range));
  }
}

void set_inputs(unsigned char* arena, const unsigned char* data) {
  for (const Port& input : kInputs) {
    std::memcpy(input.at(arena), data, input.bytes);
    data += input.bytes;
  }
}

uint64_t time_runs(unsigned char* arena, const unsigned char* inputs, uint32_t runs) {
  std::vector<uint64_t> times;
  for (uint32_t i = 0; i < runs + 1; ++i) {
    set_inputs(arena, inputs);
    auto start = std::chrono::steady_clock::now();
    run_bundle(arena);
    auto end = std::chrono::steady_clock::now();
    if (i > 0) times.push_back(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(end - start).count()));
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

}  // namespace

extern "C" void kiln_trace(uint32_t step, void* arena, const void* output, uint32_t output_bytes) {
  write_record(step, output, output_bytes);
  poison(static_cast<unsigned char*>(arena), step + 1);
}

int main(int argc, char** argv) {
  if (argc != 3) stop(kBadFile, "usage: harness JOB RESULT");
  File in(argv[1], "rb"), out(argv[2], "wb");
  Job job;
  in.read(&job, sizeof job);
  if (job.poison) read_dead_ranges(in);
  size_t input_bytes = 0;
  for (const Port& input : kInputs) input_bytes += input.bytes;
  std::vector<unsigned char> inputs(input_bytes), first;
  Arena arena(kArenaBytes - std::min<size_t>(job.arena_shortfall, kArenaBytes));
  for (uint32_t set = 0; set < job.sets; ++set) {
    in.read(inputs.data(), input_bytes);
    if (set == 0) first = inputs;
    if (set % job.sequence_steps == 0) reset_bundle(arena.get());
    set_inputs(arena.get(), inputs.data());
    poison(arena.get(), 0);
    trace_file = set < job.traced_sets ? &out : nullptr;
    run_bundle(arena.get());
    write_record(kNoStep, nullptr, 0);
    arena.check();
    for (const Port& output : kOutputs) out.write(output.at(arena.get()), output.bytes);
  }
  trace_file = nullptr;
  dead_ranges.clear();
  reset_bundle(arena.get());
  uint64_t nanoseconds = job.timed_runs ? time_runs(arena.get(), first.data(), job.timed_runs) : 0;
  out.write(&nanoseconds, sizeof nanoseconds);
  out.close();
  return 0;
}
