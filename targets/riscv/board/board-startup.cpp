// SPDX-License-Identifier: 0BSD
// Start-up of a RISC-V core in machine mode: stack, float and vector state, zeroed memory, main. A trap ends the run with exit code 1.
#include "board.h"

extern "C" {

extern uintptr_t board_bss_start[], board_bss_end[];
int main();

// The three instructions together mean a semihosting call; they must be uncompressed and on one page.
__attribute__((naked, noinline, aligned(16))) uintptr_t semihosting(uintptr_t, const void*) {
  __asm__ volatile(
      ".option push\n\t.option norvc\n\t"
      "slli zero, zero, 0x1f\n\tebreak\n\tsrai zero, zero, 7\n\t.option pop\n\tret");
}

[[noreturn]] void board_exit(int code) {
  const uintptr_t extended[2] = {0x20026, static_cast<uintptr_t>(code)};  // ADP_Stopped_ApplicationExit
  semihosting(0x20, extended);
  while (true) {
  }
}

__attribute__((aligned(4))) void board_trap() {
  semihosting(0x04, "the core took a trap\n");
  board_exit(1);
}

void board_reset() {
  __asm__ volatile("csrw mtvec, %0" ::"r"(&board_trap));
  __asm__ volatile("csrs mstatus, %0" ::"r"(uintptr_t{0x6600}));  // FS and VS on, where the core has them
  for (uintptr_t* p = board_bss_start; p != board_bss_end; ++p) *p = 0;
  board_exit(main());
}

__attribute__((section(".vectors"), naked, used)) void board_start() {
  __asm__ volatile(".option push\n\t.option norelax\n\tla sp, board_stack_top\n\t.option pop\n\tj board_reset");
}
}
