// SPDX-License-Identifier: Apache-2.0
// The part of cancel-transposes that moves transposes across whole regions of operators.
//
// A region is a maximal set of connected nodes that compute in any order of dimensions: elementwise functions, concat, slice, pad,
// reductions that keep their dimensions, ... (OpDef::permute). The values that enter or leave it are where transposes stand. All values
// of a region can be kept permuted by one permutation p; each choice has a cost, the number of elements that transposes at the border
// then move. The region takes the cheapest p among those that cancel a transpose at its border, if it is cheaper than the present
// order, or as cheap with fewer transposes before the region (so that activations meet the convolution in front of them).
#pragma once

#include "passes/pass.h"

namespace kiln {

/// Permutes each region as its cost says; true when one was permuted. `tidy` merges the transposes that the values from `first_new` on stand for
/// with those around them, and drops what is dead then; it runs after each region, since neighbours that both reckon with transposes
/// between them that cancel would change their orders in turn for ever.
Result<bool> permute_regions(Graph& graph, Status (*tidy)(Graph& graph, ValueId first_new));

/// Of a transpose.
inline std::vector<int64_t> perm_of(const Node& transpose) { return transpose.attrs.ints("perm"); }

/// Elements that `transpose(w, perm)` moves: 0 when the dimensions longer than 1 keep their order.
int64_t transposed_elements(const Shape& shape, const std::vector<int64_t>& perm);

}  // namespace kiln
