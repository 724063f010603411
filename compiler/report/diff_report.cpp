// SPDX-License-Identifier: Apache-2.0
#include "compiler/report/diff_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "compiler/report/json_numbers.h"
#include "compiler/report/table.h"
#include "compiler/support/terminal.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

std::string number(double value) { return value == 0 ? "0" : fmt::format("{:.2e}", value); }

std::string ulp_text(const Comparison& c, DType dtype) {
  if (!is_float(dtype)) return "-";
  return c.max_ulp == Comparison::kManyUlps ? "nan" : fmt::format("{}", c.max_ulp);
}

/// Integers as they are, floats in as many digits as tell neighbours apart.
std::string value_text(double value, DType dtype) { return is_float(dtype) ? fmt::format("{:.9g}", value) : fmt::format("{:.0f}", value); }

std::string verdict_text(const Comparison& c, DType dtype, bool counts, bool color) {
  if (!c.pass() && !counts) return styled(fmt::format("not this model's ({} of {})", c.wrong, c.elements), "33", color);
  if (!c.pass()) return styled(fmt::format("DIFFERS ({} of {})", c.wrong, c.elements), "1;31", color);
  if (c.allowed > 0) return styled(fmt::format("allowed ({} of {})", c.allowed, c.elements), "33", color);
  if (c.different == 0) return styled("same", "32", color);
  return styled(is_float(dtype) ? "ok" : fmt::format("ok ({} differ)", c.different), "32", color);
}

/// The kinds of allowances that some of the rows have, each with a column of its own.
template <class Rows>
std::vector<AllowanceKind> allowances_of(const Rows& rows) {
  std::vector<AllowanceKind> kinds;
  for (const AllowanceInfo& info : all_allowances())
    if (std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
          return std::any_of(row.allowances.begin(), row.allowances.end(), [&](const Allowance& a) { return a.kind == info.kind; });
        }))
      kinds.push_back(info.kind);
  return kinds;
}

/// The cells of those columns: "0.0235", "0.000977+0.00391*|ref|", "-".
void append_allowances(std::vector<std::string>& cells, const std::vector<AllowanceKind>& kinds, const std::vector<Allowance>& allowances) {
  for (AllowanceKind kind : kinds) {
    std::string cell = "-";
    for (const Allowance& a : allowances)
      if (a.kind == kind) cell = fmt::format("{:.3g}", a.absolute) + (a.relative > 0 ? fmt::format("+{:.3g}*|ref|", a.relative) : "");
    cells.push_back(std::move(cell));
  }
}

void append_titles(std::vector<std::string>& titles, const std::vector<AllowanceKind>& kinds) {
  for (AllowanceKind kind : kinds) titles.emplace_back(allowance_info(kind).title);
}

/// The comparisons of one output with one reference over all sets, as one.
struct Merged {
  const OutputDiff* first;
  const OutputDiff* worst;  // the one whose worst element is shown
  Comparison sum;
  size_t sets = 0;
  bool counts = false;  // one that counts fails, or none fails
};

void merge(Merged& into, const OutputDiff& one) {
  const Comparison& c = one.comparison;
  if (one.fails() != into.worst->fails() ? one.fails() : is_worse(c, into.worst->comparison)) into.worst = &one;
  into.counts = into.worst->counts;
  double squares =
      into.sum.rmse * into.sum.rmse * static_cast<double>(into.sum.elements) + c.rmse * c.rmse * static_cast<double>(c.elements);
  into.sum.elements += c.elements;
  into.sum.wrong += c.wrong;
  into.sum.allowed += c.allowed;
  into.sum.different += c.different;
  into.sum.max_abs = std::max(into.sum.max_abs, c.max_abs);
  into.sum.max_rel = std::max(into.sum.max_rel, c.max_rel);
  into.sum.max_ulp = std::max(into.sum.max_ulp, c.max_ulp);
  into.sum.cosine = std::min(into.sum.cosine, c.cosine);
  into.sum.rmse = into.sum.elements ? std::sqrt(squares / static_cast<double>(into.sum.elements)) : 0;
  ++into.sets;
}

std::vector<Merged> merge_sets(const std::vector<OutputDiff>& outputs) {
  std::vector<Merged> rows;
  for (const OutputDiff& one : outputs) {
    auto row = std::find_if(rows.begin(), rows.end(),
                            [&](const Merged& m) { return m.first->output == one.output && m.first->reference == one.reference; });
    if (row == rows.end()) row = rows.insert(rows.end(), {&one, &one, {}, 0, true});
    merge(*row, one);
  }
  return rows;
}

std::string outputs_table(const DiffReport& report, bool color) {
  const std::vector<AllowanceKind> kinds = allowances_of(report.outputs);
  std::vector<std::string> titles{"output",  "against",  "sets",    "max abs",   "max rel", "max ulp", "cosine",
                                  "rmse",    "worst at", "emitted", "reference"};
  std::vector<size_t> numbers{2, 3, 4, 5, 6, 7, 9, 10};
  for (size_t i = 0; i < kinds.size(); ++i) numbers.push_back(titles.size() + i);
  append_titles(titles, kinds);
  titles.emplace_back("verdict");
  Table table(titles, numbers);
  for (const Merged& m : merge_sets(report.outputs)) {
    const Comparison& w = m.worst->comparison;
    DType dtype = m.first->type.dtype;
    bool same = w.worst < 0;
    std::string where = same ? "-" : (report.sets.size() > 1 ? m.worst->set + " " : "") + index_text(w.worst, m.first->type.shape);
    std::vector<std::string> row{m.first->output, m.first->reference, fmt::format("{}", m.sets), number(m.sum.max_abs), number(m.sum.max_rel),
                                 ulp_text(m.sum, dtype), fmt::format("{:.7f}", m.sum.cosine), number(m.sum.rmse), where,
                                 same ? "-" : value_text(w.worst_got, dtype), same ? "-" : value_text(w.worst_expected, dtype)};
    append_allowances(row, kinds, m.first->allowances);
    row.push_back(verdict_text(m.sum, dtype, m.counts, color));
    table.add(std::move(row));
  }
  return table.text();
}

std::string layers_table(const DiffReport& report, bool color) {
  const std::vector<AllowanceKind> kinds = allowances_of(report.layers);
  std::vector<std::string> titles{"step", "kernel", "shape", "max abs", "max rel", "max ulp", "cosine", "rmse"};
  std::vector<size_t> numbers{0, 3, 4, 5, 6, 7};
  for (size_t i = 0; i < kinds.size(); ++i) numbers.push_back(titles.size() + i);
  append_titles(titles, kinds);
  titles.insert(titles.end(), {"verdict", "ONNX tensor"});
  Table table(titles, numbers);
  for (const LayerDiff& layer : report.layers) {
    std::vector<std::string> row{fmt::format("{}", layer.step + 1), layer.label, to_string(std::span<const int64_t>(layer.type.shape))};
    if (layer.comparison) {
      const Comparison& c = *layer.comparison;
      for (std::string cell : {number(c.max_abs), number(c.max_rel), ulp_text(c, layer.type.dtype), fmt::format("{:.7f}", c.cosine), number(c.rmse)})
        row.push_back(std::move(cell));
    } else {
      row.insert(row.end(), 5, "-");
    }
    append_allowances(row, kinds, layer.allowances);
    row.push_back(layer.comparison ? verdict_text(*layer.comparison, layer.type.dtype, true, color) : "not in the model");
    row.push_back(layer.comparison ? layer.onnx_tensor : "-");
    table.add(std::move(row));
  }
  return table.text();
}

std::string tolerance_line(const DiffReport& report) {
  const std::string rule = fmt::format("|emitted - reference| <= {:g} + {:g} * |reference|", report.rule.absolute, report.rule.relative);
  std::string integers = report.rule.steps > 0 ? fmt::format("at most {:g} apart", report.rule.steps) : "equal";
  return fmt::format("tolerance: {}; integers {}{}\n", rule, integers, report.explicit_rule ? "; nothing is allowed beyond it" : "");
}

/// What the columns of allowances stand for, one line each.
std::string allowance_lines(const DiffReport& report) {
  std::string text;
  const std::vector<AllowanceKind> outputs = allowances_of(report.outputs), layers = allowances_of(report.layers);
  for (const AllowanceInfo& info : all_allowances())
    if (std::count(outputs.begin(), outputs.end(), info.kind) + std::count(layers.begin(), layers.end(), info.kind) > 0)
      text += fmt::format("{}: allowed beyond the tolerance; {}\n", info.title, info.reason);
  return text;
}

/// Which stored outputs are those of another model.
std::string stored_lines(const DiffReport& report) {
  std::string text;
  for (const Merged& m : merge_sets(report.outputs))
    if (!m.counts && !m.sum.pass())
      text += fmt::format(
          "the stored outputs '{}' are not this model's: ONNX Runtime differs from them as much, by {:.3g}, the emitted code by {:.3g}; they do "
          "not count\n",
          m.first->output, *m.worst->ort_max_abs, m.worst->comparison.max_abs);
  return text;
}

std::string time_line(const DiffReport& report) {
  auto milliseconds = [](int64_t ns) { return static_cast<double>(ns) / 1e6; };
  double ours = milliseconds(report.emitted_nanoseconds), theirs = milliseconds(report.ort_nanoseconds);
  return fmt::format(
      "time per inference: emitted code {:.4f} ms, ONNX Runtime (all optimisations) {:.4f} ms, ratio {:.2f}; one thread, median of {} "
      "runs\n",
      ours, theirs, ours / theirs, report.timed_runs);
}

std::string verdict_lines(const DiffReport& report, bool color) {
  std::string text;
  if (!report.layers.empty()) {
    if (const LayerDiff* layer = report.first_divergence())
      text += fmt::format("first divergence: {}\n", step_name(*layer));
    else
      text += "first divergence: none\n";
  }
  std::string verdict;
  switch (report.verdict()) {
    case DiffVerdict::same:
      verdict = styled("exactly equal", "1;32", color);
      break;
    case DiffVerdict::within_tolerance:
      verdict = styled("equal within the tolerance", "1;32", color);
      break;
    case DiffVerdict::within_allowances:
      verdict = styled("not equal within the tolerance, but with what is allowed beyond it", "1;33", color);
      break;
    case DiffVerdict::differs:
      verdict = styled("the results differ", "1;31", color);
      break;
  }
  return text + fmt::format("{}: {}\n", report.model, verdict);
}

constexpr const char* kVerdicts[] = {"same", "within_tolerance", "within_allowances", "differs"};

Json allowances_json(const std::vector<Allowance>& allowances) {
  Json j = Json::object();
  for (const Allowance& a : allowances) {
    const AllowanceInfo& info = allowance_info(a.kind);
    j[std::string(info.key)] = {{"absolute", a.absolute}, {"relative", a.relative}, {"reason", info.reason}};
  }
  return j;
}

Json comparison_json(const Comparison& c, const TensorType& type, const std::vector<Allowance>& allowances) {
  Json j;
  j["dtype"] = dtype_name(type.dtype);
  j["shape"] = type.shape;
  j["elements"] = c.elements;
  j["different"] = c.different;
  j["wrong"] = c.wrong;
  j["allowances"] = allowances_json(allowances);
  j["allowed"] = c.allowed;
  j["max_abs"] = finite(c.max_abs);
  j["max_rel"] = finite(c.max_rel);
  j["max_ulp"] = !is_float(type.dtype) || c.max_ulp == Comparison::kManyUlps ? Json(nullptr) : Json(c.max_ulp);
  j["cosine"] = finite(c.cosine);
  j["rmse"] = finite(c.rmse);
  j["worst"] =
      c.worst < 0 ? Json(nullptr) : Json{{"index", c.worst}, {"emitted", finite(c.worst_got)}, {"reference", finite(c.worst_expected)}};
  j["pass"] = c.pass();
  return j;
}

}  // namespace

std::string step_name(const LayerDiff& layer) {
  std::string nodes;
  for (const std::string& node : layer.onnx_nodes) nodes += fmt::format("{}'{}'", nodes.empty() ? "" : ", ", node);
  return fmt::format("step {} {} {}", layer.step + 1, layer.label, nodes);
}

std::string index_text(int64_t index, const Shape& shape) {
  std::vector<int64_t> place(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    place[i] = index % shape[i];
    index /= shape[i];
  }
  return to_string(std::span<const int64_t>(place));
}

std::string diff_text(const DiffReport& report, bool color) {
  std::string text =
      fmt::format("{}: emitted code for {} against ONNX Runtime {} ({}), {} input set{}\n", report.model, report.target, report.ort_version,
                  report.ort_optimized ? "all optimisations" : "no optimisations", report.sets.size(), report.sets.size() == 1 ? "" : "s");
  if (report.sequence_steps > 0) text += fmt::format("state is fed back on both sides, in sequences of {} steps\n", report.sequence_steps);
  text += tolerance_line(report) + "\n";
  if (!report.layers.empty())
    text += fmt::format("Each step, input set {}{}:\n", report.layer_set, report.sets.size() > 1 ? ", in which an output is furthest off" : "") +
            layers_table(report, color) + "\n";
  text += outputs_table(report, color) + "\n" + allowance_lines(report) + stored_lines(report);
  if (report.timed_runs > 0) text += time_line(report);
  return text + verdict_lines(report, color);
}

std::string diff_json(const DiffReport& report) {
  Json j;
  j["schema_version"] = 1;
  j["kiln_version"] = KILN_VERSION;
  j["model"] = report.model;
  j["target"] = report.target;
  j["onnxruntime"] = Json{{"version", report.ort_version}, {"optimized", report.ort_optimized}};
  j["tolerance"] = Json{{"absolute", report.rule.absolute},
                        {"relative", report.rule.relative},
                        {"integers", report.rule.steps},
                        {"explicit", report.explicit_rule}};
  j["sets"] = report.sets;
  if (report.sequence_steps > 0) j["sequence_steps"] = report.sequence_steps;
  j["pass"] = report.pass();
  j["verdict"] = kVerdicts[static_cast<size_t>(report.verdict())];
  j["outputs"] = Json::array();
  for (const OutputDiff& o : report.outputs) {
    Json row{{"name", o.output}, {"reference", o.reference}, {"set", o.set}};
    row.update(comparison_json(o.comparison, o.type, o.allowances));
    row["counts"] = o.counts;
    if (o.ort_max_abs) row["onnxruntime_max_abs"] = finite(*o.ort_max_abs);
    j["outputs"].push_back(std::move(row));
  }
  if (!report.layers.empty()) {
    j["layer_set"] = report.layer_set;
    j["layers"] = Json::array();
    for (const LayerDiff& layer : report.layers) {
      Json row{{"index", layer.step}, {"kernel", layer.label}, {"onnx_nodes", layer.onnx_nodes}};
      row["onnx_tensor"] = layer.comparison ? Json(layer.onnx_tensor) : Json(nullptr);
      if (layer.comparison) row.update(comparison_json(*layer.comparison, layer.type, layer.allowances));
      j["layers"].push_back(std::move(row));
    }
    const LayerDiff* first = report.first_divergence();
    j["first_divergence"] = first ? Json{{"index", first->step}, {"name", step_name(*first)}} : Json(nullptr);
  }
  if (report.timed_runs > 0)
    j["time"] = Json{{"runs", report.timed_runs}, {"emitted_ns", report.emitted_nanoseconds}, {"onnxruntime_ns", report.ort_nanoseconds}};
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kiln
