// SPDX-License-Identifier: Apache-2.0
// NumPy's file formats at byte level: .npy (format versions 1 to 3) and .npz (a zip archive of .npy
// members). Source: numpy.lib.format, "NEP 1 - A Simple File Format for NumPy Arrays". Not read:
// big-endian data, structured types, objects.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/support/diagnostics.h"

namespace kiln {

struct NpyArray {
  std::string descr;  ///< "<f4", "|i1", ...: byte order, kind, bytes per element
  std::vector<int64_t> shape;
  std::string data;  ///< row-major (C order), whatever the file had
};

/// The bytes of a whole .npy file. Errors: bad_input_data.
Result<NpyArray> read_npy(std::string_view bytes);
/// The bytes of a whole .npz file: members in their order, without the ".npy" of their names.
/// Errors: bad_input_data.
Result<std::vector<std::pair<std::string, NpyArray>>> read_npz(std::string_view bytes);
/// A .npy file, format version 1.0. `data` must fill the shape.
std::string write_npy(std::string_view descr, std::span<const int64_t> shape,
                      std::string_view data);

}  // namespace kiln
