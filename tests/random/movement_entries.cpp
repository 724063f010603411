// SPDX-License-Identifier: Apache-2.0
// Operators that move elements, or make shapes.
#include <numeric>

#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;

DType any_type(Sketch& s) {
  return s.pick<DType>({DType::f32, DType::f32, DType::f32, DType::f32, DType::i32, DType::i64, DType::boolean, DType::u8});
}

/// A shape of as many elements.
Shape refactored(Sketch& s, int64_t elements) {
  Shape shape;
  for (int64_t prime : {2, 2, 2, 3, 3, 5, 7, 13})
    if (elements % prime == 0 && s.chance(0.6)) {
      elements /= prime;
      if (shape.empty() || s.chance(0.6)) shape.push_back(prime);
      else shape.back() *= prime;
    }
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(s.dice.between(0, static_cast<int64_t>(shape.size()))), elements);
  if (s.chance(0.2)) shape.insert(shape.begin(), 1);
  if (shape.size() > 5) throw Rejected{};
  return shape;
}

void make_reshape(Sketch& s) {
  std::string x = s.any(any_type(s));
  Shape target = refactored(s, s.info(x).type.elements());
  if (s.chance(0.3)) target[static_cast<size_t>(s.dice.between(0, static_cast<int64_t>(target.size()) - 1))] = -1;
  s.add("Reshape", {x, s.ints(target)});
}

void make_flatten(Sketch& s) {
  std::string x = s.any(any_type(s));
  s.add("Flatten", {x}, {{"axis", s.dice.between(-s.rank(x), s.rank(x))}});
}

Names with_axes(Sketch& s, const std::string& x, const std::vector<int64_t>& axes, Attrs& attrs, int64_t input_since) {
  if (s.opset() >= input_since) return {x, s.ints(axes)};
  attrs.set("axes", axes);
  return {x};
}

void make_squeeze(Sketch& s) {
  std::string x = s.find([](const Sketch::Info& v) { return !v.constant && std::count(v.type.shape.begin(), v.type.shape.end(), 1) > 0; });
  if (x.empty()) x = s.input(DType::f32, {1, s.dice.between(1, 5), 1});
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < s.rank(x); ++i)
    if (s.shape(x)[static_cast<size_t>(i)] == 1 && (axes.empty() || s.chance(0.5))) axes.push_back(s.chance(0.5) ? i : i - s.rank(x));
  Attrs attrs;
  s.add("Squeeze", s.chance(0.2) ? Names{x} : with_axes(s, x, axes, attrs, 13), attrs);
}

void make_unsqueeze(Sketch& s) {
  std::string x = s.any(any_type(s), 0, 4);
  std::vector<int64_t> axes{s.dice.between(0, s.rank(x))};
  if (s.rank(x) < 4 && s.chance(0.3)) axes.push_back(-1);
  if (axes.size() == 2 && axes[0] == s.rank(x) + 1) throw Rejected{};
  Attrs attrs;
  Names operands = with_axes(s, x, axes, attrs, 13);
  s.add("Unsqueeze", operands, attrs);
}

void make_transpose(Sketch& s) {
  std::string x = s.any(any_type(s), 1, 5);
  std::vector<int64_t> perm(static_cast<size_t>(s.rank(x)));
  std::iota(perm.begin(), perm.end(), 0);
  std::shuffle(perm.begin(), perm.end(), s.dice.engine);
  if (s.chance(0.1)) s.add("Transpose", {x});
  else s.add("Transpose", {x}, {{"perm", perm}});
}

void make_concat(Sketch& s) {
  std::string a = s.any(any_type(s), 1, 5);
  const int64_t axis = s.axis(a);
  const auto at = static_cast<size_t>(axis < 0 ? axis + s.rank(a) : axis);
  Names operands{a};
  for (int64_t i = s.dice.between(1, 3); i > 0; --i) {
    std::string other = s.find([&](const Sketch::Info& v) {
      if (v.type.dtype != s.dtype(a) || v.type.rank() != s.rank(a)) return false;
      Shape shape = v.type.shape;
      shape[at] = s.shape(a)[at];
      return shape == s.shape(a);
    });
    if (other.empty() || s.chance(0.3)) {
      Shape shape = s.shape(a);
      shape[at] = s.dice.between(1, 4);
      other = s.fresh(s.dtype(a), shape, 0, 1);
    }
    operands.push_back(other);
  }
  s.add("Concat", operands, {{"axis", axis}});
}

void make_slice(Sketch& s) {
  std::string x = s.any(any_type(s), 1, 5);
  std::vector<int64_t> starts, ends, axes, steps;
  for (int64_t i = 0; i < s.rank(x); ++i) {
    if (!axes.empty() && s.chance(0.5)) continue;
    const int64_t size = s.shape(x)[static_cast<size_t>(i)];
    const int64_t step = s.pick<int64_t>({1, 1, 2, 3, -1, -2});
    int64_t first = s.dice.between(0, size - 1), last = s.dice.between(first, size - 1);
    axes.push_back(s.chance(0.5) ? i : i - s.rank(x));
    steps.push_back(step);
    starts.push_back(step > 0 ? first : last);
    ends.push_back(step > 0 ? last + 1 : first > 0 ? first - 1 : -size - 1);
    if (step > 0 && s.chance(0.3)) starts.back() -= size;
    if (step > 0 && last + 1 == size && s.chance(0.5)) ends.back() = INT64_MAX;
  }
  s.add("Slice", {x, s.ints(starts), s.ints(ends), s.ints(axes), s.ints(steps)});
}

void make_split(Sketch& s) {
  std::string x = s.find([](const Sketch::Info& v) { return !v.constant && std::any_of(v.type.shape.begin(), v.type.shape.end(), [](int64_t d) { return d > 1; }); });
  if (x.empty()) x = s.input(DType::f32, {4, s.dice.between(2, 5)});
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < s.rank(x); ++i)
    if (s.shape(x)[static_cast<size_t>(i)] > 1) axes.push_back(i);
  const int64_t axis = s.pick(axes), size = s.shape(x)[static_cast<size_t>(axis)];
  std::vector<int64_t> parts;
  for (int64_t rest = size; rest > 0; rest -= parts.back()) parts.push_back(parts.size() == 3 ? rest : s.dice.between(1, rest));
  Attrs attrs{{"axis", s.chance(0.5) ? axis : axis - s.rank(x)}};
  if (s.opset() >= 18 && s.chance(0.4)) {
    attrs.set("num_outputs", int64_t{2});
    s.add_all("Split", {x}, attrs, 2);
  } else if (s.opset() >= 13) {
    s.add_all("Split", {x, s.ints(parts)}, attrs, static_cast<int>(parts.size()));
  } else {
    attrs.set("split", parts);
    s.add_all("Split", {x}, attrs, static_cast<int>(parts.size()));
  }
}

void make_pad(Sketch& s) {
  std::string x = s.any(s.chance(0.8) ? DType::f32 : DType::i32, 1, 4);
  const std::string mode = s.pick<std::string>({"constant", "constant", "edge", "reflect", "wrap"});
  if (mode == "wrap" && s.opset() < 19) throw Rejected{};
  std::vector<int64_t> pads(2 * s.shape(x).size(), 0);
  for (size_t i = 0; i < pads.size(); ++i) {
    const int64_t size = s.shape(x)[i % s.shape(x).size()];
    const int64_t most = mode == "constant" ? 2 : mode == "edge" ? 2 : mode == "reflect" ? size - 1 : size;
    if (s.chance(0.6)) pads[i] = s.dice.between(0, std::min<int64_t>(most, 3));
  }
  if (mode == "constant" && s.chance(0.2))  // cropping
    for (size_t i = 0; i < s.shape(x).size(); ++i)
      if (s.shape(x)[i] > 2 && s.chance(0.5)) pads[i] = -1;
  Names operands{x, s.ints(pads)};
  if (mode == "constant" && s.chance(0.5)) operands.push_back(s.number(s.dtype(x), is_float(s.dtype(x)) ? 0.75 : 3));
  s.add("Pad", operands, {{"mode", mode}});
}

void make_expand(Sketch& s) {
  std::string x = s.any(any_type(s), 0, 4);
  Shape target = s.shape(x);
  for (int64_t& dim : target)
    if (dim == 1) dim = s.dice.between(1, 4);
    else if (s.chance(0.3)) dim = 1;
  if (s.chance(0.3)) target.insert(target.begin(), s.dice.between(1, 3));
  s.add("Expand", {x, s.ints(target)});
}

void make_tile(Sketch& s) {
  std::string x = s.any(any_type(s), 1, 4);
  std::vector<int64_t> repeats;
  for (int64_t i = 0; i < s.rank(x); ++i) repeats.push_back(s.chance(0.5) ? 1 : s.dice.between(1, 3));
  s.add("Tile", {x, s.ints(repeats)});
}

/// Shape arithmetic that folds, feeding a reshape or an expand, as exporters write it.
void make_shape(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  std::string dims = s.add("Shape", {x});
  if (s.chance(0.5)) {
    std::string same = s.add("Reshape", {x, s.ints({-1})});
    s.add("Reshape", {same, dims});
  } else {
    std::string last = s.add("Gather", {dims, s.constant(Tensor::int64s({-1}))});
    s.add("Reshape", {x, s.add("Concat", {s.ints({-1}), last}, {{"axis", int64_t{0}}})});
  }
}

void make_size(Sketch& s) {
  std::string x = s.any(DType::f32);
  std::string count = s.add("Cast", {s.add("Size", {x})}, {{"to", int64_t{1}}});
  s.add("Div", {x, count});
}

void make_constant_of_shape(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  std::string filled = s.add("ConstantOfShape", {s.add("Shape", {x})}, {{"value", Tensor::floats({1}, {0.5f})}});
  s.add(s.chance(0.5) ? "Add" : "Mul", {x, filled});
}

void make_range(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 4);
  const int64_t size = s.shape(x).back();
  std::string positions = s.add("Range", {s.number(DType::f32, 0), s.number(DType::f32, static_cast<double>(size)), s.number(DType::f32, 1)});
  s.add("Add", {x, positions});
}

void make_eye_like(Sketch& s) {
  std::string x = s.any(DType::f32, 2, 2);
  s.add("Mul", {x, s.add("EyeLike", {x}, {{"k", s.dice.between(-1, 1)}})});
}

void make_depth_to_space(Sketch& s) {
  const int64_t block = s.dice.between(2, 3), channels = s.dice.between(1, 2);
  std::string x = s.find([&](const Sketch::Info& v) { return v.type.dtype == DType::f32 && v.type.rank() == 4 && !v.constant && v.type.shape[1] % (block * block) == 0; });
  if (x.empty()) x = s.input(DType::f32, {1, channels * block * block, s.dice.between(1, 3), s.dice.between(1, 3)});
  s.add("DepthToSpace", {x}, {{"blocksize", block}, {"mode", s.chance(0.5) ? std::string("CRD") : std::string("DCR")}});
}

void make_space_to_depth(Sketch& s) {
  const int64_t block = s.dice.between(2, 3);
  std::string x = s.find([&](const Sketch::Info& v) {
    return v.type.dtype == DType::f32 && v.type.rank() == 4 && !v.constant && v.type.shape[2] % block == 0 && v.type.shape[3] % block == 0;
  });
  if (x.empty()) x = s.input(DType::f32, {1, s.dice.between(1, 3), block * s.dice.between(1, 2), block * s.dice.between(1, 3)});
  s.add("SpaceToDepth", {x}, {{"blocksize", block}});
}

void make_trilu(Sketch& s) {
  if (s.opset() < 14) throw Rejected{};
  Names operands{s.any(s.chance(0.8) ? DType::f32 : DType::i64, 2, 4)};
  if (s.chance(0.6)) operands.push_back(s.constant(Tensor::of<int64_t>({}, std::vector<int64_t>{s.dice.between(-3, 3)})));
  s.add("Trilu", operands, {{"upper", s.dice.between(0, 1)}});
}

}  // namespace

std::vector<OperatorMaker> movement_entries() {
  return {{"Reshape", make_reshape}, {"Flatten", make_flatten}, {"Squeeze", make_squeeze}, {"Unsqueeze", make_unsqueeze}, {"Transpose", make_transpose},
          {"Concat", make_concat}, {"Slice", make_slice}, {"Split", make_split}, {"Pad", make_pad}, {"Expand", make_expand}, {"Tile", make_tile},
          {"Shape", make_shape}, {"Size", make_size}, {"ConstantOfShape", make_constant_of_shape}, {"Range", make_range}, {"EyeLike", make_eye_like},
          {"DepthToSpace", make_depth_to_space}, {"SpaceToDepth", make_space_to_depth}, {"Trilu", make_trilu}};
}

}  // namespace kiln::test
