// SPDX-License-Identifier: Apache-2.0
// The report of `kiln evaluate` as a page. Everything is in the one file; no scripts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "compiler/report/evaluation_report.h"
#include "compiler/support/code_writer.h"

namespace kiln {
namespace {

constexpr size_t kMostMatrixClasses = 60;  // more are shown as a list of the most frequent confusions
constexpr size_t kListedConfusions = 40;

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --text: #1c2430; --soft: #667085; --line: #d8dee7; --page: #ffffff; --panel: #f6f8fb; --hit: 22,128,96; --miss: 196,64,48; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ef; --soft: #98a2b3; --line: #333b49; --page: #14181f; --panel: #1c222c; --hit: 46,168,128; --miss: 226,96,78; } }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); }
h1 { font-size: 1.4rem; margin-bottom: .2rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
.soft { color: var(--soft); } .bad { color: rgb(var(--miss)); font-weight: 600; } .good { color: rgb(var(--hit)); font-weight: 600; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); } th { font-weight: 600; color: var(--soft); }
th.name, td.name { text-align: left; overflow-wrap: anywhere; } .matrix td { min-width: 2.2rem; text-align: center; border: 1px solid var(--line); padding: .3rem; }
.matrix th { padding: .3rem .5rem; } .matrix thead th { vertical-align: bottom; } .bar { width: 14rem; } svg text { fill: var(--soft); font-size: 12px; }
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string share_text(const std::optional<double>& value) { return value ? fmt::format("{:.3f}", *value) : "-"; }

/// A bar from 0 to 1 with the interval and the value on it.
std::string interval_bar(const Figure& f) {
  constexpr double kWidth = 220;
  return fmt::format(
      "<svg class=\"bar\" viewBox=\"0 0 {0} 14\" role=\"img\" aria-label=\"95 % interval\"><rect y=\"6\" width=\"{0}\" height=\"2\" "
      "fill=\"currentColor\" opacity=\".2\"/><rect x=\"{1:.1f}\" y=\"4\" width=\"{2:.1f}\" height=\"6\" fill=\"currentColor\" "
      "opacity=\".45\"/>"
      "<rect x=\"{3:.1f}\" y=\"1\" width=\"2\" height=\"12\" fill=\"currentColor\"/></svg>",
      kWidth, f.interval.low * kWidth, std::max(1.0, (f.interval.high - f.interval.low) * kWidth), f.value * kWidth - 1);
}

void write_figures(CodeWriter& out, const EvaluationReport& report) {
  bool bars = !report.metric.lower_is_better();
  out.line("<div class=\"scroll\"><table>");
  out.linef("<thead><tr><th class=\"name\">run by</th><th>{}</th><th>95 % interval</th><th>samples</th>{}</tr></thead><tbody>",
            report.metric.name(), bars ? "<th class=\"name\">0 to 1</th>" : "");
  auto row = [&](const EngineReport& engine, const std::string& name) {
    const Figure& f = engine.figure;
    out.linef("<tr><td class=\"name\">{}</td><td><b>{}</b></td><td>{} to {}</td><td>{}</td>{}</tr>", escaped(name),
              figure_text(f.value, report.metric), figure_text(f.interval.low, report.metric), figure_text(f.interval.high, report.metric),
              f.samples, bars ? fmt::format("<td class=\"name\">{}</td>", interval_bar(f)) : "");
  };
  for (const EngineReport& engine : report.engines) row(engine, engine.engine);
  if (report.baseline) row(*report.baseline, fmt::format("baseline {} ({})", report.baseline->model.string(), report.baseline->engine));
  out.line("</tbody></table></div>");
  for (const std::string& line : {difference_text(report), drop_text(report)})
    if (!line.empty()) out.linef("<p>{}.</p>", escaped(line));
  for (const Gate& g : report.gates)
    out.linef("<p>{} {:g}: <span class=\"{}\">{}</span> ({:.6g})</p>", g.option, g.limit, g.pass ? "good" : "bad",
              g.pass ? "met" : "not met", g.value);
}

/// A cell whose colour is the share of its row's samples.
void write_cell(CodeWriter& out, const EvaluationReport& report, const ConfusionMatrix& matrix, size_t truth, size_t prediction) {
  size_t count = matrix.count(truth, prediction);
  double share = count ? static_cast<double>(count) / static_cast<double>(matrix.samples_of(truth)) : 0;
  // The square root makes single confusions visible.
  std::string color = count ? fmt::format(" style=\"background: rgba(var({}),{:.2f})\"", truth == prediction ? "--hit" : "--miss",
                                          0.12 + 0.68 * std::sqrt(share))
                            : "";
  out.linef("<td{} title=\"{} taken for {}: {} ({:.1f} %)\">{}</td>", color, escaped(report.class_name(truth)),
            escaped(report.class_name(prediction)), count, 100 * share, count ? fmt::format("{}", count) : "");
}

void write_matrix(CodeWriter& out, const EvaluationReport& report, const ConfusionMatrix& matrix) {
  out.line("<p class=\"soft\">Rows: the true class. Columns: the prediction. Colours: the share of the row.</p>");
  out.line("<div class=\"scroll\"><table class=\"matrix\"><thead><tr><th></th>");
  for (size_t c = 0; c < matrix.classes(); ++c) out.linef("<th>{}</th>", escaped(report.class_name(c)));
  out.line("</tr></thead><tbody>");
  for (size_t truth = 0; truth < matrix.classes(); ++truth) {
    out.linef("<tr><th class=\"name\">{}</th>", escaped(report.class_name(truth)));
    for (size_t prediction = 0; prediction < matrix.classes(); ++prediction) write_cell(out, report, matrix, truth, prediction);
    out.line("</tr>");
  }
  out.line("</tbody></table></div>");
}

void write_confusions(CodeWriter& out, const EvaluationReport& report, const ConfusionMatrix& matrix) {
  struct Confusion {
    size_t truth, prediction, count;
  };
  std::vector<Confusion> all;
  for (size_t t = 0; t < matrix.classes(); ++t)
    for (size_t p = 0; p < matrix.classes(); ++p)
      if (t != p && matrix.count(t, p) > 0) all.push_back({t, p, matrix.count(t, p)});
  std::sort(all.begin(), all.end(), [](const Confusion& a, const Confusion& b) {
    return std::tuple(b.count, a.truth, a.prediction) < std::tuple(a.count, b.truth, b.prediction);
  });
  out.linef("<p class=\"soft\">{} classes; the most frequent of {} kinds of confusion.</p>", matrix.classes(), all.size());
  out.line("<table><thead><tr><th class=\"name\">class</th><th class=\"name\">taken for</th><th>samples</th></tr></thead><tbody>");
  for (size_t i = 0; i < std::min(all.size(), kListedConfusions); ++i)
    out.linef("<tr><td class=\"name\">{}</td><td class=\"name\">{}</td><td>{}</td></tr>", escaped(report.class_name(all[i].truth)),
              escaped(report.class_name(all[i].prediction)), all[i].count);
  out.line("</tbody></table>");
}

void write_classes(CodeWriter& out, const EvaluationReport& report, const ConfusionMatrix& matrix) {
  out.line("<h2>Classes</h2>");
  out.line(
      "<div class=\"scroll\"><table><thead><tr><th "
      "class=\"name\">class</th><th>samples</th><th>predictions</th><th>precision</th><th>recall</th><th>F1</th></tr></thead><tbody>");
  for (size_t c = 0; c < matrix.classes(); ++c)
    out.linef("<tr><td class=\"name\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", escaped(report.class_name(c)),
              matrix.samples_of(c), matrix.predictions_of(c), share_text(matrix.precision(c)), share_text(matrix.recall(c)),
              share_text(matrix.f1(c)));
  out.line("</tbody></table></div>");
}

void write_roc(CodeWriter& out, const EvaluationReport& report) {
  constexpr double kSize = 320, kMargin = 40;
  std::vector<double> scores;
  std::vector<bool> positive;
  for (const Judgement& j : report.engines[0].judgements) {
    scores.push_back(j.score);
    positive.push_back(j.truth == 1);
  }
  std::string points;
  for (const RocPoint& p : roc_curve(scores, positive))
    points += fmt::format("{:.1f},{:.1f} ", kMargin + p.false_positive_rate * kSize, 10 + (1 - p.true_positive_rate) * kSize);
  out.line("<h2>ROC curve</h2>");
  out.linef("<svg viewBox=\"0 0 {0} {0}\" width=\"{0}\" role=\"img\" aria-label=\"ROC curve\">", kSize + kMargin + 10);
  out.linef("<rect x=\"{0}\" y=\"10\" width=\"{1}\" height=\"{1}\" fill=\"none\" stroke=\"var(--line)\"/>", kMargin, kSize);
  out.linef("<line x1=\"{0}\" y1=\"{1}\" x2=\"{1}\" y2=\"10\" stroke=\"var(--line)\" stroke-dasharray=\"4 4\"/>", kMargin, kSize + 10);
  out.linef("<polyline points=\"{}\" fill=\"none\" stroke=\"rgb(var(--hit))\" stroke-width=\"2\"/>", points);
  out.linef("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">false alarms</text>", kMargin + kSize / 2, kSize + 30);
  out.linef("<text transform=\"translate(14 {}) rotate(-90)\" text-anchor=\"middle\">detections</text></svg>", 10 + kSize / 2);
}

}  // namespace

std::string evaluation_html(const EvaluationReport& report) {
  CodeWriter out;
  out.line("<!doctype html>");
  out.linef("<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{}: {}</title>",
            report.metric.name(), escaped(report.model));
  out.linef("<style>{}</style></head><body>", kStyle);
  out.linef("<h1>{}</h1>", escaped(report.model));
  std::string against = report.teacher.empty() ? "" : fmt::format(", against {}", escaped(report.teacher.string()));
  out.linef("<p class=\"soft\">{} samples of {}{}</p>", report.engines[0].figure.samples, escaped(report.data), against);
  write_figures(out, report);
  if (std::optional<ConfusionMatrix> matrix = report.confusion()) {
    out.line("<h2>Confusion matrix</h2>");
    matrix->classes() <= kMostMatrixClasses ? write_matrix(out, report, *matrix) : write_confusions(out, report, *matrix);
    write_classes(out, report, *matrix);
  }
  if (report.metric.kind == MetricKind::auc) write_roc(out, report);
  out.linef("<p class=\"soft\">kiln {}</p>", KILN_VERSION);
  out.line("</body></html>");
  return std::move(out).text();
}

}  // namespace kiln
