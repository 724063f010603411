// SPDX-License-Identifier: Apache-2.0
// Products of matrices. Core dense: x [...,K] with w [N,K], an optional bias [N] and a fused activation. Core matmul: NumPy's
// product of two operands of at least two dimensions. ONNX Gemm and MatMul become dense where the second operand is constant.
#include <utility>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/matmul.h"
#include "nn/ref/dense.h"

namespace kiln {
namespace {

InferResult infer_dense(const OpArgs& args) {
  if (!args.has(0) || !args.has(1)) return bad_node("the input or the weights are missing.");
  const TensorType &x = args.in(0), &w = args.in(1);
  if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  if (x.shape.empty() || w.shape.size() != 2 || x.shape.back() != w.shape[1])
    return bad_node(fmt::format("the input is {}, the weights {} need [...,{}].", to_string(x), to_string(w), w.shape.empty() ? 1 : w.shape.back()));
  if (args.has(2) && args.in(2).shape != Shape{w.shape[0]})
    return bad_node(fmt::format("the bias is {}, the weights make {} features.", to_string(args.in(2)), w.shape[0]));
  Shape shape = x.shape;
  shape.back() = w.shape[0];
  return std::vector<TensorType>{{x.dtype, std::move(shape), {}}};
}

Dense dense_descriptor(const OpArgs& args) {
  const Shape &x = args.in(0).shape, &w = args.in(1).shape;
  Activation activation = activation_of(args.attrs);
  return {static_cast<int32_t>(product(x, 0, x.size() - 1)), static_cast<int32_t>(w[1]), static_cast<int32_t>(w[0]), activation.alpha,
          activation.beta};
}

EvalResult eval_dense(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    const Tensor bias = args.has(2) ? *args.constant(2) : Tensor({args.in(0).dtype, {args.in(1).shape[0]}, {}});
    nn::ref::dense<nn::fn::none>(dense_descriptor(args), args.constant(0)->as<T>().data(), args.constant(1)->as<T>().data(),
                                 bias.as<T>().data(), y.as<T>().data());
    return with_activation(args, std::move(y));
  });
}

Status lower_dense(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "dense";
  call.functors = {activation_of(node.attrs).functor};
  call.descriptor = dense_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1]), bias_or_zeros(node, 2, args.in(1).shape[0], lowering)};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

int64_t macs_dense(const OpArgs& args) { return args.outputs[0]->elements() * args.in(1).shape[1]; }

// ---- matmul

}  // namespace

Result<Shape> matmul_shape(const OpArgs& args) {
  if (!args.has(0) || !args.has(1)) return bad_node("an operand is missing.");
  const Shape &a = args.in(0).shape, &b = args.in(1).shape;
  if (a.size() < 2 || b.size() < 2) return bad_node(fmt::format("operands {} and {} must have at least 2 dimensions.", to_string(a), to_string(b)));
  if (a.back() != b[b.size() - 2])
    return bad_node(fmt::format("{} columns of {} do not match {} rows of {}.", a.back(), to_string(a), b[b.size() - 2], to_string(b)));
  std::optional<Shape> shape = broadcast(std::span(a).first(a.size() - 2), std::span(b).first(b.size() - 2));
  if (!shape) return bad_node(fmt::format("the leading dimensions of {} and {} do not broadcast.", to_string(a), to_string(b)));
  shape->push_back(a[a.size() - 2]);
  shape->push_back(b.back());
  return *std::move(shape);
}

MatmulLoops matmul_loops(const OpArgs& args) {
  const Shape &a = args.in(0).shape, &b = args.in(1).shape, &y = args.outputs[0]->shape;
  MatmulLoops loops;
  loops.m = a[a.size() - 2];
  loops.n = b.back();
  loops.k = a.back();
  loops.batch = Shape(y.begin(), y.end() - 2);
  if (product(b, 0, b.size() - 2) == 1) {  // one right-hand side: the batches of a are further rows
    loops.m = product(y, 0, y.size() - 1);
    loops.batch.clear();
  }
  loops.a_strides = broadcast_strides(std::span(a).first(a.size() - 2), Shape(y.begin(), y.end() - 2));
  loops.b_strides = broadcast_strides(std::span(b).first(b.size() - 2), Shape(y.begin(), y.end() - 2));
  if (loops.batch.empty()) loops.batch = {1}, loops.a_strides = {0}, loops.b_strides = {0};
  for (size_t i = 0; i < loops.batch.size(); ++i) {
    loops.a_strides[i] *= loops.m * loops.k;
    loops.b_strides[i] *= loops.k * loops.n;
  }
  return loops;
}

namespace {

InferResult infer_matmul(const OpArgs& args) {
  if (args.has(0) && args.has(1))
    if (Status s = check_floats(args); !s) return std::move(s).diagnostic();
  Result<Shape> shape = matmul_shape(args);
  if (!shape) return std::move(shape).diagnostic();
  return std::vector<TensorType>{{args.in(0).dtype, *std::move(shape), {}}};
}

Matmul matmul_descriptor(const OpArgs& args) {
  Matmul d;
  describe_matmul(d, args);
  return d;
}

EvalResult eval_matmul(const OpArgs& args) {
  return with_float_type(args.in(0).dtype, [&]<class T>() -> EvalResult {
    Tensor y(*args.outputs[0]);
    nn::ref::matmul(matmul_descriptor(args), args.constant(0)->as<T>().data(), args.constant(1)->as<T>().data(), y.as<T>().data());
    return std::vector<Tensor>{std::move(y)};
  });
}

Status lower_matmul(const OpArgs& args, const Node& node, Lowering& lowering) {
  KernelCall call;
  call.family = "matmul";
  call.descriptor = matmul_descriptor(args);
  call.inputs = {lowering.tensor(node.inputs[0]), lowering.tensor(node.inputs[1])};
  call.outputs = {lowering.tensor(node.outputs[0])};
  lowering.call(node, std::move(call));
  return Done{};
}

int64_t macs_matmul(const OpArgs& args) { return args.outputs[0]->elements() * args.in(0).shape.back(); }

/// ONNX MatMul; vectors count as matrices of one row (left) or one column (right), which the result loses again.
ImportResult import_matmul(const OnnxNode& node, GraphBuilder& b) {
  const Shape left = b.shape(node.inputs[0]), right = b.shape(node.inputs[1]);
  if (left.empty() || right.empty()) return bad_node(fmt::format("operands {} and {} must not be scalars.", to_string(left), to_string(right)));
  Result<ValueId> x = left.size() == 1 ? reshape(b, node.inputs[0], {1, left[0]}) : node.inputs[0];
  Result<ValueId> w = right.size() == 1 ? reshape(b, node.inputs[1], {right[0], 1}) : node.inputs[1];
  if (!x) return std::move(x).diagnostic();
  if (!w) return std::move(w).diagnostic();
  Result<std::vector<TensorType>> type = infer_matmul({ops::matmul, node.attrs, {&b.type(*x), &b.type(*w)}, {}, {}});
  if (!type) return std::move(type).diagnostic();
  Shape shape = type->front().shape;

  Result<ValueId> y = kNoValue;
  Shape w_shape = b.shape(*w);
  bool one_matrix = product(w_shape, 0, w_shape.size() - 2) == 1;
  if (b.constant(*w) && one_matrix) {
    w = reshape(b, *w, {w_shape[w_shape.size() - 2], w_shape.back()});
    if (w) w = transpose(b, *w, {1, 0});
    if (!w) return std::move(w).diagnostic();
    y = b.add(ops::dense, {*x, *w});
  } else {
    y = b.add(ops::matmul, {*x, *w});
  }
  if (!y) return std::move(y).diagnostic();
  if (right.size() == 1) shape.pop_back();
  if (left.size() == 1) shape.erase(shape.end() - (right.size() == 1 ? 1 : 2));
  return one(reshape(b, *y, shape));
}

// ---- Gemm: y = alpha * a * b + beta * c

/// v * factor, or v itself when the factor is 1.
Result<ValueId> scaled(GraphBuilder& b, ValueId v, double factor) {
  if (factor == 1) return v;
  return b.add(ops::mul, {v, b.add_constant(scalar(b.type(v).dtype, factor))});
}

/// `c` as the bias of a layer of n features, or kNoValue when it differs between rows or must be repeated at run time.
Result<ValueId> as_bias(GraphBuilder& b, ValueId c, int64_t n) {
  const Shape shape = b.shape(c);
  if (element_count(shape) == n && (shape.empty() || shape.back() == n)) return reshape(b, c, {n});
  if (element_count(shape) != 1 || !b.constant(c)) return kNoValue;
  Result<ValueId> flat = reshape(b, c, {1});
  if (!flat) return flat;
  return b.add(ops::add, {*flat, b.add_constant(Tensor({b.type(c).dtype, {n}, {}}))});
}

Status check_gemm(const OnnxNode& node, GraphBuilder& b, bool trans_a, bool trans_b) {
  const TensorType &a = b.type(node.inputs[0]), &w = b.type(node.inputs[1]);
  if (a.rank() != 2 || w.rank() != 2) return bad_node(fmt::format("operands {} and {} must have 2 dimensions.", to_string(a), to_string(w)));
  if (int64_t k_a = a.shape[trans_a ? 0 : 1], k_b = w.shape[trans_b ? 1 : 0]; k_a != k_b)
    return bad_node(fmt::format("operands {} (transA {}) and {} (transB {}) do not match: {} and {} terms.", to_string(a), int{trans_a},
                                to_string(w), int{trans_b}, k_a, k_b));
  if (!node.has(2)) return Done{};
  Shape y = {a.shape[trans_a ? 1 : 0], w.shape[trans_b ? 0 : 1]};
  std::optional<Shape> sum = broadcast(b.shape(node.inputs[2]), y);
  if (sum != y) return bad_node(fmt::format("operand C is {}, it does not broadcast to {}.", to_string(b.type(node.inputs[2])), to_string(y)));
  return Done{};
}

ImportResult import_gemm(const OnnxNode& node, GraphBuilder& b) {
  bool trans_a = node.attrs.i("transA") != 0, trans_b = node.attrs.i("transB") != 0;
  if (Status s = check_gemm(node, b, trans_a, trans_b); !s) return std::move(s).diagnostic();
  double alpha = node.attrs.f("alpha", 1), beta = node.attrs.f("beta", 1);
  bool layer = trans_b || b.constant(node.inputs[1]);
  Result<ValueId> x = trans_a ? transpose(b, node.inputs[0], {1, 0}) : node.inputs[0];
  if (!x) return std::move(x).diagnostic();
  Result<ValueId> w = layer && !trans_b ? transpose(b, node.inputs[1], {1, 0}) : node.inputs[1];
  if (w && b.constant(*w)) w = scaled(b, *w, std::exchange(alpha, 1));
  if (!w) return std::move(w).diagnostic();
  Result<ValueId> c = kNoValue;
  if (node.has(2) && beta != 0) c = scaled(b, node.inputs[2], beta);
  if (!c) return std::move(c).diagnostic();

  Result<ValueId> bias = kNoValue;
  if (layer && alpha == 1 && *c != kNoValue) bias = as_bias(b, *c, b.shape(*w)[0]);
  if (!bias) return std::move(bias).diagnostic();
  std::vector<ValueId> operands = {*x, *w};
  if (*bias != kNoValue) operands.push_back(*bias);
  Result<ValueId> y = b.add(layer ? ops::dense : ops::matmul, operands);
  if (y) y = scaled(b, *y, alpha);
  if (y && *c != kNoValue && *bias == kNoValue) y = b.add(ops::add, {*y, *c});
  return one(std::move(y));
}

/// com.microsoft: Gemm, then an activation.
ImportResult import_fused_gemm(const OnnxNode& node, GraphBuilder& b) {
  ImportResult y = import_gemm(node, b);
  if (!y) return y;
  std::vector<double> parameters;
  for (const char* name : {"activation_alpha", "activation_beta"})
    if (node.attrs.has(name)) parameters.push_back(node.attrs.f(name));
  return one(fused_activation(node, b, y->front(), parameters));
}

/// com.microsoft: alpha times the product of matrices that may be transposed.
ImportResult import_fused_matmul(const OnnxNode& node, GraphBuilder& b) {
  if (node.attrs.i("transBatchA") != 0 || node.attrs.i("transBatchB") != 0)
    return unsupported("FusedMatMul with transposed batch dimensions is not supported.", "export the model without optimizations of ONNX Runtime.");
  OnnxNode product = node;
  const char* const names[] = {"transA", "transB"};
  for (size_t i = 0; i < 2; ++i) {
    const auto rank = static_cast<size_t>(b.type(node.inputs[i]).rank());
    if (node.attrs.i(names[i]) == 0 || rank < 2) continue;
    std::vector<int64_t> perm(rank);
    for (size_t k = 0; k < rank; ++k) perm[k] = static_cast<int64_t>(k);
    std::swap(perm[rank - 1], perm[rank - 2]);
    Result<ValueId> turned = transpose(b, node.inputs[i], perm);
    if (!turned) return std::move(turned).diagnostic();
    product.inputs[i] = *turned;
  }
  ImportResult y = import_matmul(product, b);
  return y ? one(scaled(b, y->front(), node.attrs.f("alpha", 1))) : y;
}

constexpr AttrSpec kFusedMatmulAttrs[] = {
    {"alpha", AttrKind::real}, {"transA", AttrKind::integer}, {"transB", AttrKind::integer}, {"transBatchA", AttrKind::integer}, {"transBatchB", AttrKind::integer}};
constexpr AttrSpec kFusedGemmAttrs[] = {
    {"activation", AttrKind::string}, {"activation_alpha", AttrKind::real}, {"activation_beta", AttrKind::real}, {"activation_gamma", AttrKind::real},
    {"alpha", AttrKind::real}, {"beta", AttrKind::real}, {"transA", AttrKind::integer}, {"transB", AttrKind::integer}};
constexpr AttrSpec kGemmAttrs[] = {
    {"alpha", AttrKind::real}, {"beta", AttrKind::real}, {"transA", AttrKind::integer}, {"transB", AttrKind::integer}};

}  // namespace

namespace ops {
const OpDef microsoft_fused_matmul = {
    .summary = "alpha * a * b, either transposed",
    .onnx = {.type = "FusedMatMul", .domain = "com.microsoft", .attrs = kFusedMatmulAttrs, .min_inputs = 2, .max_inputs = 2},
    .import = import_fused_matmul,
};
const OpDef microsoft_fused_gemm = {
    .summary = "alpha * a * b + beta * c, and an activation",
    .onnx = {.type = "FusedGemm", .domain = "com.microsoft", .attrs = kFusedGemmAttrs, .min_inputs = 2, .max_inputs = 3},
    .import = import_fused_gemm,
};
const OpDef gemm = {
    .summary = "alpha * a * b + beta * c",
    .onnx = {.type = "Gemm", .attrs = kGemmAttrs, .min_inputs = 2, .max_inputs = 3},
    .import = import_gemm,
};
const OpDef dense = {
    .name = "dense",
    .summary = "fully connected layer: x * w^T + bias",
    .traits = kFusesActivation,
    .infer = infer_dense,
    .eval = eval_dense,
    .lower = lower_dense,
    .macs = macs_dense,
};
const OpDef matmul = {
    .name = "matmul",
    .summary = "product of matrices, batched and broadcast",
    .onnx = {.type = "MatMul", .attrs = {}, .min_inputs = 2, .max_inputs = 2},
    .infer = infer_matmul,
    .import = import_matmul,
    .eval = eval_matmul,
    .lower = lower_matmul,
    .macs = macs_matmul,
};
}  // namespace ops

}  // namespace kiln
