// SPDX-License-Identifier: Apache-2.0
#include "compiler/ir/shape.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/support/check.h"

namespace kiln {

int64_t element_count(std::span<const int64_t> shape) { return product(shape, 0, shape.size()); }

std::string to_string(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

Status check_shape(std::span<const int64_t> shape) {
  if (shape.size() > static_cast<size_t>(limits::kRank))
    return error(DiagId::limit_exceeded, fmt::format("shape {} has {} dimensions, the limit is {}.", to_string(shape), shape.size(), limits::kRank));
  int64_t count = 1;
  for (int64_t dim : shape) {
    if (dim < 0) return error(DiagId::bad_dimensions, fmt::format("shape {} has a negative dimension.", to_string(shape)));
    if (dim > limits::kElements || (count *= std::max<int64_t>(dim, 1)) > limits::kElements)
      return error(DiagId::limit_exceeded, fmt::format("shape {} has more than {} elements.", to_string(shape), limits::kElements));
  }
  return Done{};
}

std::optional<Shape> broadcast(std::span<const int64_t> a, std::span<const int64_t> b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {  // i counts from the last dimension
    int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (da != db && da != 1 && db != 1) return std::nullopt;
    out[out.size() - 1 - i] = da == 1 ? db : da;
  }
  return out;
}

std::vector<int64_t> row_major_strides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::vector<int64_t> broadcast_strides(std::span<const int64_t> shape, std::span<const int64_t> to) {
  KILN_CHECK(shape.size() <= to.size(), "broadcast to a smaller rank");
  std::vector<int64_t> own = row_major_strides(shape);
  std::vector<int64_t> strides(to.size(), 0);
  size_t lead = to.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1) strides[lead + i] = own[i];
  return strides;
}

std::optional<int64_t> normalize_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) return std::nullopt;
  return axis < 0 ? axis + rank : axis;
}

int64_t product(std::span<const int64_t> shape, size_t first, size_t last) {
  int64_t count = 1;
  for (size_t i = first; i < last; ++i) count *= shape[i];
  return count;
}

Shape permute(std::span<const int64_t> shape, std::span<const int64_t> perm) {
  Shape out;
  out.reserve(perm.size());
  for (int64_t p : perm) out.push_back(shape[static_cast<size_t>(p)]);
  return out;
}

bool is_identity_permutation(std::span<const int64_t> perm) {
  for (size_t i = 0; i < perm.size(); ++i)
    if (perm[i] != static_cast<int64_t>(i)) return false;
  return true;
}

std::vector<int64_t> inverse_permutation(std::span<const int64_t> perm) {
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  return inverse;
}

}  // namespace kiln
