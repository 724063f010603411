// SPDX-License-Identifier: Apache-2.0
// Det: determinants of small matrices by expansion along the rows, all matrices of a tensor at once. The minors of the last rows over every
// set of columns are computed once each, so 4 x 4 takes 28 products.
#include <map>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

constexpr int64_t kLargest = 4;

/// Element (row, column) of each matrix: [...,1,1].
Result<ValueId> matrix_element(GraphBuilder& b, ValueId x, int64_t row, int64_t column) {
  SliceSpec spec = whole_slice(b.shape(x));
  const size_t at = spec.starts.size() - 2;
  spec.starts[at] = row;
  spec.starts[at + 1] = column;
  spec.sizes[at] = spec.sizes[at + 1] = 1;
  return slice(b, x, spec);
}

/// The sum of +- element * minor over the columns of `set` (one bit each) in `row`, minors being those of the rows below.
Result<ValueId> expand_row(GraphBuilder& b, ValueId x, int64_t row, unsigned set, const std::map<unsigned, ValueId>& minors) {
  Result<ValueId> sum = kNoValue;
  bool negative = false;
  for (int64_t column = 0; set >> column; ++column) {
    const unsigned bit = 1u << column;
    if ((set & bit) == 0) continue;
    Result<ValueId> term = matrix_element(b, x, row, column);
    if (term && set != bit) term = b.add(ops::mul, {*term, minors.at(set & ~bit)});
    if (term && *sum != kNoValue) term = b.add(negative ? ops::sub : ops::add, {*sum, *term});
    if (!term) return term;
    sum = term;
    negative = !negative;
  }
  return sum;
}

ImportResult import_det(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  if (x.rank() < 2 || x.shape.back() != x.shape[x.shape.size() - 2] || x.shape.back() < 1)
    return bad_node(fmt::format("the input is {}, it must hold square matrices.", to_string(x)));
  const int64_t n = x.shape.back();
  if (n > kLargest)
    return unsupported(fmt::format("determinants of {0} x {0} matrices are not supported, the limit is {1} x {1}.", n, kLargest));
  std::map<unsigned, ValueId> minors;
  for (int64_t rows = 1; rows <= n; ++rows) {
    std::map<unsigned, ValueId> larger;
    for (unsigned set = 1; set < 1u << n; ++set) {
      if (__builtin_popcount(set) != rows) continue;
      Result<ValueId> minor = expand_row(b, node.inputs[0], n - rows, set, minors);
      if (!minor) return std::move(minor).diagnostic();
      larger[set] = *minor;
    }
    minors = std::move(larger);
  }
  return one(reshape(b, minors.begin()->second, Shape(x.shape.begin(), x.shape.end() - 2)));
}

}  // namespace

namespace ops {
const OpDef det = {
    .summary = "determinants of matrices up to 4 x 4",
    .onnx = {.type = "Det", .attrs = {}, .since = 11, .max_inputs = 1},
    .import = import_det,
};
}  // namespace ops

}  // namespace kiln
