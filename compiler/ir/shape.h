// SPDX-License-Identifier: Apache-2.0
// Static shapes and the arithmetic that operators share. A dimension is at least 0; a scalar has no dimensions.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/limits.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

using Shape = std::vector<int64_t>;

/// The product of the dimensions; 1 for a scalar. The shape must have passed check_shape.
int64_t element_count(std::span<const int64_t> shape);
/// "[1,25,5,64]".
std::string to_string(std::span<const int64_t> shape);
/// Refuses negative dimensions, more than limits::kRank of them, and more than limits::kElements elements (limit_exceeded).
Status check_shape(std::span<const int64_t> shape);
/// NumPy broadcasting of two shapes, or nothing when they do not match.
std::optional<Shape> broadcast(std::span<const int64_t> a, std::span<const int64_t> b);
/// Elements from one index to the next in each dimension of a dense row-major tensor.
std::vector<int64_t> row_major_strides(std::span<const int64_t> shape);
/// Strides that read `shape` as if it were broadcast to `to`: 0 where a dimension is repeated.
std::vector<int64_t> broadcast_strides(std::span<const int64_t> shape, std::span<const int64_t> to);
/// Maps axis in [-rank, rank) to [0, rank), or nothing.
std::optional<int64_t> normalize_axis(int64_t axis, int64_t rank);
/// The product of shape[first..last).
int64_t product(std::span<const int64_t> shape, size_t first, size_t last);
/// out[i] = shape[perm[i]].
Shape permute(std::span<const int64_t> shape, std::span<const int64_t> perm);
bool is_identity_permutation(std::span<const int64_t> perm);
std::vector<int64_t> inverse_permutation(std::span<const int64_t> perm);

}  // namespace kiln
