// SPDX-License-Identifier: Apache-2.0
// Problem: on cores without an FPU the float product, its rounding and the rounding to integers cost far more than the few products of many
// a sum. Replace them by floor((sum * 2^pre + offset) * factor / 2^(32 + post)), which must have the same result for every sum of a
// channel. Method: results grow with sums, so only the steps matter: the least sum T(n) with a result of at least n, for each of the at
// most 255 results n. With L = 2^(32 + post - pre) / factor, the sums per step of the line, and C = offset / 2^pre a line is right if
//   C >= n * L - T(n)  and  C < n * L - T(n) + 1  for all n.
// The width that this leaves for C is a concave function of L: golden sections find its maximum. The integers next to it are then tried
// with the kernel's own arithmetic at every step, and that is the proof. Where float rounding moves steps past what a line can do (a few
// percent of the channels), there is none.
#include "targets/kernels/scalar/line_form.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "nn/requant.h"

namespace kiln::kernels {
namespace {

/// Magnitude of sum * 2^pre + offset and of factors: high_product on Armv6-M wants both below 2^30.
constexpr int64_t kLimit = int64_t{1} << 30;
/// Few outliers among the channels shall not cost the others their precision.
constexpr double kOutliers = 0.03;

/// A sum and the result there: a line must not be below it at `first` or not reach `second.result + 1`.
struct Point {
  int64_t sum;
  int32_t result;  ///< without the zero point
};

/// Sums at which a line must be at least at the result, and those at which it must be at most there.
struct Steps {
  std::vector<Point> at_least, at_most;
};

Steps steps_of(const Staircase& s, const Grid& g) {
  auto result = [&](int64_t sum) {
    return nn::requantize_float(static_cast<int32_t>(sum + s.bias), s.m, g.zero_point, g.low, g.high) - g.zero_point;
  };
  Steps steps;
  const int32_t first = result(s.least), last = result(s.most);
  if (first > g.low - g.zero_point) steps.at_least.push_back({s.least, first});
  if (last < g.high - g.zero_point) steps.at_most.push_back({s.most, last});
  for (int32_t n = first + 1; n <= last; ++n) {
    const double real = (static_cast<double>(n) - 0.5) / static_cast<double>(s.m) - s.bias;
    int64_t sum = std::clamp(static_cast<int64_t>(std::ceil(std::clamp(real, -1e12, 1e12))), s.least + 1, s.most);
    while (sum > s.least + 1 && result(sum - 1) >= n) --sum;
    while (result(sum) < n) ++sum;
    steps.at_least.push_back({sum, n});
    steps.at_most.push_back({sum - 1, n - 1});
  }
  return steps;
}

/// The offsets, in sums, that steps leave to a line with `step` sums per result: [first, second).
std::pair<double, double> offsets(const Steps& steps, double step) {
  double least = -1e300, most = 1e300;
  for (const Point& p : steps.at_least) least = std::max(least, p.result * step - static_cast<double>(p.sum));
  for (const Point& p : steps.at_most) most = std::min(most, (p.result + 1) * step - static_cast<double>(p.sum));
  return {least, most};
}

/// The widest choice of offsets; sums per result lie between `low` and `high`.
double best_step(const Steps& steps, double low, double high) {
  auto width = [&](double step) {
    auto [least, most] = offsets(steps, step);
    return most - least;
  };
  constexpr double kGolden = 0.6180339887498949;
  double a = high - kGolden * (high - low), b = low + kGolden * (high - low), at_a = width(a), at_b = width(b);
  for (int i = 0; i < 60; ++i) {
    if (at_a < at_b) {
      low = a, a = b, at_a = at_b;
      at_b = width(b = low + kGolden * (high - low));
    } else {
      high = b, b = a, at_b = at_a;
      at_a = width(a = high - kGolden * (high - low));
    }
  }
  return (low + high) / 2;
}

/// As the kernel computes it.
bool is_right(const Steps& steps, const Staircase& s, int32_t pre, int32_t post, int64_t offset, int64_t factor) {
  auto in_range = [&](int64_t sum) { return std::abs((sum << pre) + offset) < kLimit; };
  if (factor < 0 || factor >= kLimit || std::abs(offset) >= kLimit || !in_range(s.least) || !in_range(s.most)) return false;
  auto line = [&](int64_t sum) { return (((sum << pre) + offset) * factor >> 32) >> post; };
  return std::ranges::all_of(steps.at_least, [&](const Point& p) { return line(p.sum) >= p.result; }) &&
         std::ranges::all_of(steps.at_most, [&](const Point& p) { return line(p.sum) <= p.result; });
}

struct Line {
  int32_t offset, factor;
};

std::optional<Line> find_line(const Staircase& s, const Grid& g, int32_t pre, int32_t post) {
  if (!(s.m >= 0) || std::abs(s.least + s.bias) >= kLimit || std::abs(s.most + s.bias) >= kLimit) return std::nullopt;
  const Steps steps = steps_of(s, g);
  const double unit = std::ldexp(1.0, 32 + post - pre), range = static_cast<double>(s.most - s.least) + 2;
  const double slope = std::min(1 / static_cast<double>(s.m), range * 2);
  // Lines with one step more or less over all sums miss some result.
  const double slack = steps.at_least.size() < 2 ? 0.5 : 2 / static_cast<double>(steps.at_least.size());
  const double step = best_step(steps, std::max(slope * (1 - slack), 1e-3), slope * (1 + slack));
  for (int64_t change : {0, 1, -1}) {
    const int64_t factor = std::llround(unit / step) + change;
    if (factor <= 0) continue;
    auto [least, most] = offsets(steps, unit / static_cast<double>(factor));
    if (least < -1e290) least = most - 1;
    if (most > 1e290) most = least + 1;
    const int64_t offset = std::llround(std::ldexp(least + most, pre - 1));
    for (int64_t o : {offset, offset + 1, offset - 1})
      if (is_right(steps, s, pre, post, o, factor)) return Line{static_cast<int32_t>(o), static_cast<int32_t>(factor)};
  }
  return std::nullopt;
}

/// The value that all but a few of the numbers do not exceed.
double most_of(std::vector<double> values) {
  std::ranges::sort(values);
  return values[static_cast<size_t>(static_cast<double>(values.size() - 1) * (1 - kOutliers))];
}

/// How far sums can be shifted to the left, and results must be to the right.
std::pair<int32_t, int32_t> shifts(std::span<const Staircase> channels) {
  std::vector<double> extents, multipliers;
  for (const Staircase& s : channels) {
    const double range = static_cast<double>(s.most - s.least) + 1;
    const double sums = std::max(std::abs(static_cast<double>(s.least)), std::abs(static_cast<double>(s.most)));
    const double half = std::min(0.5 / std::max(static_cast<double>(s.m), 1e-30), range);
    extents.push_back(sums + std::abs(static_cast<double>(s.bias)) + half + 1);
    multipliers.push_back(std::max(static_cast<double>(s.m), 0.5 / range));
  }
  const int32_t pre = std::clamp(29 - static_cast<int32_t>(std::ceil(std::log2(most_of(extents)))), 0, 20);
  const int32_t post = std::clamp(pre - 3 - static_cast<int32_t>(std::ceil(std::log2(most_of(multipliers)))), 0, 31);
  return {pre, post};
}

}  // namespace

LineForms line_forms(std::span<const Staircase> channels, const Grid& grid) {
  auto [pre, post] = shifts(channels);
  LineForms forms;
  forms.factors = {pre, post};
  for (const Staircase& s : channels) {
    std::optional<Line> line = find_line(s, grid, pre, post);
    forms.lines += line ? 1 : 0;
    forms.offsets.push_back(line ? line->offset : s.bias);
    forms.factors.push_back(line ? line->factor : static_cast<int32_t>(std::bit_cast<uint32_t>(s.m) | 0x80000000u));
  }
  return forms;
}

}  // namespace kiln::kernels
