// SPDX-License-Identifier: Apache-2.0
// Scaled dot product attention, y = softmax(q k^T * scale + bias) v, spelled as matrix products and softmax. ONNX Attention, com.microsoft's
// MultiHeadAttention and Attention, and RotaryEmbedding.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/formula.h"

namespace kiln {
namespace {

/// Floats of one type that kiln has arithmetic for. Errors: bad_node, unsupported_type.
Status check_floats(const OnnxNode& node, const GraphBuilder& b) {
  const DType dtype = b.type(node.inputs[0]).dtype;
  if (dtype != DType::f32 && dtype != DType::f64) return error(DiagId::unsupported_type, fmt::format("{} of {} is not supported, only of f32 and f64.", node.type, dtype_name(dtype)));
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (node.has(i) && is_float(b.type(node.inputs[i]).dtype) && b.type(node.inputs[i]).dtype != dtype)
      return bad_node(fmt::format("the operands are {} and {}, they must be of one type.", to_string(b.type(node.inputs[0])), to_string(b.type(node.inputs[i]))));
  return Done{};
}

constexpr float kMasked = -std::numeric_limits<float>::infinity();

/// What all attention operators have in common. Shapes: B batch, H heads of the query, G heads of keys and values (H a multiple of it),
/// L positions of the query, S positions of keys and values, D and E sizes of a head of keys and of values.
struct Heads {
  ValueId query, key, value;  ///< [B,H,L,D], [B,G,S,D], [B,G,S,E]
  double scale;
  double softcap = 0;       ///< c > 0: scores become c * tanh(score / c)
  ValueId bias = kNoValue;  ///< added to the scores, broadcasts to [B,H,L,S]; its -inf mask
};

struct Attended {
  ValueId y;                        ///< [B,H,L,E]
  ValueId scores, capped, biased, weights;  ///< [B,H,L,S]: the stages up to softmax
};

/// Whether a row (the last dimension) of the constant holds nothing but -inf.
bool has_masked_row(const Tensor& bias) {
  const std::vector<double> values = bias.to_doubles();
  const auto row = static_cast<size_t>(bias.type.shape.back());
  for (size_t start = 0; start + row <= values.size(); start += row)
    if (std::all_of(values.begin() + static_cast<std::ptrdiff_t>(start), values.begin() + static_cast<std::ptrdiff_t>(start + row), [](double v) { return v == kMasked; })) return true;
  return false;
}

Attended attend(const Heads& in, Formula& f, const GraphBuilder& b) {
  const Shape q = f.shape(in.query), k = f.shape(in.key), v = f.shape(in.value);
  if (f.failed()) return {};
  const DType dtype = b.type(in.query).dtype;
  const int64_t group = q[1] / k[1];  // heads of the query that share a head of the keys: a broadcast, no copies
  const Shape scores_shape{q[0], q[1], q[2], k[2]};
  ValueId query = f.reshaped(f(ops::mul, {in.query, f.number(in.scale, dtype)}), {q[0], k[1], group, q[2], q[3]});
  ValueId key = f.reshaped(f.transposed(in.key, {0, 1, 3, 2}), {k[0], k[1], 1, k[3], k[2]});
  Attended out{};
  out.scores = f.reshaped(f(ops::matmul, {query, key}), scores_shape);
  out.capped = out.scores;
  if (in.softcap > 0) {
    ValueId cap = f.number(in.softcap, dtype);
    out.capped = f(ops::mul, {f(ops::tanh, {f(ops::div, {out.scores, cap})}), cap});
  }
  out.biased = in.bias == kNoValue ? out.capped : f(ops::add, {out.capped, in.bias});
  out.weights = f(ops::softmax, {out.biased}, {{"axis", int64_t{3}}});
  // A position that may look at none gets zeros, not the 0/0 of softmax.
  if (const Tensor* bias = in.bias == kNoValue || f.failed() ? nullptr : b.constant(in.bias); in.bias != kNoValue && (!bias || has_masked_row(*bias))) {
    const auto last = static_cast<int64_t>(f.shape(in.bias).size()) - 1;
    ValueId most = f(ops::reduce_max, {in.bias}, {{"axes", std::vector<int64_t>{last}}});
    out.weights = f(ops::where, {f(ops::equal, {most, f.number(kMasked, dtype)}), f.number(0, dtype), out.weights});
  }
  ValueId weights = f.reshaped(out.weights, {q[0], k[1], group, q[2], k[2]});
  ValueId value = f.reshaped(in.value, {v[0], v[1], 1, v[2], v[3]});
  out.y = f.reshaped(f(ops::matmul, {weights, value}), {q[0], q[1], q[2], v[3]});
  return out;
}

/// [B,L,H*D] as [B,H,L,D].
ValueId split_heads(ValueId x, int64_t heads, Formula& f) {
  const Shape s = f.shape(x);
  return f.failed() ? kNoValue : f.transposed(f.reshaped(x, {s[0], s[1], heads, s[2] / heads}), {0, 2, 1, 3});
}

/// [B,H,L,E] as [B,L,H*E].
ValueId join_heads(ValueId y, Formula& f) {
  const Shape s = f.shape(y);
  return f.failed() ? kNoValue : f.reshaped(f.transposed(y, {0, 2, 1, 3}), {s[0], s[2], s[1] * s[3]});
}

/// What shapes must be for attend().
Status check_heads(const Shape& q, const Shape& k, const Shape& v) {
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    return bad_node(fmt::format("query {}, key {} and value {} must have 3 or 4 dimensions each.", to_string(q), to_string(k), to_string(v)));
  const bool fit = q[0] == k[0] && k[0] == v[0] && k[1] == v[1] && k[2] == v[2] && q[3] == k[3] && k[1] > 0 && q[1] % k[1] == 0 && q[3] > 0;
  if (!fit) return bad_node(fmt::format("query {}, key {} and value {} (batch, heads, positions, size) do not fit each other.", to_string(q), to_string(k), to_string(v)));
  return Done{};
}

/// -inf at the positions of the keys that come after that of the query, which is `offset` further than its index says; f32 [L,S].
Tensor causal_bias(int64_t positions, int64_t keys, int64_t offset) {
  Tensor t(TensorType{DType::f32, {positions, keys}, {}});
  for (int64_t i = 0; i < positions; ++i)
    for (int64_t j = 0; j < keys; ++j) t.as<float>()[static_cast<size_t>(i * keys + j)] = j > i + offset ? kMasked : 0;
  return t;
}

Tensor range(Shape shape) {
  Tensor t(TensorType{DType::i64, std::move(shape), {}});
  for (size_t i = 0; i < t.as<int64_t>().size(); ++i) t.as<int64_t>()[i] = static_cast<int64_t>(i);
  return t;
}

ValueId sum_of(ValueId a, ValueId b, Formula& f) { return a == kNoValue ? b : b == kNoValue ? a : f(ops::add, {a, b}); }

/// A mask as a bias: -inf where a boolean one is false. One that covers fewer than `keys` positions masks the rest.
ValueId mask_bias(ValueId mask, int64_t keys, DType dtype, Formula& f, const GraphBuilder& b) {
  if (b.type(mask).dtype == DType::boolean) mask = f(ops::where, {mask, f.number(0, dtype), f.number(kMasked, dtype)});
  Shape rest = f.shape(mask);
  if (f.failed() || rest.back() >= keys) return mask;
  const auto axis = static_cast<int64_t>(rest.size()) - 1;
  rest.back() = keys - rest.back();
  Tensor masked(TensorType{DType::f32, rest, {}});
  std::ranges::fill(masked.as<float>(), kMasked);
  return f(ops::concat, {mask, f.converted(f.constant(std::move(masked)), dtype)}, {{"axis", axis}});
}

// ---- ONNX Attention

constexpr size_t kMask = 3, kPastKey = 4, kPastValue = 5, kLengths = 6;

/// Masks of batches whose keys are padded behind the first lengths[b], and of what a query at the end of those must not see.
ValueId length_bias(ValueId lengths, int64_t positions, int64_t keys, bool causal, Formula& f) {
  const int64_t batch = f.shape(lengths).empty() ? 1 : f.shape(lengths)[0];
  ValueId length = f.reshaped(f.converted(lengths, DType::i64), {batch, 1, 1, 1}), column = f.constant(range({1, 1, 1, keys}));
  ValueId keep = f(ops::less, {column, length});
  if (causal) {
    Tensor first = range({1, 1, positions, 1});
    for (int64_t& row : first.as<int64_t>()) row -= positions;
    keep = f(ops::logical_and, {keep, f(ops::less_equal, {column, f(ops::add, {length, f.constant(std::move(first))})})});
  }
  return f(ops::where, {keep, f.number(0), f.number(kMasked)});
}

ImportResult import_attention(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_floats(node, b); !s) return std::move(s).diagnostic();
  Formula f(b);
  ValueId query = node.inputs[0], key = node.inputs[1], value = node.inputs[2];
  const bool flat = b.shape(query).size() == 3;
  if (flat) {
    const int64_t heads = node.attrs.i("q_num_heads"), key_heads = node.attrs.i("kv_num_heads");
    for (auto [x, count, name] : {std::tuple{query, heads, "q_num_heads"}, std::tuple{key, key_heads, "kv_num_heads"}, std::tuple{value, key_heads, "kv_num_heads"}})
      if (b.shape(x).size() != 3 || count <= 0 || b.shape(x)[2] % count != 0)
        return bad_node(fmt::format("'{}' is {}, which does not divide the last of 3 dimensions of {}.", name, count, to_string(b.type(x))));
    query = split_heads(query, heads, f);
    key = split_heads(key, key_heads, f);
    value = split_heads(value, key_heads, f);
  }
  int64_t past = 0;
  if (node.has(kPastKey) != node.has(kPastValue)) return bad_node("only one of 'past_key' and 'past_value' is given.");
  if (node.has(kPastKey)) {
    if (b.shape(node.inputs[kPastKey]).size() != 4) return bad_node(fmt::format("'past_key' is {}, it must have 4 dimensions.", to_string(b.type(node.inputs[kPastKey]))));
    past = b.shape(node.inputs[kPastKey])[2];
    key = f(ops::concat, {node.inputs[kPastKey], key}, {{"axis", int64_t{2}}});
    value = f(ops::concat, {node.inputs[kPastValue], value}, {{"axis", int64_t{2}}});
  }
  if (f.failed()) return f.result({});
  const Shape q = f.shape(query), k = f.shape(key);
  if (Status s = check_heads(q, k, f.shape(value)); !s) return std::move(s).diagnostic();

  Heads heads{.query = query, .key = key, .value = value, .scale = node.attrs.f("scale", 1 / std::sqrt(static_cast<double>(q[3]))), .softcap = node.attrs.f("softcap")};
  const DType dtype = b.type(query).dtype;
  const bool causal = node.attrs.i("is_causal") != 0;
  if (node.has(kMask)) heads.bias = mask_bias(node.inputs[kMask], k[2], dtype, f, b);
  if (node.has(kLengths)) {
    if (b.shape(node.inputs[kLengths]) != Shape{q[0]}) return bad_node(fmt::format("'nonpad_kv_seqlen' is {}, it must have {} elements.", to_string(b.type(node.inputs[kLengths])), q[0]));
    heads.bias = sum_of(heads.bias, f.converted(length_bias(node.inputs[kLengths], q[2], k[2], causal, f), dtype), f);
  } else if (causal) {
    heads.bias = sum_of(heads.bias, f.converted(f.constant(causal_bias(q[2], k[2], past)), dtype), f);
  }
  const Attended out = attend(heads, f, b);
  const int64_t mode = node.attrs.i("qk_matmul_output_mode");
  if (mode < 0 || mode > 3) return bad_node(fmt::format("'qk_matmul_output_mode' is {}, it must be 0 to 3.", mode));
  return f.result({flat ? join_heads(out.y, f) : out.y, key, value, mode == 0 ? out.scores : mode == 1 ? out.capped : mode == 2 ? out.biased : out.weights});
}

constexpr AttrSpec kAttentionAttrs[] = {{"is_causal", AttrKind::integer}, {"kv_num_heads", AttrKind::integer}, {"q_num_heads", AttrKind::integer},
                                        {"qk_matmul_output_mode", AttrKind::integer}, {"scale", AttrKind::real}, {"softcap", AttrKind::real},
                                        {"softmax_precision", AttrKind::integer}};

constexpr OpDef attention_op() {
  OpDef op;
  op.summary = "scaled dot product attention, with masks and past keys and values";
  op.onnx = {.type = "Attention", .attrs = kAttentionAttrs, .since = 23, .min_inputs = 3, .max_inputs = 7};
  op.import = import_attention;
  return op;
}

// ---- com.microsoft

/// y [B,H,L,E] by heads, with a bias and past keys and values [B,H,P,D] (kNoValue: none); outputs y [B,L,H*E], present keys and values.
ImportResult attend_microsoft(const OnnxNode& node, ValueId query, ValueId key, ValueId value, ValueId bias, ValueId past_key, ValueId past_value, Formula& f, GraphBuilder& b) {
  int64_t past = 0;
  if (past_key != kNoValue && past_value != kNoValue) {
    past = f.shape(past_key).size() == 4 ? f.shape(past_key)[2] : 0;
    key = f(ops::concat, {past_key, key}, {{"axis", int64_t{2}}});
    value = f(ops::concat, {past_value, value}, {{"axis", int64_t{2}}});
  }
  if (f.failed()) return f.result({});
  const Shape q = f.shape(query), k = f.shape(key);
  if (Status s = check_heads(q, k, f.shape(value)); !s) return std::move(s).diagnostic();
  double scale = node.attrs.f("scale");
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(q[3]));
  if (node.attrs.i("unidirectional") != 0) bias = sum_of(bias, f.converted(f.constant(causal_bias(q[2], k[2], past)), b.type(query).dtype), f);
  const Attended out = attend({.query = query, .key = key, .value = value, .scale = scale, .bias = bias}, f, b);
  return f.result({join_heads(out.y, f), key, value});
}

Result<int64_t> head_count(const OnnxNode& node, int64_t size) {
  const int64_t heads = node.attrs.i("num_heads");
  if (heads <= 0 || size % heads != 0) return bad_node(fmt::format("'num_heads' is {}, which does not divide the hidden size {}.", heads, size));
  return heads;
}

/// Inputs query [B,L,H*D], key, value, bias, key_padding_mask, attention_bias, past_key, past_value.
ImportResult import_multi_head_attention(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_floats(node, b); !s) return std::move(s).diagnostic();
  for (size_t i = 1; i < 3; ++i)
    if (!node.has(i) || b.shape(node.inputs[i]).size() != 3)
      return unsupported("MultiHeadAttention is supported for separate query, key and value of 3 dimensions only, not for packed ones or those of a cross-attention cache.");
  if (node.has(4)) return unsupported("'key_padding_mask' is not supported.", "add the mask to 'attention_bias'.");
  const Shape q = b.shape(node.inputs[0]);
  if (q.size() != 3) return unsupported(fmt::format("the query is {}, only 3 dimensions are supported.", to_string(q)));
  Result<int64_t> heads = head_count(node, q[2]);
  if (!heads) return std::move(heads).diagnostic();
  Formula f(b);
  ValueId parts[3];
  int64_t start = 0;
  for (size_t i = 0; i < 3; ++i) {
    parts[i] = node.inputs[i];
    const int64_t size = b.shape(parts[i])[2];
    if (size % *heads != 0) return bad_node(fmt::format("'num_heads' is {}, which does not divide the hidden size {}.", *heads, size));
    if (node.has(3)) {
      const Shape bias = b.shape(node.inputs[3]);
      if (bias.size() != 1 || start + size > bias[0]) return bad_node(fmt::format("the bias is {}, which is not what query, key and value need.", to_string(bias)));
      parts[i] = f(ops::add, {parts[i], f.part(node.inputs[3], 0, start, size)});
      start += size;
    }
    parts[i] = split_heads(parts[i], *heads, f);
  }
  auto input = [&](size_t i) { return node.has(i) ? node.inputs[i] : kNoValue; };
  return attend_microsoft(node, parts[0], parts[1], parts[2], input(5), input(6), input(7), f, b);
}

/// Inputs x [B,L,K], weights [K,3*H*D] and bias [3*H*D] of query, key and value, mask_index, past, attention_bias.
ImportResult import_microsoft_attention(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_floats(node, b); !s) return std::move(s).diagnostic();
  if (node.has(3) || node.has(4)) return unsupported("'mask_index' and 'past' are not supported.", "give the mask as 'attention_bias'.");
  if (node.attrs.i("do_rotary") != 0 || node.attrs.has("qkv_hidden_sizes")) return unsupported("'do_rotary' and 'qkv_hidden_sizes' are not supported.");
  const Shape x = b.shape(node.inputs[0]), w = b.shape(node.inputs[1]);
  if (x.size() != 3 || w.size() != 2 || w[0] != x[2] || w[1] % 3 != 0)
    return bad_node(fmt::format("input {} and weights {} do not fit: [batch, positions, K] and [K, 3 * hidden size] are needed.", to_string(x), to_string(w)));
  const int64_t size = w[1] / 3;
  Result<int64_t> heads = head_count(node, size);
  if (!heads) return std::move(heads).diagnostic();
  Formula f(b);
  ValueId parts[3];
  for (size_t i = 0; i < 3; ++i) {
    const int64_t start = static_cast<int64_t>(i) * size;
    // A layer for each, so that nothing has to be cut out of a common result.
    ValueId weights = f.transposed(f.part(node.inputs[1], 1, start, size), {1, 0});
    std::vector<ValueId> operands{node.inputs[0], weights};
    if (node.has(2)) operands.push_back(f.part(node.inputs[2], 0, start, size));
    parts[i] = split_heads(b.constant(node.inputs[1]) ? f(ops::dense, operands) : kNoValue, *heads, f);
    if (parts[i] == kNoValue && !f.failed()) return unsupported("weights computed at run time are not supported.");
  }
  return attend_microsoft(node, parts[0], parts[1], parts[2], node.has(5) ? node.inputs[5] : kNoValue, kNoValue, kNoValue, f, b);
}

constexpr AttrSpec kMicrosoftAttentionAttrs[] = {{"num_heads", AttrKind::integer}, {"mask_filter_value", AttrKind::real}, {"scale", AttrKind::real},
                                                 {"unidirectional", AttrKind::integer}, {"do_rotary", AttrKind::integer}, {"past_present_share_buffer", AttrKind::integer},
                                                 {"qkv_hidden_sizes", AttrKind::integers}, {"rotary_embedding_dim", AttrKind::integer}};

constexpr OpDef microsoft_op(std::string_view type, std::string_view summary, size_t min_inputs, size_t max_inputs, decltype(OpDef::import) import) {
  OpDef op;
  op.summary = summary;
  op.onnx = {.type = type, .domain = "com.microsoft", .attrs = kMicrosoftAttentionAttrs, .min_inputs = min_inputs, .max_inputs = max_inputs};
  op.import = import;
  return op;
}

// ---- RotaryEmbedding

/// Pairs (x1, x2) of the first `turned` elements of each head are rotated by the angle of their position: (x1 cos - x2 sin, x1 sin + x2 cos).
/// Pairs are neighbours (interleaved), or an element of the first half with one of the second.
ValueId rotate(ValueId x, ValueId cosines, ValueId sines, int64_t turned, bool interleaved, Formula& f) {
  const Shape shape = f.shape(x);
  if (f.failed()) return kNoValue;
  const int64_t half = turned / 2;
  ValueId x1 = interleaved ? f.part(x, 3, 0, half, 2) : f.part(x, 3, 0, half), x2 = interleaved ? f.part(x, 3, 1, half, 2) : f.part(x, 3, half, half);
  std::vector<ValueId> parts{f(ops::sub, {f(ops::mul, {cosines, x1}), f(ops::mul, {sines, x2})}), f(ops::add, {f(ops::mul, {sines, x1}), f(ops::mul, {cosines, x2})})};
  if (interleaved) {
    for (ValueId& part : parts) part = f.reshaped(part, {shape[0], shape[1], shape[2], half, 1});
    parts = {f.reshaped(f(ops::concat, parts, {{"axis", int64_t{4}}}), {shape[0], shape[1], shape[2], turned})};
  }
  if (turned < shape[3]) parts.push_back(f.part(x, 3, turned, shape[3] - turned));
  return parts.size() == 1 ? parts[0] : f(ops::concat, parts, {{"axis", int64_t{3}}});
}

ImportResult import_rotary_embedding(const OnnxNode& node, GraphBuilder& b) {
  if (Status s = check_floats(node, b); !s) return std::move(s).diagnostic();
  Formula f(b);
  ValueId x = node.inputs[0], cosines = node.inputs[1], sines = node.inputs[2];
  const Shape given = b.shape(x);
  const bool flat = given.size() == 3;
  if (flat) {  // [B,L,H*D]: heads become a dimension where they stand
    const int64_t heads = node.attrs.i("num_heads");
    if (heads <= 0 || given[2] % heads != 0) return bad_node(fmt::format("'num_heads' is {}, which does not divide the last dimension of {}.", heads, to_string(given)));
    x = f.reshaped(x, {given[0], given[1], heads, given[2] / heads});
  }
  const Shape shape = f.shape(x);
  if (f.failed() || shape.size() != 4) return f.failed() ? f.result({}) : bad_node(fmt::format("the input is {}, it must have 3 or 4 dimensions.", to_string(given)));
  const int64_t turned = node.attrs.i("rotary_embedding_dim") == 0 ? shape[3] : node.attrs.i("rotary_embedding_dim");
  if (turned % 2 != 0 || turned < 2 || turned > shape[3]) return bad_node(fmt::format("{} of {} elements of a head cannot be rotated.", turned, shape[3]));
  if (node.has(3)) {  // caches [positions, D/2], of which each element of the batch takes its own rows
    cosines = f(ops::gather, {cosines, node.inputs[3]}, {{"axis", int64_t{0}}});
    sines = f(ops::gather, {sines, node.inputs[3]}, {{"axis", int64_t{0}}});
  }
  const int64_t batch = shape[0], positions = flat ? shape[1] : shape[2], half = turned / 2;
  for (ValueId* cache : {&cosines, &sines}) {
    const Shape s = f.shape(*cache);
    if (f.failed()) return f.result({});
    if (s.size() != 3 || s[0] != batch || s[1] != positions || s[2] < half)
      return bad_node(fmt::format("a cache of cosines or sines is {}, {} is needed.", to_string(s), to_string(Shape{batch, positions, half})));
    *cache = f.reshaped(s[2] == half ? *cache : f.part(*cache, 2, 0, half), flat ? Shape{batch, positions, 1, half} : Shape{batch, 1, positions, half});
  }
  return f.result({f.reshaped(rotate(x, cosines, sines, turned, node.attrs.i("interleaved") != 0, f), given)});
}

constexpr AttrSpec kRotaryAttrs[] = {{"interleaved", AttrKind::integer}, {"num_heads", AttrKind::integer}, {"rotary_embedding_dim", AttrKind::integer}};

constexpr OpDef rotary_op() {
  OpDef op;
  op.summary = "rotation of pairs of elements by angles that depend on the position";
  op.onnx = {.type = "RotaryEmbedding", .attrs = kRotaryAttrs, .since = 23, .min_inputs = 3, .max_inputs = 4};
  op.import = import_rotary_embedding;
  return op;
}

}  // namespace

namespace ops {
const OpDef attention = attention_op();
const OpDef microsoft_attention = microsoft_op("Attention", "attention of one input with itself", 2, 6, import_microsoft_attention);
const OpDef microsoft_multi_head_attention = microsoft_op("MultiHeadAttention", "attention of a query to keys and values", 1, 8, import_multi_head_attention);
const OpDef rotary_embedding = rotary_op();
}  // namespace ops

}  // namespace kiln
