// SPDX-License-Identifier: Apache-2.0
#include "compiler/ops/quantization.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kiln {

IntegerRange integer_range(DType dtype) {
  switch (dtype) {
    case DType::i4: return {-8, 7};
    case DType::u4: return {0, 15};
    case DType::i8: return {-128, 127};
    case DType::u8: return {0, 255};
    case DType::i16: return {-32768, 32767};
    case DType::u16: return {0, 65535};
    default: return {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
  }
}

bool is_grid_type(DType dtype) { return is_integer(dtype) && integer_range(dtype).high <= 65535; }

Attrs quant_attrs(const Quant& quant) {
  Attrs attrs;
  attrs.set("dtype", std::string(dtype_name(quant.dtype)));
  attrs.set("scale", std::vector<double>(quant.scale.begin(), quant.scale.end()));
  attrs.set("zero_point", std::vector<int64_t>(quant.zero_point.begin(), quant.zero_point.end()));
  if (quant.per_axis()) attrs.set("quant_axis", quant.axis);
  return attrs;
}

Result<Quant> quant_of(const Attrs& attrs, const Shape& shape) {
  std::optional<DType> dtype = dtype_from_name(attrs.s("dtype"));
  if (!dtype || !is_integer(*dtype) || element_bytes(*dtype) > 4 || *dtype == DType::u32)
    return bad_node(fmt::format("attribute 'dtype' is '{}', it must name an integer type of at most 32 bits.", attrs.s("dtype")));
  Quant quant;
  quant.dtype = *dtype;
  for (double scale : attrs.get<std::vector<double>>("scale", {})) quant.scale.push_back(static_cast<float>(scale));
  IntegerRange range = integer_range(*dtype);
  for (int64_t zero : attrs.ints("zero_point")) {
    if (zero < range.low || zero > range.high)
      return bad_node(fmt::format("zero point {} is no {}, which has {} to {}.", zero, dtype_name(*dtype), range.low, range.high));
    quant.zero_point.push_back(static_cast<int32_t>(zero));
  }
  quant.axis = attrs.i("quant_axis");
  if (quant.scale.empty() || quant.scale.size() != quant.zero_point.size())
    return bad_node(fmt::format("{} scales and {} zero points.", quant.scale.size(), quant.zero_point.size()));
  for (float scale : quant.scale)
    if (!std::isfinite(scale) || scale < 0) return bad_node(fmt::format("scale {} must be a number of at least 0.", scale));
  if (!quant.per_axis()) return quant;
  if (quant.axis < 0 || quant.axis >= static_cast<int64_t>(shape.size()) ||
      shape[static_cast<size_t>(quant.axis)] != static_cast<int64_t>(quant.scale.size()))
    return bad_node(fmt::format("{} scales do not fit axis {} of {}.", quant.scale.size(), quant.axis, to_string(std::span<const int64_t>(shape))));
  return quant;
}

namespace {

/// The axis of x along which a tensor that broadcasts against x varies: -1 for none, nothing when there are several.
std::optional<int64_t> varying_axis(const Shape& t, const Shape& x) {
  int64_t axis = -1;
  for (size_t i = 0; i < t.size(); ++i) {
    if (t[i] == 1) continue;
    if (axis >= 0 || t.size() > x.size()) return std::nullopt;
    axis = static_cast<int64_t>(x.size() - t.size() + i);
    if (x[static_cast<size_t>(axis)] != t[i]) return std::nullopt;
  }
  return axis;
}

}  // namespace

std::optional<Quant> broadcast_grid(const Tensor& scale, const Tensor& zero, const Shape& x, DType dtype) {
  std::optional<int64_t> s = varying_axis(scale.type.shape, x), z = varying_axis(zero.type.shape, x);
  if (!s || !z || (*s >= 0 && *z >= 0 && *s != *z)) return std::nullopt;
  int64_t axis = std::max(*s, *z);
  size_t count = axis >= 0 ? static_cast<size_t>(x[static_cast<size_t>(axis)]) : 1;
  Quant quant;
  quant.dtype = dtype;
  quant.axis = count > 1 ? axis : 0;
  IntegerRange range = integer_range(dtype);
  const std::vector<double> scales = scale.to_doubles(), zeros = zero.to_doubles();
  for (size_t i = 0; i < count; ++i) {
    double offset = zeros[*z >= 0 ? i : 0];
    auto step = static_cast<float>(scales[*s >= 0 ? i : 0]);
    bool is_grid = step > 0 && std::isfinite(step) && offset == std::floor(offset) && offset >= range.low && offset <= range.high;
    if (!is_grid) return std::nullopt;
    quant.scale.push_back(step);
    quant.zero_point.push_back(static_cast<int32_t>(offset));
  }
  return quant;
}

IntegerRange bounds_of(const Attrs& attrs, DType dtype) {
  IntegerRange range = integer_range(dtype);
  return {static_cast<int32_t>(attrs.i("low", range.low)), static_cast<int32_t>(attrs.i("high", range.high))};
}

int32_t quantized(float value, const Quant& quant) {
  IntegerRange range = integer_range(quant.dtype);
  double steps = std::nearbyint(static_cast<double>(value / quant.scale[0])) + quant.zero_point[0];
  return static_cast<int32_t>(std::clamp<double>(steps, range.low, range.high));
}

Tensor quantized_tensor(const Tensor& floats, const Quant& quant) {
  Tensor out(stored_type(floats.type.shape, quant));
  with_grid_type(quant.dtype, [&]<class T>() {
    for (size_t i = 0; i < out.as<T>().size(); ++i) out.as<T>()[i] = static_cast<T>(quantized(floats.as<float>()[i], quant));
  });
  return out;
}

Tensor dequantized_tensor(const Tensor& integers) {
  const Quant& quant = *integers.type.quant;
  Tensor out(TensorType{DType::f32, integers.type.shape, quant});
  with_grid_type(quant.dtype, [&]<class T>() {
    for (size_t i = 0; i < out.as<float>().size(); ++i)
      out.as<float>()[i] = static_cast<float>(int32_t{integers.as<T>()[i]} - quant.zero_point[0]) * quant.scale[0];
  });
  return out;
}

Status check_integers(const TensorType& type, std::string_view what) {
  if (is_grid_type(type.dtype)) return Done{};
  return bad_node(fmt::format("{} is {}, it must be of integers of at most 16 bits.", what, to_string(type)));
}

Result<TensorType> quantized_result(const Attrs& attrs, Shape shape) {
  Result<Quant> quant = quant_of(attrs, shape);
  if (!quant) return std::move(quant).diagnostic();
  if (quant->per_axis() || !is_grid_type(quant->dtype) || quant->scale[0] == 0)
    return bad_node("the result must have one grid of at most 16 bits, with a scale above 0.");
  return stored_type(std::move(shape), *std::move(quant));
}

AxisLoops axis_loops(const Shape& shape, const Quant& quant) {
  AxisLoops loops;
  if (!quant.per_axis()) {
    loops.inner = static_cast<int32_t>(element_count(shape));
    return loops;
  }
  auto axis = static_cast<size_t>(quant.axis);
  loops.outer = static_cast<int32_t>(product(shape, 0, axis));
  loops.channels = static_cast<int32_t>(shape[axis]);
  loops.inner = static_cast<int32_t>(product(shape, axis + 1, shape.size()));
  return loops;
}

std::optional<Tensor> stored_integers(const Tensor& floats) {
  if (floats.type.dtype != DType::f32 || !floats.type.quant) return std::nullopt;
  const Quant& quant = *floats.type.quant;
  IntegerRange range = integer_range(quant.dtype);
  AxisLoops loops = axis_loops(floats.type.shape, quant);
  Tensor out(stored_type(floats.type.shape, quant));
  bool exact = true;
  with_storage_type(quant.dtype, [&]<class T>() {
    std::span<const float> from = floats.as<float>();
    std::span<T> to = out.as<T>();
    for (size_t i = 0; i < from.size(); ++i) {
      size_t c = quant.per_axis() ? i / static_cast<size_t>(loops.inner) % static_cast<size_t>(loops.channels) : 0;
      float scale = quant.scale[c];
      double q = scale == 0 ? 0 : std::nearbyint(static_cast<double>(from[i]) / static_cast<double>(scale));
      double stored = q + quant.zero_point[c];
      exact = exact && static_cast<float>(q) * scale == from[i] && stored >= range.low && stored <= range.high;
      if (!exact) return;
      to[i] = static_cast<T>(stored);
    }
  });
  if (!exact) return std::nullopt;
  return out;
}

}  // namespace kiln
