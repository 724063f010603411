// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "compiler/ir/tensor.h"

namespace kiln {

/// Numbers that depend on `type` and `seed` alone, on every machine alike: floats uniform in [-1, 1), 8- and 4-bit integers over their
/// whole range, booleans, other integers within [-100, 100] (unsigned: [0, 100]).
[[nodiscard]] Tensor random_tensor(TensorType type, uint64_t seed);

}  // namespace kiln
