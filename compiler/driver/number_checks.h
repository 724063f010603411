// SPDX-License-Identifier: Apache-2.0
// Checks of the numbers that options take; their messages name the bound that is broken.
#pragma once

#include <cstdint>
#include <limits>

namespace CLI {
class Validator;
}

namespace kiln {

/// An integer from `least` to `most`.
CLI::Validator whole_number(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());
/// A number, not NaN, from `least` to `most`.
CLI::Validator real_number(double least = -std::numeric_limits<double>::infinity(), double most = std::numeric_limits<double>::infinity());

}  // namespace kiln
