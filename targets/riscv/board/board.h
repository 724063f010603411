// SPDX-License-Identifier: 0BSD
// What the device harness needs of QEMU's RISC-V board `virt`: semihosting calls and a counter of instructions.
#pragma once

#include <stdint.h>

extern "C" uintptr_t semihosting(uintptr_t operation, const void* argument);

__attribute__((always_inline)) inline void* stack_pointer() {
  void* sp;
  __asm__ volatile("mv %0, sp" : "=r"(sp));
  return sp;
}

// Instructions since reset.
inline uint64_t instruction_count() {
#if __riscv_xlen == 64
  uint64_t count;
  __asm__ volatile("csrr %0, minstret" : "=r"(count));
  return count;
#else
  uint32_t high, low, again;
  do {
    __asm__ volatile("csrr %0, minstreth" : "=r"(high));
    __asm__ volatile("csrr %0, minstret" : "=r"(low));
    __asm__ volatile("csrr %0, minstreth" : "=r"(again));
  } while (high != again);
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}
