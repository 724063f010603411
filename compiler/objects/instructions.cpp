// SPDX-License-Identifier: Apache-2.0
#include "compiler/objects/instructions.h"

#include <cstdint>

namespace kiln {
namespace {

/// The word at `at`, which is even; code of both architectures is little-endian and made of halfwords.
uint32_t word_at(std::string_view code, size_t at) {
  uint32_t word = 0;
  for (size_t i = 0; i < 4; ++i) word |= uint32_t{static_cast<uint8_t>(code[at + i])} << 8 * i;
  return word;
}

int32_t sign_extended(uint32_t value, int bits) { return static_cast<int32_t>(value << (32 - bits)) >> (32 - bits); }

}  // namespace

bool thumb_calls_start(std::string_view code) {
  for (size_t at = 0; at + 4 <= code.size(); at += 2) {
    const uint32_t word = word_at(code, at), first = word & 0xffffu, second = word >> 16;
    if ((first & 0xf800u) != 0xf000u || (second & 0xd000u) != 0xd000u) continue;
    const uint32_t s = first >> 10 & 1, i1 = 1 ^ (second >> 13 & 1) ^ s, i2 = 1 ^ (second >> 11 & 1) ^ s;
    const uint32_t offset = s << 24 | i1 << 23 | i2 << 22 | (first & 0x3ffu) << 12 | (second & 0x7ffu) << 1;
    if (at > 0 && static_cast<int64_t>(at) + 4 + sign_extended(offset, 25) == 0) return true;
  }
  return false;
}

bool riscv_calls_start(std::string_view code) {
  constexpr uint32_t kAuipcRa = 0x097, kJalrRaRa = 0x080e7;
  for (size_t at = 0; at + 8 <= code.size(); at += 2) {
    const uint32_t high = word_at(code, at), low = word_at(code, at + 4);
    if ((high & 0xfffu) != kAuipcRa || (low & 0xfffffu) != kJalrRaRa) continue;
    if (at > 0 && static_cast<int64_t>(at) + static_cast<int32_t>(high & 0xfffff000u) + sign_extended(low >> 20, 12) == 0) return true;
  }
  return false;
}

int thumb_argument_bytes(std::string_view code) {
  if (code.size() < 4) return 0;
  const uint32_t word = word_at(code, 0), first = word & 0xffffu, second = word >> 16;
  const bool pushes = (second & 0xfe00u) == 0xb400u || second == 0xe92du;
  return pushes && (first & 0xff80u) == 0xb080u ? static_cast<int>(first & 0x7fu) * 4 : 0;
}

bool riscv_reads_vlenb(std::string_view code) {
  constexpr uint32_t kReadVlenb = 0xc2202073;  // CSRRS rd, vlenb, x0
  for (size_t at = 0; at + 4 <= code.size(); at += 2)
    if ((word_at(code, at) & ~0xf80u) == kReadVlenb) return true;
  return false;
}

}  // namespace kiln
