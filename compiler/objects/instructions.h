// SPDX-License-Identifier: Apache-2.0
// The few instructions that must be recognised in machine code, because relocations do not show them.
#pragma once

#include <string_view>

namespace kiln {

/// Whether a function in Thumb code calls its own first instruction (BL, encoding T1 of the Armv7-M Architecture Reference Manual).
bool thumb_calls_start(std::string_view code);

/// The same in RISC-V code, where assemblers make AUIPC and JALR of a call.
bool riscv_calls_start(std::string_view code);

/// Bytes that Thumb code takes of the stack by SUB SP before its first PUSH: room for arguments that came in registers, beside others that
/// came on the stack. GCC leaves it out of the frames that it states.
int thumb_argument_bytes(std::string_view code);

/// Whether RISC-V code reads vlenb, the length of vector registers, as it does to save some of them on the stack.
bool riscv_reads_vlenb(std::string_view code);

}  // namespace kiln
