// SPDX-License-Identifier: 0BSD
// Start-up of a Cortex-M: vectors, FPU, zeroed memory, main. A fault ends the run with exit code 1.
#include "board.h"

extern "C" {

extern uint32_t board_stack_top[], board_bss_start[], board_bss_end[];
int main();

[[noreturn]] void board_exit(int code) {
  const uintptr_t extended[2] = {0x20026, static_cast<uintptr_t>(code)};  // ADP_Stopped_ApplicationExit
  semihosting(0x20, extended);
  while (true) {
  }
}

void board_fault() {
  semihosting(0x04, "the core took a fault\n");
  board_exit(1);
}

void board_reset() {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  *reinterpret_cast<volatile uint32_t*>(0xe000ed88u) |= 0xfu << 20;  // CPACR: floating point and MVE
  __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
  for (uint32_t* p = board_bss_start; p != board_bss_end; ++p) *p = 0;
  board_exit(main());
}

// What compilers call by the names of Arm's run-time ABI.
void* memcpy(void*, const void*, __SIZE_TYPE__);
void* memmove(void*, const void*, __SIZE_TYPE__);
void* memset(void*, int, __SIZE_TYPE__);
void __aeabi_memcpy(void* to, const void* from, __SIZE_TYPE__ bytes) { memcpy(to, from, bytes); }
void __aeabi_memcpy4(void* to, const void* from, __SIZE_TYPE__ bytes) { memcpy(to, from, bytes); }
void __aeabi_memcpy8(void* to, const void* from, __SIZE_TYPE__ bytes) { memcpy(to, from, bytes); }
void __aeabi_memmove(void* to, const void* from, __SIZE_TYPE__ bytes) { memmove(to, from, bytes); }
void __aeabi_memmove4(void* to, const void* from, __SIZE_TYPE__ bytes) { memmove(to, from, bytes); }
void __aeabi_memmove8(void* to, const void* from, __SIZE_TYPE__ bytes) { memmove(to, from, bytes); }
void __aeabi_memset(void* to, __SIZE_TYPE__ bytes, int value) { memset(to, value, bytes); }
void __aeabi_memset4(void* to, __SIZE_TYPE__ bytes, int value) { memset(to, value, bytes); }
void __aeabi_memset8(void* to, __SIZE_TYPE__ bytes, int value) { memset(to, value, bytes); }
void __aeabi_memclr(void* to, __SIZE_TYPE__ bytes) { memset(to, 0, bytes); }
void __aeabi_memclr4(void* to, __SIZE_TYPE__ bytes) { memset(to, 0, bytes); }
void __aeabi_memclr8(void* to, __SIZE_TYPE__ bytes) { memset(to, 0, bytes); }

// Reset, and one handler for all exceptions of the architecture.
__attribute__((section(".vectors"), used)) const void* const board_vectors[16] = {
    board_stack_top,
    reinterpret_cast<const void*>(&board_reset), reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault),
    reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault),
    reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault),
    reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault),
    reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault), reinterpret_cast<const void*>(&board_fault)};
}
