// SPDX-License-Identifier: Apache-2.0
// What float and integer products of matrices share: NumPy's product of two operands of at least two dimensions.
#pragma once

#include "compiler/ops/op_util.h"

namespace kiln {

/// The shape of the result. Errors: bad_node when the operands do not fit.
Result<Shape> matmul_shape(const OpArgs& args);

/// Batches and sizes of a node that matmul_shape has accepted.
struct MatmulLoops {
  Shape batch;
  std::vector<int64_t> a_strides, b_strides;
  int64_t m = 0, n = 0, k = 0;
};
MatmulLoops matmul_loops(const OpArgs& args);

/// Geometry into a Matmul or QMatmul descriptor; args.outputs must be there.
template <class D>
void describe_matmul(D& d, const OpArgs& args) {
  const MatmulLoops loops = matmul_loops(args);
  d.rank = static_cast<int32_t>(loops.batch.size());
  d.batch = Dims(loops.batch);
  d.a_strides = Dims(loops.a_strides);
  d.b_strides = Dims(loops.b_strides);
  d.m = static_cast<int32_t>(loops.m);
  d.n = static_cast<int32_t>(loops.n);
  d.k = static_cast<int32_t>(loops.k);
}

}  // namespace kiln
