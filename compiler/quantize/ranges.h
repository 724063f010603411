// SPDX-License-Identifier: Apache-2.0
// Which range of an activation to represent, from the values that calibration data give it.
//
// A smaller range has finer steps and cuts off more. Four methods:
//  minmax      all values seen;
//  percentile  cuts off the outermost (100 - p) / 2 percent on each side;
//  entropy     the threshold at which the quantized distribution tells least from the real one (Kullback-Leibler divergence), after
//              S. Migacz, "8-bit inference with TensorRT", GTC 2017; here with zeros left out, which are always exact;
//  mse         the range with the least mean squared error, where values inside err by step^2 / 12 on average and values outside by
//              their distance.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compiler/quantize/grid.h"

namespace kiln {

enum class RangeMethod { minmax, percentile, entropy, mse };
std::string_view range_method_name(RangeMethod method);
std::optional<RangeMethod> range_method_from_name(std::string_view name);

/// Counts of values in equal bins over a range that is known beforehand. Zeros are counted apart.
class Histogram {
 public:
  static constexpr size_t kBins = 2048;

  /// `range` must be finite.
  explicit Histogram(Range range) : range_(range), counts_(kBins, 0) {}
  /// Values beyond the range count in the outermost bins.
  void add(std::span<const float> values);

  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] uint64_t zeros() const { return zeros_; }
  [[nodiscard]] const std::vector<uint64_t>& counts() const { return counts_; }
  [[nodiscard]] double bin_width() const { return (range_.high - range_.low) / static_cast<double>(kBins); }
  [[nodiscard]] double center(size_t bin) const { return range_.low + (static_cast<double>(bin) + 0.5) * bin_width(); }

 private:
  Range range_;
  uint64_t zeros_ = 0;
  std::vector<uint64_t> counts_;
};

/// The range to represent with `levels` steps (255 for 8 bits, 65535 for 16). `percentile` in (0, 100], read by that method alone.
Range choose_range(const Histogram& histogram, RangeMethod method, double percentile, int32_t levels);

}  // namespace kiln
