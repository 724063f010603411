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

std::string verdict_text(const Comparison& c, DType dtype, bool color) {
  if (!c.pass()) return styled(fmt::format("DIFFERS ({} of {})", c.wrong, c.elements), "1;31", color);
  if (c.different == 0) return styled("same", "32", color);
  if (!is_float(dtype)) return styled(fmt::format("ok ({} {})", c.different, c.max_abs <= 1 ? "by one step" : "differ"), "32", color);
  return styled("ok", "32", color);
}

/// The comparisons of one output with one reference over all sets, as one.
struct Merged {
  const OutputDiff* first;
  const OutputDiff* worst;  // the one whose worst element is shown
  Comparison sum;
  size_t sets = 0;
};

void merge(Merged& into, const OutputDiff& one) {
  const Comparison& c = one.comparison;
  if (is_worse(c, into.worst->comparison)) into.worst = &one;
  double squares =
      into.sum.rmse * into.sum.rmse * static_cast<double>(into.sum.elements) + c.rmse * c.rmse * static_cast<double>(c.elements);
  into.sum.elements += c.elements;
  into.sum.wrong += c.wrong;
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
    if (row == rows.end()) row = rows.insert(rows.end(), {&one, &one, {}, 0});
    merge(*row, one);
  }
  return rows;
}

std::string outputs_table(const DiffReport& report, bool color) {
  Table table(
      {"output", "against", "sets", "max abs", "max rel", "max ulp", "cosine", "rmse", "worst at", "emitted", "reference", "verdict"},
      {2, 3, 4, 5, 6, 7, 9, 10});
  for (const Merged& m : merge_sets(report.outputs)) {
    const Comparison& w = m.worst->comparison;
    DType dtype = m.first->type.dtype;
    bool same = w.worst < 0;
    std::string where = same ? "-" : (report.sets.size() > 1 ? m.worst->set + " " : "") + index_text(w.worst, m.first->type.shape);
    table.add({m.first->output, m.first->reference, fmt::format("{}", m.sets), number(m.sum.max_abs), number(m.sum.max_rel),
               ulp_text(m.sum, dtype), fmt::format("{:.7f}", m.sum.cosine), number(m.sum.rmse), where,
               same ? "-" : value_text(w.worst_got, dtype), same ? "-" : value_text(w.worst_expected, dtype),
               verdict_text(m.sum, dtype, color)});
  }
  return table.text();
}

std::string layers_table(const DiffReport& report, bool color) {
  Table table({"step", "kernel", "shape", "max abs", "max rel", "max ulp", "cosine", "rmse", "verdict", "ONNX tensor"}, {0, 3, 4, 5, 6, 7});
  for (const LayerDiff& layer : report.layers) {
    std::vector<std::string> row{fmt::format("{}", layer.step + 1), layer.label, to_string(std::span<const int64_t>(layer.type.shape))};
    if (layer.comparison) {
      const Comparison& c = *layer.comparison;
      for (std::string cell : {number(c.max_abs), number(c.max_rel), ulp_text(c, layer.type.dtype), fmt::format("{:.7f}", c.cosine),
                               number(c.rmse), verdict_text(c, layer.type.dtype, color), layer.onnx_tensor})
        row.push_back(std::move(cell));
    } else {
      for (const char* cell : {"-", "-", "-", "-", "-", "not in the model", "-"}) row.emplace_back(cell);
    }
    table.add(std::move(row));
  }
  return table.text();
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
  std::string verdict = report.pass() ? styled("equal within the tolerance", "1;32", color) : styled("the results differ", "1;31", color);
  if (report.pass() &&
      std::all_of(report.outputs.begin(), report.outputs.end(), [](const OutputDiff& o) { return o.comparison.different == 0; }))
    verdict = styled("exactly equal", "1;32", color);
  return text + fmt::format("{}: {}\n", report.model, verdict);
}

Json comparison_json(const Comparison& c, const TensorType& type) {
  Json j;
  j["dtype"] = dtype_name(type.dtype);
  j["shape"] = type.shape;
  j["elements"] = c.elements;
  j["different"] = c.different;
  j["wrong"] = c.wrong;
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
  text += fmt::format("tolerance: |emitted - reference| <= {:g} + {:g} * |reference|\n\n", report.rule.absolute, report.rule.relative);
  if (!report.layers.empty()) text += fmt::format("Each step, input set {}:\n", report.sets.front()) + layers_table(report, color) + "\n";
  text += outputs_table(report, color) + "\n";
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
  j["tolerance"] = Json{{"absolute", report.rule.absolute}, {"relative", report.rule.relative}};
  j["sets"] = report.sets;
  if (report.sequence_steps > 0) j["sequence_steps"] = report.sequence_steps;
  j["pass"] = report.pass();
  j["outputs"] = Json::array();
  for (const OutputDiff& o : report.outputs) {
    Json row{{"name", o.output}, {"reference", o.reference}, {"set", o.set}};
    row.update(comparison_json(o.comparison, o.type));
    j["outputs"].push_back(std::move(row));
  }
  if (!report.layers.empty()) {
    j["layers"] = Json::array();
    for (const LayerDiff& layer : report.layers) {
      Json row{{"index", layer.step}, {"kernel", layer.label}, {"onnx_nodes", layer.onnx_nodes}};
      row["onnx_tensor"] = layer.comparison ? Json(layer.onnx_tensor) : Json(nullptr);
      if (layer.comparison) row.update(comparison_json(*layer.comparison, layer.type));
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
