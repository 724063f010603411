// SPDX-License-Identifier: 0BSD
// What the device harness needs of a Cortex-M board in QEMU: semihosting calls and a clock. KILN_CLOCK_HZ is the rate of SysTick; with
// `-icount shift=0` an instruction takes a nanosecond of the board's time.
#pragma once

#include <stdint.h>

inline uintptr_t semihosting(uintptr_t operation, const void* argument) {
  register uintptr_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

__attribute__((always_inline)) inline void* stack_pointer() {
  void* sp;
  __asm__ volatile("mov %0, sp" : "=r"(sp));
  return sp;
}

// Instructions since the first call, to within one tick. To be called at least every 2^24 ticks.
inline uint64_t instruction_count() {
  volatile uint32_t* const systick = reinterpret_cast<volatile uint32_t*>(0xe000e010u);
  static uint32_t last = 0;
  static uint64_t ticks = 0;
  if ((systick[0] & 1u) == 0) {
    systick[1] = 0xffffffu;
    systick[2] = 0;
    systick[0] = 5;  // enabled, from the core's clock
    last = systick[2];
  }
  const uint32_t now = systick[2];
  ticks += (last - now) & 0xffffffu;
  last = now;
  return ticks * 1000000000u / KILN_CLOCK_HZ;
}
