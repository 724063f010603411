// SPDX-License-Identifier: Apache-2.0
#include "targets/boards.h"

#include <fmt/format.h>

namespace kiln {
namespace {

/// The loader of QEMU puts initialised data into RAM, so nothing has to be copied at start-up.
std::string linker_script(const MemoryMap& map) {
  return fmt::format(R"(ENTRY(board_reset)
MEMORY {{
  FLASH (rx) : ORIGIN = {:#x}, LENGTH = {}
  RAM (rwx) : ORIGIN = {:#x}, LENGTH = {}
}}
SECTIONS {{
  .text : {{ KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.srodata*) }} > FLASH
  .ARM.exidx : {{ *(.ARM.exidx*) }} > FLASH
  .data : {{ *(.data*) *(.sdata*) }} > RAM
  .bss (NOLOAD) : {{ . = ALIGN(8); board_bss_start = .; *(.bss*) *(.sbss*) *(COMMON) . = ALIGN(8); board_bss_end = .; }} > RAM
  . = ALIGN(16);
  board_stack_limit = .;
  board_stack_top = ORIGIN(RAM) + LENGTH(RAM);
  /DISCARD/ : {{ *(.eh_frame*) *(.comment) *(.note*) *(.ARM.attributes) *(.riscv.attributes) }}
}}
)",
                     map.flash_origin, map.flash_bytes, map.ram_origin, map.ram_bytes);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> board_image_files(std::string_view family, const MemoryMap& map) {
  std::string folder = std::string(family) + "/board/";
  std::vector<std::pair<std::string, std::string>> files{{"link.ld", linker_script(map)}};
  for (const EmbeddedHeader& file : board_files())
    if (std::string_view(file.path).starts_with(folder)) files.emplace_back(std::string(file.path).substr(folder.size()), file.text);
  return files;
}

}  // namespace kiln
