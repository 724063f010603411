// SPDX-License-Identifier: Apache-2.0
// Conversion between element types.
#include "nn/ref/cast.h"

#include "compiler/ops/elementwise.h"

namespace kiln {
namespace {

/// Calls `f.template operator()<T, Format>()`: the C++ type that stores `dtype` and how it does (nn/ref/cast.h).
template <class F>
EvalResult with_format(DType dtype, F&& f) {
  using namespace nn;
  switch (dtype) {
    case DType::f16: return f.template operator()<uint16_t, fn::f16>();
    case DType::bf16: return f.template operator()<uint16_t, fn::bf16>();
    case DType::i4: return f.template operator()<int8_t, fn::i4>();
    case DType::u4: return f.template operator()<uint8_t, fn::u4>();
    case DType::boolean: return f.template operator()<uint8_t, fn::boolean>();
    default: return with_storage_type(dtype, [&]<class T>() { return f.template operator()<T, fn::plain>(); });
  }
}

/// The same struct by name.
std::string format_functor(DType dtype) {
  switch (dtype) {
    case DType::f16:
    case DType::bf16:
    case DType::i4:
    case DType::u4: return std::string(dtype_name(dtype));
    case DType::boolean: return "boolean";
    default: return "plain";
  }
}

InferResult infer_cast(const OpArgs& args) {
  if (Status s = check_operands(args, 1); !s) return std::move(s).diagnostic();
  const std::string to = args.attrs.s("to");
  std::optional<DType> dtype = dtype_from_name(to);
  if (!dtype) return bad_node(fmt::format("attribute 'to' is '{}', it must name an element type.", to));
  return std::vector<TensorType>{{*dtype, args.in(0).shape, {}}};
}

EvalResult eval_cast(const OpArgs& args) {
  return with_format(args.in(0).dtype, [&]<class T, class From>() {
    return with_format(args.outputs[0]->dtype, [&]<class U, class To>() -> EvalResult {
      Tensor y(*args.outputs[0]);
      nn::ref::cast<From, To>(unary_descriptor(args), args.constant(0)->as<T>().data(), y.as<U>().data());
      return std::vector<Tensor>{std::move(y)};
    });
  });
}

Status lower_cast(const OpArgs& args, const Node& node, Lowering& lowering) {
  const DType from = args.in(0).dtype, to = args.outputs[0]->dtype;
  KernelCall call;
  call.family = "cast";
  call.functors = {format_functor(from), format_functor(to)};
  call.descriptor = unary_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call), fmt::format("cast {} to {}", dtype_name(from), dtype_name(to)));
  return Done{};
}

// "saturate" and "round_mode" concern 8-bit floats only, which no tensor can have.
constexpr AttrSpec kCastAttrs[] = {{"to", AttrKind::integer}, {"saturate", AttrKind::integer}, {"round_mode", AttrKind::string}};

ImportResult import_cast(const OnnxNode& node, GraphBuilder& b) {
  if (!node.attrs.has("to")) return bad_node("attribute 'to' is missing.");
  const int64_t number = node.attrs.i("to");
  std::optional<DType> to = dtype_from_onnx(number);
  if (!to) return error(DiagId::unsupported_type, fmt::format("a cast to ONNX element type {} is not supported.", number));
  return one(cast(b, node.inputs[0], *to));
}

ImportResult import_cast_like(const OnnxNode& node, GraphBuilder& b) {
  return one(cast(b, node.inputs[0], b.type(node.inputs[1]).dtype));
}

// ---- bit_cast: attribute to; the bytes of each element read as another type of the same size

InferResult infer_bit_cast(const OpArgs& args) {
  InferResult types = infer_cast(args);
  if (!types) return types;
  const DType from = args.in(0).dtype, to = types->front().dtype;
  for (DType dtype : {from, to})
    if (dtype == DType::boolean || dtype == DType::i4 || dtype == DType::u4)
      return error(DiagId::unsupported_type, fmt::format("the bits of {} are not defined.", dtype_name(dtype)));
  if (element_bytes(from) != element_bytes(to))
    return bad_node(fmt::format("{} and {} differ in size.", dtype_name(from), dtype_name(to)));
  return types;
}

EvalResult eval_bit_cast(const OpArgs& args) {
  Tensor y(*args.outputs[0]);
  std::span<const std::byte> from = args.constant(0)->bytes();
  std::copy(from.begin(), from.end(), y.bytes().begin());
  return std::vector<Tensor>{std::move(y)};
}

Status lower_bit_cast(const OpArgs&, const Node& node, Lowering& lowering) {
  lowering.view(node.outputs[0], lowering.tensor(node.inputs[0]));
  return Done{};
}

ImportResult import_bit_cast(const OnnxNode& node, GraphBuilder& b) {
  const int64_t number = node.attrs.i("to");
  std::optional<DType> to = dtype_from_onnx(number);
  if (!to) return error(DiagId::unsupported_type, fmt::format("bits as ONNX element type {} are not supported.", number));
  return one(b.add(ops::bit_cast, {node.inputs[0]}, {{"to", std::string(dtype_name(*to))}}));
}

constexpr OpDef bit_cast_op() {
  OpDef op;
  op.name = "bit_cast";
  op.summary = "the bits of elements as another type of the same size";
  op.onnx = {.type = "BitCast", .attrs = std::span(kCastAttrs).first(1), .since = 26, .max_inputs = 1};
  op.traits = kElementwise | kAnyElements;
  op.infer = infer_bit_cast;
  op.import = import_bit_cast;
  op.eval = eval_bit_cast;
  op.lower = lower_bit_cast;
  return op;
}

constexpr OpDef cast_op() {
  OpDef op;
  op.name = "cast";
  op.summary = "conversion to another element type";
  op.onnx = {.type = "Cast", .attrs = kCastAttrs, .max_inputs = 1};
  op.traits = kElementwise | kAnyElements;
  op.infer = infer_cast;
  op.import = import_cast;
  op.eval = eval_cast;
  op.lower = lower_cast;
  return op;
}

constexpr OpDef cast_like_op() {
  OpDef op;
  op.summary = "conversion to the element type of another tensor";
  op.onnx = {.type = "CastLike", .attrs = std::span(kCastAttrs).subspan(1), .since = 15, .min_inputs = 2, .max_inputs = 2};
  op.import = import_cast_like;
  return op;
}

}  // namespace

Result<ValueId> cast(GraphBuilder& b, ValueId x, DType to) {
  if (b.type(x).dtype == to) return x;
  return b.add(ops::cast, {x}, {{"to", std::string(dtype_name(to))}});
}

namespace ops {
const OpDef cast = cast_op();
const OpDef cast_like = cast_like_op();
const OpDef bit_cast = bit_cast_op();
}  // namespace ops

}  // namespace kiln
