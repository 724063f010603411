// SPDX-License-Identifier: Apache-2.0
// Problem: y = quantize(a_real + b_real) is a plane over the pairs (a, b), cut into steps by float roundings. Replace it by
// (a * p + b * q + offset) >> shift, and a product by a similar form.
// Method: p and q follow from the scales, rounded to as many bits as fit, and their neighbours are tried as well. Given p and q,
// every pair says between which bounds the offset must lie for the right result, so one pass over all pairs either finds an offset or
// shows that there is none. That pass is the proof. Ties of the float formula (scales like 1 : 2) and sums that float rounding moves over
// a tie are what leaves some operators without a form.
#include "targets/kernels/qbinary_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "nn/functors.h"
#include "nn/ref/qelementwise.h"

namespace kiln::kernels {
namespace {

constexpr int kBytes = 256;
/// Bits that are tried less than fit: where rounding of p and q spoils the first.
constexpr int32_t kFewerBits = 4;

struct Operand {
  int32_t lowest;
  [[nodiscard]] int32_t value(int i) const { return lowest + i; }
};

/// The results of the float formula by position of a and b, and the operands.
struct Pairs {
  Operand a, b;
  std::vector<int32_t> results;
};

template <class F>
std::vector<int32_t> literal_results(const QBinary& d, Operand a, Operand b) {
  QBinary row = d;
  const std::array<int64_t, 1> dims{kBytes}, one{1}, zero{0};
  row.rank = 1, row.dims = Dims(dims), row.a_strides = Dims(zero), row.b_strides = Dims(one);
  std::vector<int32_t> others, out(static_cast<size_t>(kBytes) * kBytes);
  for (int i = 0; i < kBytes; ++i) others.push_back(b.value(i));
  for (int i = 0; i < kBytes; ++i) {
    int32_t value = a.value(i);
    nn::ref::qbinary<F, nn::fn::none>(row, &value, others.data(), out.data() + static_cast<ptrdiff_t>(i) * kBytes);
  }
  return out;
}

/// The offsets with which (sum + offset) >> shift, clamped, is `result` for all pairs; `sum(a, b)` is what the form adds it to.
template <class Sum>
std::optional<std::pair<int64_t, int64_t>> offsets(const QBinary& d, const Pairs& pairs, int32_t shift, const Sum& sum) {
  int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < kBytes; ++i) {
    for (int k = 0; k < kBytes; ++k) {
      int64_t result = pairs.results[static_cast<size_t>(i * kBytes + k)], at = sum(pairs.a.value(i), pairs.b.value(k));
      if (result > d.low) least = std::max(least, (result << shift) - at);
      if (result < d.high) most = std::min(most, ((result + 1) << shift) - 1 - at);
    }
    if (least > most) return std::nullopt;
  }
  // Where all results are clamped, one side is open.
  if (least == std::numeric_limits<int64_t>::min()) least = most;
  if (most == std::numeric_limits<int64_t>::max()) most = least;
  return std::pair(least, most);
}

bool fits_int32(double x) { return std::abs(x) < 2147483647.0; }

/// In 32 bits: every intermediate result fits.
std::optional<IntegerForm> sum_form(const QBinary& d, const Pairs& pairs, double a_ratio, double b_ratio) {
  auto extent = [&](int32_t shift) {
    double offset = std::abs(d.y_zero_point) + 1 + std::abs(d.a_zero_point * a_ratio) + std::abs(d.b_zero_point * b_ratio);
    return std::ldexp(256 * (std::abs(a_ratio) + std::abs(b_ratio)) + offset, shift) + 2048;
  };
  int32_t shift = 24;
  while (shift > 0 && !fits_int32(extent(shift))) --shift;
  for (int32_t last = std::max(shift - kFewerBits, 1); shift >= last; --shift) {
    auto p = static_cast<int32_t>(std::lround(std::ldexp(a_ratio, shift))),
         q = static_cast<int32_t>(std::lround(std::ldexp(b_ratio, shift)));
    for (int32_t dp : {0, 1, -1}) {
      for (int32_t dq : {0, 1, -1}) {
        auto found = offsets(d, pairs, shift, [&](int32_t a, int32_t b) { return int64_t{a} * (p + dp) + int64_t{b} * (q + dq); });
        if (!found) continue;
        int64_t middle = found->first + (found->second - found->first) / 2;
        if (fits_int32(std::abs(static_cast<double>(middle)) + 256.0 * (std::abs(p) + std::abs(q) + 2)))
          return IntegerForm{p + dp, q + dq, static_cast<int32_t>(middle), shift};
      }
    }
  }
  return std::nullopt;
}

/// In 64 bits, the factor in 31.
std::optional<IntegerForm> product_form(const QBinary& d, const Pairs& pairs, double ratio) {
  int32_t shift = 30 - static_cast<int32_t>(std::ceil(std::log2(ratio)));
  if (shift < 17 || shift > 45) return std::nullopt;
  auto factor = static_cast<int32_t>(std::lround(std::ldexp(ratio, shift)));
  for (int32_t change : {0, 1, -1, 2, -2}) {
    auto found = offsets(d, pairs, shift,
                         [&](int32_t a, int32_t b) { return int64_t{(a - d.a_zero_point) * (b - d.b_zero_point)} * (factor + change); });
    if (!found) continue;
    // The offset comes in units of 2^(shift - 16).
    int64_t unit = int64_t{1} << (shift - 16), offset = (found->first + (found->second - found->first) / 2) >> (shift - 16);
    for (int64_t o : {offset, offset + 1})
      if (o * unit >= found->first && o * unit <= found->second) return IntegerForm{factor + change, 0, static_cast<int32_t>(o), shift};
  }
  return std::nullopt;
}

std::optional<IntegerForm> form_of(const KernelContext& c) {
  return integer_form(std::get<QBinary>(c.call.descriptor), c.call.functors[0], input_type(c, 0), input_type(c, 1));
}

}  // namespace

std::optional<IntegerForm> integer_form(const QBinary& d, std::string_view functor, DType a_type, DType b_type) {
  Pairs pairs{{is_signed_integer(a_type) ? -128 : 0}, {is_signed_integer(b_type) ? -128 : 0}, {}};
  double a_scale = d.a_scale, b_scale = d.b_scale, y_scale = d.y_scale;
  if (!(a_scale > 0 && b_scale > 0 && y_scale > 0)) return std::nullopt;
  if (functor == "add") {
    pairs.results = literal_results<nn::fn::add>(d, pairs.a, pairs.b);
    return sum_form(d, pairs, a_scale / y_scale, b_scale / y_scale);
  }
  if (functor == "sub") {
    pairs.results = literal_results<nn::fn::sub>(d, pairs.a, pairs.b);
    return sum_form(d, pairs, a_scale / y_scale, -b_scale / y_scale);
  }
  if (functor != "mul") return std::nullopt;
  pairs.results = literal_results<nn::fn::mul>(d, pairs.a, pairs.b);
  return product_form(d, pairs, a_scale * b_scale / y_scale);
}

Refusal refuse_qbinary_integers(const KernelContext& c) {
  for (size_t operand : {size_t{0}, size_t{1}})
    if (DType dtype = input_type(c, operand); element_bytes(dtype) != 1) return fmt::format("it computes bytes, not {}", dtype_name(dtype));
  const std::string& functor = c.call.functors[0];
  if (functor != "add" && functor != "sub" && functor != "mul") return fmt::format("it has no form for {}", functor);
  if (c.call.functors[1] != "none") return fmt::format("it has no form for {}", c.call.functors[1]);
  // 64-bit products are slower than floats where those come in vectors.
  if (functor == "mul" && c.target.capabilities & kFloatLoops) return "float vectors are faster";
  if (!form_of(c)) return "no factors give the float formula's result for all pairs of operands";
  return std::nullopt;
}

Tuning tune_qbinary_integers(const KernelContext& c) {
  IntegerForm form = *form_of(c);
  return {{"a_factor", form.a_factor}, {"b_factor", form.b_factor}, {"offset", form.offset}, {"shift", form.shift}};
}

}  // namespace kiln::kernels
