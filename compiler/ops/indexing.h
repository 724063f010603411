// SPDX-License-Identifier: Apache-2.0
// What operators share that choose elements by positions computed at run time: positions become numbers of elements (or of slices) of the
// flattened tensor, which core gather and scatter take.
#pragma once

#include <vector>

#include "compiler/ops/op_util.h"

namespace kiln {

/// Refuses indices that are not i32 or i64 (bad_node).
Status check_indices(const TensorType& index);
/// Integers of an index type as a constant.
ValueId index_constant(GraphBuilder& b, DType dtype, const Shape& shape, const std::vector<int64_t>& values);
/// Negative indices count from the end: index < 0 ? index + size : index. `sizes` broadcasts to the index.
Result<ValueId> count_from_end(GraphBuilder& b, ValueId index, ValueId sizes);
/// For each element of a tensor of `shape` the sum of position[d] * stride[d].
std::vector<int64_t> positions(const Shape& shape, const std::vector<int64_t>& strides);

/// The numbers of elements in a tensor of `shape` for indices along `axis`, one per element of `index` (as GatherElements has them). Constant indices
/// outside are refused (bad_node); in a tensor of one dimension the indices are returned as they are, negative ones included.
Result<ValueId> element_positions(GraphBuilder& b, ValueId index, const Shape& shape, size_t axis);
/// The numbers of slices in a tensor of `shape` for indices [batch..., points..., k] of the k dimensions behind `batch` dimensions (as GatherND has
/// them); result [batch..., points...]. Checks as element_positions; for k = 1 and no batch the indices are returned as they are.
Result<ValueId> slice_positions(GraphBuilder& b, ValueId index, const Shape& shape, int64_t batch);

}  // namespace kiln
