// SPDX-License-Identifier: Apache-2.0
// The findings of `kiln diff`, as text and as JSON.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/judge/diff.h"

namespace kiln {

/// Tables and a verdict in words.
std::string diff_text(const DiffReport& report, bool color);
/// schema_version 1. Numbers that are infinite or unknown are null.
std::string diff_json(const DiffReport& report);
/// "step 7 conv2d 'x/Conv'", counted from 1 as in the emitted source.
std::string step_name(const LayerDiff& layer);
/// "[0,4]": the place of a row-major index.
std::string index_text(int64_t index, const Shape& shape);

}  // namespace kiln
