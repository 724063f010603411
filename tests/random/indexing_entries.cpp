// SPDX-License-Identifier: Apache-2.0
// Operators that choose by index or by size, and sums along axes.
#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;

/// Indices in [-size, size): constants or a model input.
std::string indices(Sketch& s, const Shape& shape, int64_t size) {
  const DType type = s.chance(0.5) ? DType::i64 : DType::i32;
  return s.chance(0.5) ? s.weights(type, shape, static_cast<double>(-size), static_cast<double>(size - 1))
                       : s.input(type, shape, 0, static_cast<double>(size - 1));
}

std::string any_source(Sketch& s, int64_t min_rank) { return s.any(s.pick<DType>({DType::f32, DType::f32, DType::f32, DType::i32, DType::boolean}), min_rank, 4); }

size_t position(const Sketch& s, const std::string& x, int64_t axis) { return static_cast<size_t>(axis < 0 ? axis + s.rank(x) : axis); }

void make_gather(Sketch& s) {
  std::string x = any_source(s, 1);
  const int64_t axis = s.axis(x);
  s.add("Gather", {x, indices(s, s.random_shape(0, 2), s.shape(x)[position(s, x, axis)])}, {{"axis", axis}});
}

void make_gather_elements(Sketch& s) {
  std::string x = any_source(s, 1);
  const int64_t axis = s.axis(x);
  Shape shape = s.shape(x);
  shape[position(s, x, axis)] = s.dice.between(1, 5);
  s.add("GatherElements", {x, indices(s, shape, s.shape(x)[position(s, x, axis)])}, {{"axis", axis}});
}

void make_gather_nd(Sketch& s) {
  std::string x = any_source(s, 2);
  const int64_t batch = s.opset() >= 12 && s.chance(0.3) ? 1 : 0, depth = s.dice.between(1, s.rank(x) - batch);
  int64_t least = 100;
  for (int64_t i = batch; i < batch + depth; ++i) least = std::min(least, s.shape(x)[static_cast<size_t>(i)]);
  Shape shape(s.shape(x).begin(), s.shape(x).begin() + batch);
  shape.push_back(s.dice.between(1, 4));
  shape.push_back(depth);
  std::string where = s.chance(0.5) ? s.weights(DType::i64, shape, 0, static_cast<double>(least - 1)) : s.input(DType::i64, shape, 0, static_cast<double>(least - 1));
  s.add("GatherND", {x, where}, {{"batch_dims", batch}});
}

void make_one_hot(Sketch& s) {
  const int64_t depth = s.dice.between(2, 6);
  std::string where = s.input(DType::i64, s.random_shape(1, 2), static_cast<double>(-depth), static_cast<double>(depth - 1));
  s.add("OneHot", {where, s.number(DType::i64, static_cast<double>(depth)), s.constant(Tensor::floats({2}, {0, 1}))}, {{"axis", s.axis(where)}});
}

void make_arg(Sketch& s, const std::string& type) {
  std::string x = s.any(s.chance(0.8) ? DType::f32 : DType::i32, 1, 4);
  Attrs attrs{{"axis", s.axis(x)}, {"keepdims", s.dice.between(0, 1)}};
  if (s.opset() >= 12) attrs.set("select_last_index", s.dice.between(0, 1));
  s.add(type, {x}, attrs);
}

void make_cumsum(Sketch& s) {
  std::string x = s.any(s.chance(0.8) ? DType::f32 : DType::i32, 1, 4);
  s.add("CumSum", {x, s.number(s.chance(0.5) ? DType::i64 : DType::i32, static_cast<double>(s.axis(x)))},
        {{"exclusive", s.dice.between(0, 1)}, {"reverse", s.dice.between(0, 1)}});
}

void make_over_axis(Sketch& s, const std::string& type) {
  std::string x = s.any(DType::f32, 1, 4);
  s.add(type, {x}, {{"axis", s.axis(x)}});
}

/// `low`, `high`: bounds that the operand is brought within.
OperatorMaker reduction(const std::string& type, double low, double high, int64_t axes_input_since) {
  return {type, [=](Sketch& s) {
            const bool integers = (type == "ReduceSum" || type == "ReduceMax" || type == "ReduceMin") && s.chance(0.2);
            std::string x = s.any(integers ? DType::i32 : DType::f32);
            if (!integers) x = s.within(x, low, high);
            std::vector<int64_t> axes;
            for (int64_t i = 0; i < s.rank(x); ++i)
              if (s.chance(0.4)) axes.push_back(s.chance(0.5) ? i : i - s.rank(x));
            Attrs attrs{{"keepdims", s.dice.between(0, 1)}};
            Names operands{x};
            if (!axes.empty() && s.opset() >= axes_input_since) operands.push_back(s.ints(axes));
            else if (!axes.empty()) attrs.set("axes", axes);
            else if (s.opset() >= axes_input_since && s.chance(0.3)) attrs.set("noop_with_empty_axes", int64_t{1});
            s.add(type, operands, attrs);
          }};
}

}  // namespace

std::vector<OperatorMaker> indexing_entries() {
  return {{"Gather", make_gather}, {"GatherElements", make_gather_elements}, {"GatherND", make_gather_nd}, {"OneHot", make_one_hot},
          {"ArgMax", [](Sketch& s) { make_arg(s, "ArgMax"); }}, {"ArgMin", [](Sketch& s) { make_arg(s, "ArgMin"); }}, {"CumSum", make_cumsum},
          {"Softmax", [](Sketch& s) { make_over_axis(s, "Softmax"); }}, {"LogSoftmax", [](Sketch& s) { make_over_axis(s, "LogSoftmax"); }},
          {"Hardmax", [](Sketch& s) { make_over_axis(s, "Hardmax"); }},
          reduction("ReduceSum", -50, 50, 13), reduction("ReduceMean", -50, 50, 18), reduction("ReduceMax", -50, 50, 18), reduction("ReduceMin", -50, 50, 18),
          reduction("ReduceProd", 0.7, 1.3, 18), reduction("ReduceL1", -10, 10, 18), reduction("ReduceL2", -10, 10, 18), reduction("ReduceSumSquare", -3, 3, 18),
          reduction("ReduceLogSum", 0.2, 5, 18), reduction("ReduceLogSumExp", -5, 5, 18)};
}

}  // namespace kiln::test
