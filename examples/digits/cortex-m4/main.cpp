// SPDX-License-Identifier: 0BSD
// The digits on a bare Cortex-M4, without a C library: classifies the test images with the generated 8-bit code and says how many were
// right and how long one took. Text goes to the debugger (semihosting), which QEMU shows on the terminal.
// Exit status, as QEMU returns it: 0 at least 95 % right, 1 fewer.
#include <stddef.h>
#include <stdint.h>

#include "digits_int8.h"

namespace {

constexpr int kPixels = 64, kClasses = 10;
constexpr float kPixelMax = 16.0f;

struct Record {  // format: ../train.py
  uint8_t label, ort_answer, pixels[kPixels];
};

alignas(DIGITS_INT8_ARENA_ALIGN) uint8_t arena[DIGITS_INT8_ARENA_BYTES];

uintptr_t semihosting(uintptr_t operation, const void* argument) {
  register uintptr_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void print(const char* text) { semihosting(0x04, text); }
void print(uint32_t number) {
  char digits[11];
  char* at = digits + sizeof digits;
  *--at = '\0';
  do *--at = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  print(at);
}

// SysTick counts down from 2^24 - 1 with the clock of the core: 25 MHz on this board. QEMU with -icount shift=0 gives each instruction
// a nanosecond, so that a tick is 40 instructions.
constexpr uint32_t kInstructionsPerTick = 40;
volatile uint32_t* const systick = reinterpret_cast<volatile uint32_t*>(0xe000e010u);
void start_clock() {
  systick[1] = 0xffffffu;
  systick[2] = 0;
  systick[0] = 5;
}
uint32_t ticks() { return 0xffffffu - systick[2]; }

int classify(const Record& record) {
  float* image = digits_int8_input_image(arena);
  for (int i = 0; i < kPixels; ++i) image[i] = static_cast<float>(record.pixels[i]) / kPixelMax;
  digits_int8_run(arena);
  const float* scores = digits_int8_output_scores(arena);
  int best = 0;
  for (int i = 1; i < kClasses; ++i)
    if (scores[i] > scores[best]) best = i;
  return best;
}

}  // namespace

// The test images, put into flash by the assembler.
extern "C" const Record test_images[], test_images_end[];
__asm__(
    ".section .rodata.test_images, \"a\"\n"
    ".global test_images\n.global test_images_end\n"
    "test_images: .incbin \"" TEST_IMAGES "\"\n"
    "test_images_end:\n"
    ".text");

extern "C" int main() {
  uint32_t images = 0, right = 0;
  start_clock();
  const uint32_t start = ticks();
  for (const Record* record = test_images; record != test_images_end; ++record, ++images) right += classify(*record) == record->label ? 1 : 0;
  const uint32_t elapsed = (ticks() - start) & 0xffffffu;
  print(images);
  print(" images, ");
  print(right);
  print(" right; arena ");
  print(DIGITS_INT8_ARENA_BYTES);
  print(" bytes; ");
  print(elapsed / images * kInstructionsPerTick);
  print(" instructions an image\n");
  return right * 100 >= images * 95 ? 0 : 1;
}

// ---- start-up: the vector table, the FPU, memory, main

extern "C" {

extern uint32_t stack_top[], data_start[], data_end[], data_image[], bss_start[], bss_end[];

[[noreturn]] void stop(int code) {
  const uintptr_t exit[2] = {0x20026, static_cast<uintptr_t>(code)};  // ADP_Stopped_ApplicationExit
  semihosting(0x20, exit);
  while (true) {
  }
}

[[noreturn]] void reset() {
  *reinterpret_cast<volatile uint32_t*>(0xe000ed88u) |= 0xfu << 20;  // CPACR: the FPU on
  __asm__ volatile("dsb\n\tisb" ::: "memory");
  const uint32_t* from = data_image;
  for (uint32_t* to = data_start; to != data_end; ++to) *const_cast<volatile uint32_t*>(to) = *from++;
  for (uint32_t* to = bss_start; to != bss_end; ++to) *const_cast<volatile uint32_t*>(to) = 0;
  stop(main());
}

[[noreturn]] void fault() {
  print("fault\n");
  stop(1);
}

__attribute__((section(".vectors"), used)) const void* const vectors[] = {stack_top, reinterpret_cast<const void*>(&reset), reinterpret_cast<const void*>(&fault),
                                                                           reinterpret_cast<const void*>(&fault)};
}
