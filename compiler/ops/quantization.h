// SPDX-License-Identifier: Apache-2.0
// What operators on quantized tensors share: attributes that say a grid, and the numbers of requantization.
//
// An operator that makes a quantized tensor has attributes "dtype", "scale", "zero_point" and, for a grid per index, "quant_axis"
// (Quant as attributes). An operator that computes with integers has its operands' zero points as attributes too, so that its
// node says all of its arithmetic; the quantization in the operands' types is only handed on and shown.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/ops/op_util.h"

namespace kiln {

/// The least and the greatest stored integer.
struct IntegerRange {
  int32_t low = 0, high = 0;
};
/// Of i4 to i16 and u4 to u16; i32 as far as int32_t goes.
IntegerRange integer_range(DType dtype);
/// Whether activations can have this type: i8, u8, i16, u16 (and i4, u4, which are stored as bytes).
bool is_grid_type(DType dtype);

/// The attributes that say `quant`.
Attrs quant_attrs(const Quant& quant);
/// The grid that the attributes say, for a tensor of this shape. Errors: bad_node.
Result<Quant> quant_of(const Attrs& attrs, const Shape& shape);
/// Whether the attributes say a grid.
inline bool has_quant(const Attrs& attrs) { return attrs.has("scale"); }
/// The tensor of integers on a grid.
inline TensorType stored_type(Shape shape, Quant quant) {
  DType dtype = quant.dtype;
  return {dtype, std::move(shape), std::move(quant)};
}

/// The grid that constants `scale` and `zero`, which broadcast against a tensor of shape `x`, say of it: nothing where it is not one
/// of the whole tensor or of one axis, with scales above 0 and zero points that are a `dtype`.
std::optional<Quant> broadcast_grid(const Tensor& scale, const Tensor& zero, const Shape& x, DType dtype);

/// Bounds of a result: attributes "low" and "high" within the range of its type (fused relu and clip), else that range.
IntegerRange bounds_of(const Attrs& attrs, DType dtype);
/// round_half_even(value / scale) + zero point within the range of the grid's type. The grid is one of a whole tensor.
int32_t quantized(float value, const Quant& quant);

/// The integers of a float constant that lies on a grid; nothing when it does not (a scale of 0, values beyond the range).
std::optional<Tensor> stored_integers(const Tensor& floats);

/// Refuses operands that are not of integers of at most 16 bits (bad_node). `what` names it: "the input".
Status check_integers(const TensorType& type, std::string_view what);
/// The type of a result of `shape` on the one grid that the attributes say. Errors: bad_node.
Result<TensorType> quantized_result(const Attrs& attrs, Shape shape);

/// The fields y_zero_point, low and high that integer descriptors have.
template <class D>
void describe_result(D& d, const OpArgs& args) {
  const TensorType& y = *args.outputs[0];
  IntegerRange bounds = bounds_of(args.attrs, y.dtype);
  d.y_zero_point = y.quant ? y.quant->zero_point[0] : 0;
  d.low = bounds.low;
  d.high = bounds.high;
}

/// Calls `f.template operator()<T>()` with the type that stores integers of at most 16 bits.
template <class F>
void with_grid_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::i4:
    case DType::i8: return f.template operator()<int8_t>();
    case DType::u4:
    case DType::u8: return f.template operator()<uint8_t>();
    case DType::u16: return f.template operator()<uint16_t>();
    default: return f.template operator()<int16_t>();
  }
}

/// Floats as the integers of one grid for the whole tensor, and back: y = (q - zero_point) * scale in float.
Tensor quantized_tensor(const Tensor& floats, const Quant& quant);
Tensor dequantized_tensor(const Tensor& integers);

/// A grid per index as loops: elements before, along and behind the axis. One grid for all: {1, 1, elements}.
struct AxisLoops {
  int32_t outer = 1, channels = 1, inner = 1;
};
AxisLoops axis_loops(const Shape& shape, const Quant& quant);

}  // namespace kiln
