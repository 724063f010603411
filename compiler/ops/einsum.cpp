// SPDX-License-Identifier: Apache-2.0
// Einsum: "bij,bjk->bik" and the like, composed from core operators. Operands are brought to one dimension per label (diagonals taken, what
// no other operand and no result needs summed), then combined from left to right: labels that both have and nothing needs later are summed
// by a product of matrices, with the shared ones that stay as its batch. Dimensions of size 1 broadcast.
#include <algorithm>
#include <map>
#include <utility>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/movement.h"

namespace kiln {
namespace {

/// Letters as they are; the dimensions under an ellipsis are -1, -2, ..., counted from its last one.
using Labels = std::vector<int>;

struct Equation {
  std::vector<Labels> operands;
  Labels result;
};

/// An operand, or a partial result: dimension i of `value` is that of labels[i]. No label stands twice.
struct Term {
  ValueId value = kNoValue;
  Labels labels;
};

bool contains(const Labels& labels, int label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }

/// "ij" or "i...j" for a tensor of `rank` dimensions; `rank` -1: the result, whose ellipsis stands for `hidden` dimensions.
Result<Labels> labels_of(std::string_view text, int64_t rank, int64_t hidden) {
  Labels labels;
  const size_t dots = text.find("...");
  const auto letters = static_cast<int64_t>(text.size()) - (dots == std::string_view::npos ? 0 : 3);
  if (dots == std::string_view::npos)
    hidden = 0;
  else if (rank >= 0)
    hidden = rank - letters;
  if (rank >= 0 && (hidden < 0 || hidden + letters != rank))
    return bad_node(fmt::format("term '{}' of the equation does not fit an operand of {} dimensions.", text, rank));
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == dots) {
      for (int64_t k = hidden; k > 0; --k) labels.push_back(static_cast<int>(-k));
      i += 2;
      continue;
    }
    const char c = text[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
      return bad_node(fmt::format("the equation's term '{}' must consist of letters and one '...'.", text));
    labels.push_back(c);
  }
  return labels;
}

/// Without "->" the result has the ellipsis, then the labels that stand once, in alphabetical order.
Labels implicit_result(const std::vector<Labels>& operands) {
  std::map<int, int> uses;
  for (const Labels& labels : operands)
    for (int label : labels) ++uses[label];
  Labels result;
  for (const auto& [label, count] : uses)
    if (label < 0 || count == 1) result.push_back(label);
  return result;
}

Result<Equation> parse_equation(std::string text, const std::vector<Shape>& shapes) {
  std::erase_if(text, [](char c) { return c == ' '; });
  const size_t arrow = text.find("->");
  const std::string_view left = std::string_view(text).substr(0, arrow);
  Equation equation;
  int64_t hidden = 0;
  for (size_t begin = 0; begin <= left.size();) {
    const size_t end = std::min(left.find(',', begin), left.size());
    if (equation.operands.size() >= shapes.size()) break;
    Result<Labels> labels = labels_of(left.substr(begin, end - begin), static_cast<int64_t>(shapes[equation.operands.size()].size()), 0);
    if (!labels) return std::move(labels).diagnostic();
    hidden = std::max<int64_t>(hidden, std::count_if(labels->begin(), labels->end(), [](int label) { return label < 0; }));
    equation.operands.push_back(*std::move(labels));
    begin = end + 1;
  }
  const auto terms = static_cast<size_t>(std::count(left.begin(), left.end(), ',')) + 1;
  if (terms != shapes.size())
    return bad_node(fmt::format("equation '{}' has {} terms, the node has {} operands.", text, terms, shapes.size()));
  if (arrow == std::string::npos) {
    equation.result = implicit_result(equation.operands);
    return equation;
  }
  Result<Labels> result = labels_of(std::string_view(text).substr(arrow + 2), -1, hidden);
  if (!result) return std::move(result).diagnostic();
  equation.result = *std::move(result);
  for (size_t i = 0; i < equation.result.size(); ++i) {
    const int label = equation.result[i];
    const bool known =
        std::any_of(equation.operands.begin(), equation.operands.end(), [&](const Labels& labels) { return contains(labels, label); });
    if (!known || std::count(equation.result.begin(), equation.result.end(), label) > 1)
      return bad_node(fmt::format("the result of equation '{}' must have labels of the operands, each once.", text));
  }
  return equation;
}

/// The size of each label; operands may have 1 instead.
Result<std::map<int, int64_t>> label_sizes(const Equation& equation, const std::vector<Shape>& shapes) {
  std::map<int, int64_t> sizes;
  for (size_t i = 0; i < shapes.size(); ++i)
    for (size_t d = 0; d < shapes[i].size(); ++d) {
      int64_t& size = sizes.emplace(equation.operands[i][d], shapes[i][d]).first->second;
      if (size == 1) size = shapes[i][d];
      if (shapes[i][d] != size && shapes[i][d] != 1)
        return bad_node(fmt::format("one label of the equation has {} and {} indices.", size, shapes[i][d]));
    }
  return sizes;
}

/// The value with the dimensions of its labels in another order.
Result<ValueId> arranged(GraphBuilder& b, const Term& term, const Labels& order) {
  std::vector<int64_t> perm;
  for (int label : order) perm.push_back(std::find(term.labels.begin(), term.labels.end(), label) - term.labels.begin());
  return transpose(b, term.value, perm);
}

/// Dimensions of size 1 whose label is larger elsewhere are dropped: they broadcast.
Status drop_broadcast(GraphBuilder& b, Term& term, const std::map<int, int64_t>& sizes) {
  const Shape shape = b.shape(term.value);
  Shape kept;
  Labels labels;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != sizes.at(term.labels[d])) continue;
    kept.push_back(shape[d]);
    labels.push_back(term.labels[d]);
  }
  if (labels.size() == term.labels.size()) return Done{};
  Result<ValueId> y = reshape(b, term.value, kept);
  if (!y) return std::move(y).diagnostic();
  term = {*y, std::move(labels)};
  return Done{};
}

/// Of a label that stands twice, the elements where both indices are the same: the two dimensions of n become one, whose every n + 1st
/// index they are.
Status take_diagonals(GraphBuilder& b, Term& term) {
  for (size_t i = 0; i < term.labels.size(); ++i) {
    const size_t twin = static_cast<size_t>(
        std::find(term.labels.begin() + static_cast<int64_t>(i) + 1, term.labels.end(), term.labels[i]) - term.labels.begin());
    if (twin == term.labels.size()) continue;
    std::vector<int64_t> perm;
    for (size_t d = 0; d < term.labels.size(); ++d) {
      if (d == twin) continue;
      perm.push_back(static_cast<int64_t>(d));
      if (d == i) perm.push_back(static_cast<int64_t>(twin));
    }
    Result<ValueId> y = transpose(b, term.value, perm);
    if (!y) return std::move(y).diagnostic();
    Shape shape = b.shape(*y);
    const int64_t n = shape[i];
    shape.erase(shape.begin() + static_cast<int64_t>(i));
    shape[i] = n * n;
    y = reshape(b, *y, shape);
    if (!y) return std::move(y).diagnostic();
    SliceSpec diagonal = whole_slice(shape);
    diagonal.sizes[i] = n;
    diagonal.steps[i] = n + 1;
    y = slice(b, *y, diagonal);
    if (!y) return std::move(y).diagnostic();
    term.value = *y;
    term.labels.erase(term.labels.begin() + static_cast<int64_t>(twin));
    --i;  // a label may stand three times
  }
  return Done{};
}

/// Sums over the labels that are not `needed`.
template <class Needed>
Status sum_others(GraphBuilder& b, Term& term, Needed needed) {
  std::vector<int64_t> axes;
  Labels labels;
  Shape shape;
  for (size_t d = 0; d < term.labels.size(); ++d) {
    if (!needed(term.labels[d])) {
      axes.push_back(static_cast<int64_t>(d));
      continue;
    }
    labels.push_back(term.labels[d]);
    shape.push_back(b.shape(term.value)[d]);
  }
  if (axes.empty()) return Done{};
  Result<ValueId> y = b.add(ops::reduce_sum, {term.value}, {{"axes", axes}});
  if (y) y = reshape(b, *y, shape);
  if (!y) return std::move(y).diagnostic();
  term = {*y, std::move(labels)};
  return Done{};
}

int64_t elements_of(const Labels& labels, const std::map<int, int64_t>& sizes) {
  int64_t count = 1;
  for (int label : labels) count *= sizes.at(label);
  return count;
}

/// The elementwise product over all labels of both.
Result<Term> product_of(GraphBuilder& b, const Term& left, const Term& right) {
  Labels all = left.labels;
  for (int label : right.labels)
    if (!contains(all, label)) all.push_back(label);
  ValueId operands[2];
  for (size_t i = 0; i < 2; ++i) {
    const Term& term = i == 0 ? left : right;
    Labels order;
    for (int label : all)
      if (contains(term.labels, label)) order.push_back(label);
    Result<ValueId> x = arranged(b, term, order);
    if (!x) return std::move(x).diagnostic();
    Shape shape;
    size_t next = 0;
    for (int label : all) shape.push_back(contains(order, label) ? b.shape(*x)[next++] : 1);
    x = reshape(b, *x, shape);
    if (!x) return std::move(x).diagnostic();
    operands[i] = *x;
  }
  Result<ValueId> y = b.add(ops::mul, {operands[0], operands[1]});
  if (!y) return std::move(y).diagnostic();
  return Term{*y, std::move(all)};
}

/// Both operands combined; labels that are not `needed` any more are summed.
template <class Needed>
Result<Term> contracted(GraphBuilder& b, Term left, Term right, const std::map<int, int64_t>& sizes, Needed needed) {
  if (b.constant(left.value) && !b.constant(right.value)) std::swap(left, right);  // constant weights stand on the right
  Labels batch, summed, rows, columns;
  for (int label : left.labels) {
    const bool shared = contains(right.labels, label);
    (!shared ? rows : needed(label) ? batch : summed).push_back(label);
  }
  for (int label : right.labels)
    if (!contains(left.labels, label)) columns.push_back(label);
  if (summed.empty() || !is_float(b.type(left.value).dtype)) {
    Result<Term> y = product_of(b, left, right);
    if (!y) return y;
    if (Status s = sum_others(b, *y, needed); !s) return std::move(s).diagnostic();
    return y;
  }
  auto matrix = [&](const Term& term, const Labels& first, const Labels& second) {
    Labels order = batch;
    order.insert(order.end(), first.begin(), first.end());
    order.insert(order.end(), second.begin(), second.end());
    Result<ValueId> x = arranged(b, term, order);
    Shape shape{elements_of(first, sizes), elements_of(second, sizes)};
    if (!batch.empty()) shape.insert(shape.begin(), elements_of(batch, sizes));
    return x ? reshape(b, *x, shape) : std::move(x);
  };
  Result<ValueId> a = matrix(left, rows, summed);
  if (!a) return std::move(a).diagnostic();
  Result<ValueId> w = matrix(right, summed, columns);
  if (!w) return std::move(w).diagnostic();
  ImportResult y = ops::matmul.import(OnnxNode{"", "MatMul", "", 13, {}, {*a, *w}, 1, {true}}, b);
  if (!y) return std::move(y).diagnostic();
  Labels labels = batch;
  labels.insert(labels.end(), rows.begin(), rows.end());
  labels.insert(labels.end(), columns.begin(), columns.end());
  Shape shape;
  for (int label : labels) shape.push_back(sizes.at(label));
  Result<ValueId> shaped = reshape(b, y->front(), shape);
  if (!shaped) return std::move(shaped).diagnostic();
  return Term{*shaped, std::move(labels)};
}

ImportResult import_einsum(const OnnxNode& node, GraphBuilder& b) {
  std::vector<Shape> shapes;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.has(i)) return bad_node(fmt::format("operand {} is missing.", i));
    shapes.push_back(b.shape(node.inputs[i]));
  }
  Result<Equation> equation = parse_equation(node.attrs.s("equation"), shapes);
  if (!equation) return std::move(equation).diagnostic();
  Result<std::map<int, int64_t>> sizes = label_sizes(*equation, shapes);
  if (!sizes) return std::move(sizes).diagnostic();
  std::vector<Term> terms;
  for (size_t i = 0; i < node.inputs.size(); ++i) terms.push_back({node.inputs[i], equation->operands[i]});
  for (Term& term : terms) {
    Status s = drop_broadcast(b, term, *sizes);
    if (s) s = take_diagonals(b, term);
    if (!s) return std::move(s).diagnostic();
  }
  auto needed_from = [&](size_t first) {
    return [&, first](int label) {
      return contains(equation->result, label) || std::any_of(terms.begin() + static_cast<int64_t>(first), terms.end(),
                                                              [&](const Term& t) { return contains(t.labels, label); });
    };
  };
  for (size_t i = 0; i < terms.size(); ++i) {
    Term term = std::exchange(terms[i], Term{});
    if (Status s = sum_others(b, term, needed_from(0)); !s) return std::move(s).diagnostic();
    terms[i] = std::move(term);
  }
  Term all = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    Result<Term> next = contracted(b, std::move(all), terms[i], *sizes, needed_from(i + 1));
    if (!next) return std::move(next).diagnostic();
    all = *std::move(next);
  }
  return one(arranged(b, all, equation->result));
}

constexpr AttrSpec kEinsumAttrs[] = {{"equation", AttrKind::string}};

}  // namespace

namespace ops {
const OpDef einsum = {
    .summary = "sums of products over labelled dimensions",
    .onnx = {.type = "Einsum", .attrs = kEinsumAttrs, .since = 12},
    .import = import_einsum,
};
}  // namespace ops

}  // namespace kiln
