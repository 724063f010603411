// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/broadcasting.h"

#include <algorithm>

namespace kiln {
namespace {

/// Whether every operand steps once through the last dimension of `merged` as it steps through all of dimension `inner`.
bool continues(const LoopNest& loops, size_t inner, const LoopNest& merged) {
  for (size_t i = 0; i < loops.strides.size(); ++i)
    if (merged.strides[i].back() != loops.strides[i][inner] * loops.dims[inner]) return false;
  return true;
}

}  // namespace

LoopNest coalesce(const LoopNest& loops) {
  LoopNest out{{}, std::vector<std::vector<int64_t>>(loops.strides.size())};
  const bool empty = std::find(loops.dims.begin(), loops.dims.end(), 0) != loops.dims.end();
  for (size_t k = 0; k < loops.dims.size() && !empty; ++k) {
    if (loops.dims[k] == 1) continue;
    const bool merge = !out.dims.empty() && continues(loops, k, out);
    if (merge) out.dims.back() *= loops.dims[k];
    else out.dims.push_back(loops.dims[k]);
    for (size_t i = 0; i < loops.strides.size(); ++i) {
      if (merge) out.strides[i].back() = loops.strides[i][k];
      else out.strides[i].push_back(loops.strides[i][k]);
    }
  }
  if (out.dims.empty()) {
    out.dims = {empty ? 0 : 1};
    for (std::vector<int64_t>& strides : out.strides) strides = {0};
  }
  return out;
}

LoopNest broadcast_loops(const Shape& to, std::initializer_list<const Shape*> operands) {
  LoopNest loops{to, {}};
  for (const Shape* shape : operands) loops.strides.push_back(broadcast_strides(*shape, to));
  return coalesce(loops);
}

}  // namespace kiln
