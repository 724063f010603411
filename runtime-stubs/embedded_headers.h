// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace kiln {

/// A header below runtime-stubs/nn as it is copied into bundles.
struct EmbeddedHeader {
  std::string_view path;  ///< "nn/ref/conv2d.h"
  std::string_view text;
};

/// All of them, ordered by path.
std::span<const EmbeddedHeader> embedded_headers();

}  // namespace kiln
