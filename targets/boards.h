// SPDX-License-Identifier: Apache-2.0
// The files of the boards (targets/*/board) and what families of targets share in using them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "compiler/program/target.h"
#include "runtime-stubs/embedded_headers.h"

namespace kiln {

/// Every file of targets/*/board, by path below targets ("cortex-m/board/board.h").
std::span<const EmbeddedHeader> board_files();

/// Where an image lies. Bytes.
struct MemoryMap {
  uint64_t flash_origin = 0, flash_bytes = 0, ram_origin = 0, ram_bytes = 0;
};

/// The files of a family's board ("cortex-m"), and a linker script for the map: vectors and code in flash, data, zeroed data and
/// the stack in RAM.
std::vector<std::pair<std::string, std::string>> board_image_files(std::string_view family, const MemoryMap& map);

}  // namespace kiln
