// SPDX-License-Identifier: Apache-2.0
// TfIdfVectorizer of integers: how often each n-gram of a pool stands in a row, its words up to `max_skip_count` apart. Composed from
// comparisons of shifted rows with the pool, which is constant; so the row's length decides the work, and words need no dictionary.
#include <algorithm>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

struct NGrams {
  int64_t length = 0;
  std::vector<int64_t> words;  ///< of one n-gram after the other
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(words.size()) / length; }
};

/// The pool by the length of its n-grams; `ngram_counts` says where each length begins.
Result<std::vector<NGrams>> read_pool(const Attrs& attrs) {
  const std::vector<int64_t> pool = attrs.ints("pool_int64s"), begins = attrs.ints("ngram_counts");
  std::vector<NGrams> grams;
  for (size_t i = 0; i < begins.size(); ++i) {
    const int64_t begin = begins[i], end = i + 1 < begins.size() ? begins[i + 1] : static_cast<int64_t>(pool.size()),
                  length = static_cast<int64_t>(i) + 1;
    if (begin < 0 || end < begin || end > static_cast<int64_t>(pool.size()) || (end - begin) % length != 0)
      return bad_node(fmt::format("'ngram_counts' {} does not divide a pool of {} into n-grams.", to_string(begins), pool.size()));
    grams.push_back({length, {pool.begin() + begin, pool.begin() + end}});
  }
  return grams;
}

/// f32 [rows, n-grams]: how often each stands in the rows of x [rows, words], its words `distance` apart.
Result<ValueId> count_in(GraphBuilder& b, ValueId x, const NGrams& grams, int64_t distance) {
  const Shape shape = b.shape(x);
  const int64_t places = shape[1] - (grams.length - 1) * distance;
  ValueId hits = kNoValue;
  for (int64_t k = 0; k < grams.length; ++k) {
    std::vector<int64_t> words;
    for (size_t i = static_cast<size_t>(k); i < grams.words.size(); i += static_cast<size_t>(grams.length)) words.push_back(grams.words[i]);
    SliceSpec from = whole_slice(shape);
    from.starts[1] = k * distance;
    from.sizes[1] = places;
    Result<ValueId> word = slice(b, x, from);
    if (word) word = reshape(b, *word, {shape[0], places, 1});
    if (word) word = b.add(ops::equal, {*word, b.add_constant(Tensor::of<int64_t>({1, 1, grams.count()}, words))});
    if (word && k > 0) word = b.add(ops::logical_and, {hits, *word});
    if (!word) return word;
    hits = *word;
  }
  Result<ValueId> numbers = cast(b, hits, DType::f32);
  if (numbers) numbers = b.add(ops::reduce_sum, {*numbers}, {{"axes", std::vector<int64_t>{1}}});
  return numbers ? reshape(b, *numbers, {shape[0], grams.count()}) : std::move(numbers);
}

/// f32 [rows, n-grams of the pool in its order]; those of lengths that are not asked for stay 0.
Result<ValueId> count_all(GraphBuilder& b, const OnnxNode& node, ValueId x, const std::vector<NGrams>& pool) {
  const Shape shape = b.shape(x);
  const int64_t shortest = node.attrs.i("min_gram_length"), longest = node.attrs.i("max_gram_length"),
                skips = node.attrs.i("max_skip_count");
  std::vector<ValueId> parts;
  for (const NGrams& grams : pool) {
    if (grams.words.empty()) continue;
    ValueId sum = b.add_constant(Tensor(TensorType{DType::f32, {shape[0], grams.count()}, {}}));
    const bool wanted = grams.length >= shortest && grams.length <= longest;
    for (int64_t distance = 1; wanted && distance <= (grams.length == 1 ? 1 : skips + 1) && (grams.length - 1) * distance < shape[1];
         ++distance) {
      Result<ValueId> counts = count_in(b, x, grams, distance);
      if (counts && distance > 1) counts = b.add(ops::add, {sum, *counts});
      if (!counts) return counts;
      sum = *counts;
    }
    parts.push_back(sum);
  }
  return parts.size() == 1 ? Result<ValueId>(parts[0]) : b.add(ops::concat, parts, {{"axis", int64_t{1}}});
}

/// Column `columns[i]` of the result is column i; columns that no n-gram has are 0.
Result<ValueId> arrange_columns(GraphBuilder& b, ValueId counts, const std::vector<int64_t>& columns, int64_t width) {
  const Shape shape = b.shape(counts);
  std::vector<int64_t> from(static_cast<size_t>(width), shape[1]);
  for (size_t i = 0; i < columns.size(); ++i) from[static_cast<size_t>(columns[i])] = static_cast<int64_t>(i);
  Result<ValueId> y = counts;
  if (std::count(from.begin(), from.end(), shape[1]) > 0)
    y = b.add(ops::concat, {counts, b.add_constant(Tensor(TensorType{DType::f32, {shape[0], 1}, {}}))}, {{"axis", int64_t{1}}});
  if (!y) return y;
  ImportResult out =
      ops::gather.import(OnnxNode{"", "Gather", "", 13, {{"axis", int64_t{1}}}, {*y, b.add_constant(Tensor::int64s(from))}, 1, {true}}, b);
  return out ? Result<ValueId>(out->front()) : std::move(out).diagnostic();
}

/// As ONNX Runtime has it, weights belong to columns of the result.
Result<ValueId> weighted(GraphBuilder& b, const OnnxNode& node, ValueId counts) {
  const std::string mode = node.attrs.s("mode");
  const std::vector<double> weights = node.attrs.get<std::vector<double>>("weights", {});
  const int64_t width = b.shape(counts)[1];
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    return bad_node(fmt::format("attribute 'mode' is '{}', it must be TF, IDF or TFIDF.", mode));
  Result<ValueId> y = counts;
  if (mode == "IDF") y = b.add(ops::min, {counts, b.add_constant(scalar(DType::f32, 1))});
  if (mode == "TF" || weights.empty() || !y) return y;
  if (static_cast<int64_t>(weights.size()) != width)
    return bad_node(fmt::format("{} weights are given for {} columns.", weights.size(), width));
  return b.add(ops::mul, {*y, b.add_constant(Tensor::floats({width}, {weights.begin(), weights.end()}))});
}

ImportResult import_tf_idf(const OnnxNode& node, GraphBuilder& b) {
  const TensorType x = b.type(node.inputs[0]);
  if (x.rank() < 1 || x.rank() > 2 || (x.dtype != DType::i32 && x.dtype != DType::i64))
    return bad_node(fmt::format("the input is {}, it must be one or two dimensions of i32 or i64.", to_string(x)));
  if (node.attrs.has("pool_strings")) return unsupported("a pool of strings is not supported, only of integers.");
  Result<std::vector<NGrams>> pool = read_pool(node.attrs);
  if (!pool) return std::move(pool).diagnostic();
  const std::vector<int64_t> columns = node.attrs.ints("ngram_indexes");
  int64_t grams = 0;
  for (const NGrams& g : *pool) grams += g.count();
  if (columns.empty() || static_cast<int64_t>(columns.size()) != grams)
    return bad_node(fmt::format("'ngram_indexes' has {} entries for {} n-grams.", columns.size(), grams));
  std::vector<int64_t> sorted = columns;
  std::sort(sorted.begin(), sorted.end());
  constexpr int64_t kMaxColumns = 1 << 20;
  if (sorted.front() < 0 || sorted.back() >= kMaxColumns)
    return bad_node(fmt::format("'ngram_indexes' are between {} and {}.", sorted.front(), sorted.back()));
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return unsupported("two n-grams of the pool have one column of the result.");
  Result<ValueId> rows = cast(b, node.inputs[0], DType::i64);
  if (rows) rows = reshape(b, *rows, {x.rank() == 2 ? x.shape[0] : 1, x.shape.back()});
  Result<ValueId> y = rows ? count_all(b, node, *rows, *pool) : std::move(rows);
  if (y) y = arrange_columns(b, *y, columns, sorted.back() + 1);
  if (y) y = weighted(b, node, *y);
  return one(!y || x.rank() == 2 ? std::move(y) : reshape(b, *y, {sorted.back() + 1}));
}

constexpr AttrSpec kTfIdfAttrs[] = {
    {"max_gram_length", AttrKind::integer}, {"max_skip_count", AttrKind::integer},
    {"min_gram_length", AttrKind::integer}, {"mode", AttrKind::string},
    {"ngram_counts", AttrKind::integers},   {"ngram_indexes", AttrKind::integers},
    {"pool_int64s", AttrKind::integers},    {"pool_strings", AttrKind::strings},
    {"weights", AttrKind::reals},
};

}  // namespace

namespace ops {
const OpDef tf_idf = {
    .summary = "how often the n-grams of a pool of integers occur",
    .onnx = {.type = "TfIdfVectorizer", .attrs = kTfIdfAttrs, .since = 9, .max_inputs = 1},
    .import = import_tf_idf,
};
}  // namespace ops

}  // namespace kiln
