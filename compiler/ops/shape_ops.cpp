// SPDX-License-Identifier: Apache-2.0
// ONNX operators that make constants, of shapes above all, and those that are a reshape, a transpose and a reshape.
#include <algorithm>
#include <cmath>

#include "compiler/ir/folding.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/run_time_value.h"

namespace kiln {
namespace {

ImportResult constant_result(GraphBuilder& b, Tensor tensor) { return std::vector<ValueId>{b.add_constant(std::move(tensor))}; }

/// ONNX Shape: the dimensions from `start` to before `end`, which are cut to the rank.
ImportResult import_shape(const OnnxNode& node, GraphBuilder& b) {
  const Shape& shape = b.shape(node.inputs[0]);
  auto rank = static_cast<int64_t>(shape.size());
  auto position = [&](std::string_view name, int64_t fallback) {
    int64_t at = node.attrs.i(name, fallback);
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  int64_t start = position("start", 0), end = std::max(start, position("end", rank));
  return constant_result(b, Tensor::int64s({shape.begin() + start, shape.begin() + end}));
}

ImportResult import_size(const OnnxNode& node, GraphBuilder& b) {
  return constant_result(b, Tensor::of<int64_t>({}, std::vector<int64_t>{b.type(node.inputs[0]).elements()}));
}

ImportResult import_constant_of_shape(const OnnxNode& node, GraphBuilder& b) {
  Result<std::vector<int64_t>> shape = constant_ints(node, b, 0, "input");
  if (!shape) return std::move(shape).diagnostic();
  if (Status s = check_shape(*shape); !s) return std::move(s).diagnostic();
  Tensor value = node.attrs.get<Tensor>("value", Tensor(TensorType{DType::f32, {1}, {}}));
  if (value.type.elements() != 1) return bad_node(fmt::format("'value' is {}, it must have one element.", to_string(value.type)));
  const TensorType type{value.type.dtype, *shape, {}};
  if (Status s = FoldingBudget::spend({type.bytes(), type.elements()}); !s) return std::move(s).diagnostic();
  Tensor y(type);
  with_storage_type(value.type.dtype, [&]<class T>() { std::fill(y.as<T>().begin(), y.as<T>().end(), value.as<T>()[0]); });
  return constant_result(b, std::move(y));
}

/// start, start + delta, ... before limit; the count is taken in double, as ONNX Runtime does.
template <class T>
Result<Tensor> range_of(const Tensor& first, const Tensor& limit, const Tensor& step) {
  T start = first.as<T>()[0], delta = step.as<T>()[0];
  if (delta == T(0)) return bad_node("the step is 0.");
  double count = std::ceil((static_cast<double>(limit.as<T>()[0]) - static_cast<double>(start)) / static_cast<double>(delta));
  if (!(count <= static_cast<double>(limits::kElements)))
    return error(DiagId::limit_exceeded, fmt::format("the range has {} elements, the limit is {}.", count, limits::kElements));
  const auto elements = static_cast<int64_t>(std::max(count, 0.0));
  if (Status s = FoldingBudget::spend({elements * static_cast<int64_t>(sizeof(T)), elements}); !s) return std::move(s).diagnostic();
  std::vector<T> values(static_cast<size_t>(elements));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(start + static_cast<T>(i) * delta);
  return Tensor::of<T>({static_cast<int64_t>(values.size())}, values);
}

ImportResult import_range(const OnnxNode& node, GraphBuilder& b) {
  const Tensor* operands[3];
  for (size_t i = 0; i < 3; ++i) {
    operands[i] = b.constant(node.inputs[i]);
    if (!operands[i]) return run_time_value(fmt::format("input {} of Range", i), b.graph(), node.inputs[i]);
    const TensorType& type = operands[i]->type;
    if (type.elements() != 1 || type.dtype != operands[0]->type.dtype)
      return bad_node(fmt::format("input {} is {}, it must be one element of {}.", i, to_string(type), dtype_name(operands[0]->type.dtype)));
  }
  Result<Tensor> range = with_number_type(operands[0]->type.dtype, [&]<class T>() -> Result<Tensor> {
    return range_of<T>(*operands[0], *operands[1], *operands[2]);
  });
  if (!range) return std::move(range).diagnostic();
  return constant_result(b, std::move(*range));
}

ImportResult import_eye_like(const OnnxNode& node, GraphBuilder& b) {
  const TensorType& x = b.type(node.inputs[0]);
  if (x.rank() != 2) return bad_node(fmt::format("the input is {}, it must have 2 dimensions.", to_string(x)));
  std::optional<DType> dtype = node.attrs.has("dtype") ? dtype_from_onnx(node.attrs.i("dtype")) : x.dtype;
  if (!dtype) return unsupported(fmt::format("data type {} is not supported.", node.attrs.i("dtype")));
  Tensor y(TensorType{*dtype, x.shape, {}});
  int64_t k = std::clamp<int64_t>(node.attrs.i("k"), -limits::kElements, limits::kElements);
  Result<Done> done = with_number_type(*dtype, [&]<class T>() -> Status {
    for (int64_t row = 0; row < x.shape[0]; ++row)
      if (row + k >= 0 && row + k < x.shape[1]) y.as<T>()[static_cast<size_t>(row * x.shape[1] + row + k)] = T(1);
    return Done{};
  });
  if (!done) return std::move(done).diagnostic();
  return constant_result(b, std::move(y));
}

/// x seen as `split`, permuted, seen as `shape`.
ImportResult rearrange(GraphBuilder& b, ValueId x, const Shape& split, const std::vector<int64_t>& perm, const Shape& shape) {
  Result<ValueId> y = reshape(b, x, split);
  if (y) y = transpose(b, *y, perm);
  return one(y ? reshape(b, *y, shape) : std::move(y));
}

/// [N, C, H, W] <-> [N, C / block^2, H * block, W * block].
ImportResult import_depth_to_space(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  int64_t block = node.attrs.i("blocksize");
  if (x.rank() != 4 || block < 1 || block > limits::kElements || x.shape[1] % block != 0 || x.shape[1] / block % block != 0)
    return bad_node(fmt::format("blocksize {} does not divide the channels of {} twice.", block, to_string(x)));
  int64_t n = x.shape[0], c = x.shape[1] / block / block, h = x.shape[2], w = x.shape[3];
  std::string mode = node.attrs.s("mode", "DCR");
  if (mode == "DCR") return rearrange(b, node.inputs[0], {n, block, block, c, h, w}, {0, 3, 4, 1, 5, 2}, {n, c, h * block, w * block});
  if (mode == "CRD") return rearrange(b, node.inputs[0], {n, c, block, block, h, w}, {0, 1, 4, 2, 5, 3}, {n, c, h * block, w * block});
  return bad_node(fmt::format("mode '{}' is neither DCR nor CRD.", mode));
}

ImportResult import_space_to_depth(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  int64_t block = node.attrs.i("blocksize");
  if (x.rank() != 4 || block < 1 || block > limits::kElements || x.shape[2] % block != 0 || x.shape[3] % block != 0)
    return bad_node(fmt::format("blocksize {} does not divide height and width of {}.", block, to_string(x)));
  int64_t n = x.shape[0], c = x.shape[1], h = x.shape[2] / block, w = x.shape[3] / block;
  return rearrange(b, node.inputs[0], {n, c, h, block, w, block}, {0, 3, 5, 1, 2, 4}, {n, c * block * block, h, w});
}

constexpr AttrSpec kShapeAttrs[] = {{"start", AttrKind::integer}, {"end", AttrKind::integer}};
constexpr AttrSpec kConstantOfShapeAttrs[] = {{"value", AttrKind::tensor}};
constexpr AttrSpec kEyeLikeAttrs[] = {{"dtype", AttrKind::integer}, {"k", AttrKind::integer}};
constexpr AttrSpec kDepthToSpaceAttrs[] = {{"blocksize", AttrKind::integer}, {"mode", AttrKind::string}};
constexpr AttrSpec kSpaceToDepthAttrs[] = {{"blocksize", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef shape = {
    .summary = "the dimensions of a tensor; always a constant",
    .onnx = {.type = "Shape", .attrs = kShapeAttrs, .max_inputs = 1},
    .import = import_shape,
};
const OpDef size = {
    .summary = "the number of elements; always a constant",
    .onnx = {.type = "Size", .max_inputs = 1},
    .import = import_size,
};
const OpDef constant_of_shape = {
    .summary = "a constant of one value",
    .onnx = {.type = "ConstantOfShape", .attrs = kConstantOfShapeAttrs, .max_inputs = 1},
    .import = import_constant_of_shape,
};
const OpDef range = {
    .summary = "start, start + delta, ...; operands must be constant",
    .onnx = {.type = "Range", .min_inputs = 3, .max_inputs = 3},
    .import = import_range,
};
const OpDef eye_like = {
    .summary = "ones on a diagonal; always a constant",
    .onnx = {.type = "EyeLike", .attrs = kEyeLikeAttrs, .max_inputs = 1},
    .import = import_eye_like,
};
const OpDef depth_to_space = {
    .summary = "moves channels into blocks of pixels",
    .onnx = {.type = "DepthToSpace", .attrs = kDepthToSpaceAttrs, .max_inputs = 1},
    .import = import_depth_to_space,
};
const OpDef space_to_depth = {
    .summary = "moves blocks of pixels into channels",
    .onnx = {.type = "SpaceToDepth", .attrs = kSpaceToDepthAttrs, .max_inputs = 1},
    .import = import_space_to_depth,
};
}  // namespace ops

}  // namespace kiln
