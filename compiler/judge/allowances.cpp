// SPDX-License-Identifier: Apache-2.0
#include "compiler/judge/allowances.h"

#include <cmath>

#include "compiler/judge/compare.h"

namespace kiln {
namespace {

/// Of a 16-bit float: the distance of neighbours at 1. 0 for other types.
double rounding_step(DType dtype) { return dtype == DType::f16 ? 0x1p-10 : dtype == DType::bf16 ? 0x1p-7 : 0; }

}  // namespace

const std::vector<AllowanceInfo>& all_allowances() {
  static const std::vector<AllowanceInfo> kAll = {
      {AllowanceKind::quantization_step, "quantization_step", "grid step",
       "ONNX Runtime sums floats where the emitted code sums integers; between two steps of the grid it may round to the other one"},
      {AllowanceKind::narrow_float, "narrow_float", "16-bit float", "either side may round to 16 bits where the other does not"},
      {AllowanceKind::layer_size, "layer_size", "size", "rounding errors of sums within a layer grow with its largest element"},
  };
  return kAll;
}

const AllowanceInfo& allowance_info(AllowanceKind kind) { return all_allowances()[static_cast<size_t>(kind)]; }

std::vector<Allowance> type_allowances(const TensorType& type) {
  std::vector<Allowance> all;
  if (type.quant && !type.quant->per_axis())
    all.push_back({AllowanceKind::quantization_step, is_float(type.dtype) ? static_cast<double>(type.quant->scale[0]) : 1, 0});
  if (const double step = rounding_step(type.dtype); step > 0) all.push_back({AllowanceKind::narrow_float, step, 4 * step});
  return all;
}

std::vector<Allowance> layer_allowances(const TensorType& type, double largest, const ComparisonRule& rule) {
  std::vector<Allowance> all = type_allowances(type);
  const double more = is_float(type.dtype) ? rule.absolute * (largest - 1) : std::floor(rule.relative * largest);
  if (more > 0) all.push_back({AllowanceKind::layer_size, more, 0});
  return all;
}

}  // namespace kiln
