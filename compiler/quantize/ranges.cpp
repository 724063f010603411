// SPDX-License-Identifier: Apache-2.0
#include "compiler/quantize/ranges.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace kiln {
namespace {

constexpr std::array<std::string_view, 4> kMethodNames = {"minmax", "percentile", "entropy", "mse"};

Range percentile_range(const Histogram& h, double percentile) {
  double total = static_cast<double>(h.zeros());
  for (uint64_t n : h.counts()) total += static_cast<double>(n);
  const double cut = total * (100 - percentile) / 200;
  const double zero_bin = h.bin_width() > 0 ? std::floor(-h.range().low / h.bin_width()) : 0;
  auto count = [&](size_t bin) {
    bool has_zeros = static_cast<double>(bin) == std::clamp(zero_bin, 0.0, static_cast<double>(Histogram::kBins - 1));
    return static_cast<double>(h.counts()[bin]) + (has_zeros ? static_cast<double>(h.zeros()) : 0);
  };
  size_t first = 0, last = Histogram::kBins - 1;
  for (double below = 0; first < last && (below += count(first)) <= cut;) ++first;
  for (double above = 0; last > first && (above += count(last)) <= cut;) --last;
  return {h.range().low + static_cast<double>(first) * h.bin_width(),
          h.range().high - static_cast<double>(Histogram::kBins - 1 - last) * h.bin_width()};
}

/// Counts by distance from zero, in kBins bins up to the largest.
std::vector<double> magnitudes(const Histogram& h, double largest) {
  std::vector<double> bins(Histogram::kBins, 0);
  for (size_t i = 0; i < Histogram::kBins; ++i) {
    auto at = static_cast<size_t>(std::fabs(h.center(i)) / largest * static_cast<double>(Histogram::kBins));
    bins[std::min(at, Histogram::kBins - 1)] += static_cast<double>(h.counts()[i]);
  }
  return bins;
}

/// The divergence of bins [0, used) merged into `levels` from the same with all that lies beyond added to the last.
double divergence(const std::vector<double>& bins, size_t used, size_t levels) {
  double total = 0, beyond = 0;
  for (size_t i = 0; i < bins.size(); ++i) (i < used ? total : beyond) += bins[i];
  double sum = 0;
  for (size_t level = 0; level < levels; ++level) {
    size_t first = level * used / levels, last = (level + 1) * used / levels;
    double merged = 0, filled = 0;
    for (size_t i = first; i < last; ++i) {
      merged += bins[i];
      filled += bins[i] > 0 ? 1 : 0;
    }
    for (size_t i = first; i < last; ++i) {
      double p = bins[i] + (i + 1 == used ? beyond : 0);
      if (p <= 0) continue;
      double q = bins[i] > 0 ? merged / filled : std::numeric_limits<double>::epsilon();
      sum += p / (total + beyond) * std::log(p / (total + beyond) / (q / std::max(total, 1.0)));
    }
  }
  return sum;
}

Range entropy_range(const Histogram& h, int32_t levels) {
  Range range = h.range();
  double largest = std::max(std::fabs(range.low), std::fabs(range.high));
  std::vector<double> bins = magnitudes(h, largest);
  bool one_sided = range.low >= 0 || range.high <= 0;
  size_t steps = static_cast<size_t>(one_sided ? levels + 1 : (levels + 1) / 2);
  if (steps >= Histogram::kBins) return range;
  double best = std::numeric_limits<double>::infinity();
  size_t best_used = Histogram::kBins;
  for (size_t used = steps; used <= Histogram::kBins; used += 8) {
    double d = divergence(bins, used, steps);
    if (d < best) best = d, best_used = used;
  }
  double threshold = largest * static_cast<double>(best_used) / static_cast<double>(Histogram::kBins);
  return {std::max(range.low, -threshold), std::min(range.high, threshold)};
}

/// Where a range may end; how many values lie beyond, and the squares of their distances.
struct Cut {
  double bound = 0, outside = 0, count = 0;
};

/// Candidates from the outside in, none beyond zero, which must stay representable. `upper`: for the upper end.
std::vector<Cut> cuts(const Histogram& h, bool upper) {
  constexpr size_t kStride = 4;  // bins from one candidate to the next
  double end = upper ? std::max(h.range().high, 0.0) : std::min(h.range().low, 0.0);
  std::vector<Cut> out{{end, 0, 0}};
  for (size_t used = kStride; used < Histogram::kBins; used += kStride) {
    double bound =
        upper ? h.range().high - static_cast<double>(used) * h.bin_width() : h.range().low + static_cast<double>(used) * h.bin_width();
    if (upper ? bound < 0 : bound > 0) break;
    Cut cut{bound, 0, 0};
    for (size_t i = 0; i < used; ++i) {
      size_t bin = upper ? Histogram::kBins - 1 - i : i;
      auto n = static_cast<double>(h.counts()[bin]);
      if (n == 0) continue;
      cut.count += n;
      cut.outside += n * (h.center(bin) - bound) * (h.center(bin) - bound);
    }
    out.push_back(cut);
  }
  return out;
}

Range mse_range(const Histogram& h, int32_t levels) {
  double total = 0;
  for (uint64_t n : h.counts()) total += static_cast<double>(n);
  const std::vector<Cut> lows = cuts(h, false), highs = cuts(h, true);
  Range best{lows.front().bound, highs.front().bound};
  double least = std::numeric_limits<double>::infinity();
  for (const Cut& low : lows) {
    for (const Cut& high : highs) {
      double step = (high.bound - low.bound) / levels;
      double error = (total - low.count - high.count) * step * step / 12 + low.outside + high.outside;
      if (error < least) least = error, best = {low.bound, high.bound};
    }
  }
  return best;
}

}  // namespace

std::string_view range_method_name(RangeMethod method) { return kMethodNames[static_cast<size_t>(method)]; }

std::optional<RangeMethod> range_method_from_name(std::string_view name) {
  for (size_t i = 0; i < kMethodNames.size(); ++i)
    if (kMethodNames[i] == name) return static_cast<RangeMethod>(i);
  return std::nullopt;
}

void Histogram::add(std::span<const float> values) {
  const double per_unit = bin_width() > 0 ? 1 / bin_width() : 0;
  for (float x : values) {
    if (x == 0) {
      ++zeros_;
      continue;
    }
    double at = (static_cast<double>(x) - range_.low) * per_unit;
    ++counts_[static_cast<size_t>(std::clamp(at, 0.0, static_cast<double>(kBins - 1)))];
  }
}

Range choose_range(const Histogram& histogram, RangeMethod method, double percentile, int32_t levels) {
  if (!(histogram.bin_width() > 0)) return histogram.range();
  switch (method) {
    case RangeMethod::minmax:
      break;
    case RangeMethod::percentile:
      return percentile_range(histogram, percentile);
    case RangeMethod::entropy:
      return entropy_range(histogram, levels);
    case RangeMethod::mse:
      return mse_range(histogram, levels);
  }
  return histogram.range();
}

}  // namespace kiln
