// Runs a bundle on a board in QEMU for `kiln run` and `kiln diff`, without a C library: files through semihosting. JOB and RESULT are as
// in harness.cpp, without dead ranges; the result ends with uint64 bytes of stack, and, where runs are timed, uint64 instructions of a run
// of each set; when the bundle is traced, also uint64 instructions of each step of a run of the first set.
#include "board.h"
#include "harness_bundle.h"

namespace {

struct Job {
  uint32_t sets, traced_sets, timed_runs, poison, arena_shortfall, sequence_steps;
};

alignas(kArenaAlign) unsigned char arena[kArenaBytes];

constexpr uintptr_t kOpen = 0x01, kClose = 0x02, kWriteText = 0x04, kWrite = 0x05, kRead = 0x06, kSeek = 0x0a;

[[noreturn]] void stop(const char* why);

struct File {
  uintptr_t handle;

  File(const char* name, uintptr_t length, uintptr_t mode) {
    const uintptr_t block[3] = {reinterpret_cast<uintptr_t>(name), mode, length};
    handle = semihosting(kOpen, block);
    if (handle == ~uintptr_t{0}) stop("cannot open a file of the run\n");
  }
  void read(void* to, uintptr_t bytes) {
    const uintptr_t block[3] = {handle, reinterpret_cast<uintptr_t>(to), bytes};
    if (bytes && semihosting(kRead, block) != 0) stop("the job ends early\n");
  }
  void write(const void* from, uintptr_t bytes) {
    const uintptr_t block[3] = {handle, reinterpret_cast<uintptr_t>(from), bytes};
    if (bytes && semihosting(kWrite, block) != 0) stop("cannot write the result\n");
  }
  void seek(uintptr_t position) {
    const uintptr_t block[2] = {handle, position};
    semihosting(kSeek, block);
  }
  void close() { semihosting(kClose, &handle); }
};

constexpr uint32_t kNoStep = 0xffffffff;
File* trace_file = nullptr;

void write_record(uint32_t step, const void* data, uint32_t bytes) {
  if (!trace_file) return;
  const uint32_t head[2] = {step, bytes};
  trace_file->write(head, sizeof head);
  trace_file->write(data, bytes);
}

bool counts_steps = false;
uint64_t step_counts[kSteps ? kSteps : 1], step_start = 0;

void read_inputs(File& in) {
  for (const Port& input : kInputs) in.read(input.at(arena), input.bytes);
}

// Memory below the stack pointer is filled before a run; what has changed afterwards was used.
constexpr uint32_t kUntouched = 0x5aa5c33c;
extern "C" uint32_t board_stack_limit[];

uint64_t __attribute__((noinline)) stack_used(void (*run)(void*)) {
  uint32_t* const here = static_cast<uint32_t*>(stack_pointer());  // nothing of this function lies below
  for (uint32_t* p = board_stack_limit; p < here; ++p) *const_cast<volatile uint32_t*>(p) = kUntouched;
  run(arena);
  const uint32_t* p = board_stack_limit;
  while (p < here && *p == kUntouched) ++p;
  return static_cast<uint64_t>(here - p) * sizeof *p;
}

// Instructions of a run with the inputs that lie at `position`.
uint64_t count_runs(File& in, uint32_t position, uint32_t runs) {
  uint64_t total = 0;
  for (uint64_t& count : step_counts) count = 0;
  for (uint32_t i = 0; i < runs; ++i) {
    in.seek(position);
    read_inputs(in);
    counts_steps = true;
    const uint64_t start = step_start = instruction_count();
    run_bundle(arena);
    total += instruction_count() - start;
    counts_steps = false;
  }
  for (uint64_t& count : step_counts) count /= runs;
  return total / runs;
}

}  // namespace

extern "C" {

[[noreturn]] void board_exit(int code);

// The bundle and the compiler may call these. Not by themselves: loops are kept from being recognised.
#ifdef __clang__
#define KILN_PLAIN_LOOP __attribute__((no_builtin))
#else
#define KILN_PLAIN_LOOP __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif
KILN_PLAIN_LOOP void* memcpy(void* to, const void* from, __SIZE_TYPE__ bytes) {
  unsigned char* t = static_cast<unsigned char*>(to);
  const unsigned char* f = static_cast<const unsigned char*>(from);
  if (((reinterpret_cast<uintptr_t>(t) | reinterpret_cast<uintptr_t>(f)) & 3) == 0)
    for (; bytes >= 4; bytes -= 4, t += 4, f += 4) *reinterpret_cast<uint32_t*>(t) = *reinterpret_cast<const uint32_t*>(f);
  while (bytes--) *t++ = *f++;
  return to;
}
KILN_PLAIN_LOOP void* memmove(void* to, const void* from, __SIZE_TYPE__ bytes) {
  unsigned char* t = static_cast<unsigned char*>(to);
  const unsigned char* f = static_cast<const unsigned char*>(from);
  if (t <= f) return memcpy(to, from, bytes);
  while (bytes--) t[bytes] = f[bytes];
  return to;
}
KILN_PLAIN_LOOP void* memset(void* to, int value, __SIZE_TYPE__ bytes) {
  unsigned char* t = static_cast<unsigned char*>(to);
  while (bytes--) *t++ = static_cast<unsigned char>(value);
  return to;
}

void kiln_trace(uint32_t step, void*, const void* output, uint32_t output_bytes) {
  if (counts_steps) step_counts[step] += instruction_count() - step_start;
  write_record(step, output, output_bytes);
  if (counts_steps) step_start = instruction_count();
}

int main() {
  File in("job", 3, 1), out("result", 6, 5);
  Job job;
  in.read(&job, sizeof job);
  uint64_t stack = 0;
  for (uint32_t set = 0; set < job.sets; ++set) {
    if (set % job.sequence_steps == 0) reset_bundle(arena);
    read_inputs(in);
    File* const traced = set < job.traced_sets ? &out : nullptr;
    trace_file = traced;
    if (set == 0 && !traced)
      stack = stack_used(run_bundle);
    else
      run_bundle(arena);
    write_record(kNoStep, nullptr, 0);
    for (const Port& output : kOutputs) out.write(output.at(arena), output.bytes);
  }
  trace_file = nullptr;
  const uint64_t nanoseconds = 0;
  out.write(&nanoseconds, sizeof nanoseconds);
  out.write(&stack, sizeof stack);
  uint32_t set_bytes = 0;
  for (const Port& input : kInputs) set_bytes += input.bytes;
  for (uint32_t set = job.timed_runs ? job.sets : 0; set-- > 0;) {  // the first set last, whose steps are reported
    const uint64_t instructions = count_runs(in, sizeof(Job) + set * set_bytes, job.timed_runs);
    out.write(&instructions, sizeof instructions);
  }
#ifdef KILN_TRACE
  if (job.timed_runs) out.write(step_counts, sizeof(uint64_t) * kSteps);
#endif
  out.close();
  return 0;
}
}

namespace {
[[noreturn]] void stop(const char* why) {
  semihosting(kWriteText, why);
  board_exit(1);
}
}  // namespace
