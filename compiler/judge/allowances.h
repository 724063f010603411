// SPDX-License-Identifier: Apache-2.0
// What a comparison lets pass beyond its tolerance, and why. Whoever gives a tolerance gets none of it.
#pragma once

#include <string_view>
#include <vector>

#include "compiler/ir/tensor.h"

namespace kiln {

struct ComparisonRule;

enum class AllowanceKind { quantization_step, narrow_float, layer_size };

/// In the table of AllowanceKinds.
struct AllowanceInfo {
  AllowanceKind kind;
  std::string_view key;     ///< in JSON
  std::string_view title;   ///< of its column
  std::string_view reason;  ///< a sentence without its full stop
};
/// In the order of the enumeration.
const std::vector<AllowanceInfo>& all_allowances();
const AllowanceInfo& allowance_info(AllowanceKind kind);

/// |got - expected| may be absolute + relative * |expected| more than the tolerance; of integers, in units of theirs.
struct Allowance {
  AllowanceKind kind;
  double absolute = 0, relative = 0;
};

/// For a result of this type: one step of its grid, the rounding of 16-bit floats. Mostly none.
std::vector<Allowance> type_allowances(const TensorType& type);

/// Those, and what an intermediate result gets whose largest finite magnitude is `largest`: the tolerance of `rule` is meant for numbers
/// around 1, and integers may be made from floats that differ by its relative part.
std::vector<Allowance> layer_allowances(const TensorType& type, double largest, const ComparisonRule& rule);

}  // namespace kiln
