// SPDX-License-Identifier: Apache-2.0
// Numbers that JSON does not have.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>

namespace kiln {

/// null for infinities and NaN.
inline nlohmann::ordered_json finite(double value) { return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr); }

}  // namespace kiln
