// SPDX-License-Identifier: Apache-2.0
#include "compiler/report/evaluation_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "compiler/report/json_numbers.h"
#include "compiler/report/table.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

Json optional_number(const std::optional<double>& value) { return value ? finite(*value) : Json(nullptr); }

Json figure_json(const EngineReport& engine) {
  const Figure& f = engine.figure;
  return Json{{"engine", engine.engine},
              {"model", engine.model.string()},
              {"value", finite(f.value)},
              {"interval", {finite(f.interval.low), finite(f.interval.high)}},
              {"samples", f.samples}};
}

Json classes_json(const EvaluationReport& report, const ConfusionMatrix& matrix) {
  Json classes = Json::array();
  for (size_t c = 0; c < matrix.classes(); ++c)
    classes.push_back(Json{{"index", c},
                           {"name", report.class_name(c)},
                           {"samples", matrix.samples_of(c)},
                           {"predictions", matrix.predictions_of(c)},
                           {"precision", optional_number(matrix.precision(c))},
                           {"recall", optional_number(matrix.recall(c))},
                           {"f1", optional_number(matrix.f1(c))}});
  return classes;
}

Json matrix_json(const ConfusionMatrix& matrix) {
  Json rows = Json::array();
  for (size_t truth = 0; truth < matrix.classes(); ++truth) {
    Json row = Json::array();
    for (size_t prediction = 0; prediction < matrix.classes(); ++prediction) row.push_back(matrix.count(truth, prediction));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::string figure_text(double value, const Metric& metric) {
  return metric.lower_is_better() ? fmt::format("{:.6g}", value) : fmt::format("{:.4f}", value);
}

std::string difference_text(const EvaluationReport& report) {
  if (!report.difference) return {};
  std::string text = fmt::format("emitted code and ONNX Runtime: largest difference of an output {:.2g}", report.difference->largest);
  if (!report.metric.is_proportion()) return text;
  return text + fmt::format(", {} of {} predictions are the same", report.difference->same_predictions, report.engines[0].figure.samples);
}

std::string drop_text(const EvaluationReport& report) {
  if (!report.drop) return {};
  double drop = *report.drop;
  const char* unit = report.metric.is_proportion() ? " percentage points" : "";
  return fmt::format("against the baseline: {:.4g}{} {}", std::abs(drop), unit, drop > 0 ? "worse" : drop < 0 ? "better" : "apart");
}

std::string evaluation_text(const EvaluationReport& report) {
  std::string text = fmt::format("{} on {}\n", report.model, report.data);
  if (!report.teacher.empty()) text += fmt::format("against {}\n", report.teacher.string());
  Table table({"", "metric", "value", "95 % interval", "samples"}, {2, 3, 4});
  auto add = [&](const EngineReport& engine, const std::string& name) {
    const Figure& f = engine.figure;
    table.add({name, report.metric.name(), figure_text(f.value, report.metric),
               figure_text(f.interval.low, report.metric) + " .. " + figure_text(f.interval.high, report.metric),
               fmt::format("{}", f.samples)});
  };
  for (const EngineReport& engine : report.engines) add(engine, engine.engine);
  if (report.baseline) add(*report.baseline, fmt::format("baseline {} ({})", report.baseline->model.string(), report.baseline->engine));
  text += "\n" + table.text() + "\n";
  for (const std::string& line : {difference_text(report), drop_text(report)})
    if (!line.empty()) text += line + "\n";
  return text;
}

std::string evaluation_json(const EvaluationReport& report) {
  Json j;
  j["schema_version"] = 1;
  j["kiln_version"] = KILN_VERSION;
  j["model"] = report.model;
  j["data"] = report.data;
  j["metric"] = report.metric.name();
  j["pass"] = report.pass();
  j["results"] = Json::array();
  for (const EngineReport& engine : report.engines) j["results"].push_back(figure_json(engine));
  if (!report.teacher.empty()) j["against"] = report.teacher.string();
  if (report.difference)
    j["difference"] = Json{{"same_predictions", report.metric.is_proportion() ? Json(report.difference->same_predictions) : Json(nullptr)},
                           {"largest", finite(report.difference->largest)}};
  if (report.baseline) {
    j["baseline"] = figure_json(*report.baseline);
    j["drop"] = optional_number(report.drop);
  }
  j["gates"] = Json::array();
  for (const Gate& g : report.gates)
    j["gates"].push_back(Json{{"option", g.option}, {"limit", g.limit}, {"value", finite(g.value)}, {"pass", g.pass}});
  if (std::optional<ConfusionMatrix> matrix = report.confusion()) {
    j["classes"] = classes_json(report, *matrix);
    j["confusion"] = matrix_json(*matrix);
  }
  return j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kiln
