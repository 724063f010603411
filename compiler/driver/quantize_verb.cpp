// SPDX-License-Identifier: Apache-2.0
// kiln quantize: float ONNX model and calibration data -> QDQ ONNX model.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "compiler/driver/cli.h"
#include "compiler/driver/options.h"
#include "compiler/driver/quantize_options.h"
#include "compiler/report/json_numbers.h"
#include "compiler/report/table.h"
#include "compiler/support/files.h"
#include "compiler/support/problems.h"

namespace kiln {
namespace {

struct QuantizeArguments {
  CompileOptions common;
  CalibrationOptions calibration;
  std::filesystem::path output;
  std::string json;
};

std::string decibels(double snr) { return std::isinf(snr) ? "exact" : fmt::format("{:.1f}", snr); }

std::string weights_text(const QuantizedUnit& unit, bool per_channel) {
  if (unit.kind != UnitKind::layer) return unit.kind == UnitKind::move ? "moves" : "";
  return per_channel ? "per channel" : "per tensor";
}

std::string layer_table(const QuantizedModel& model, const QuantizeOptions& options) {
  Table table({"layer", "operator", "weights", "seen", "represented", "scale", "zero", "type", "SNR dB"}, {5, 6, 8});
  for (const QuantizedUnit& unit : model.units) {
    Range range = unit.grid.range();
    table.add({unit.name, unit.type, weights_text(unit, options.per_channel),
               fmt::format("[{:.4g}, {:.4g}]", unit.seen.low, unit.seen.high), fmt::format("[{:.4g}, {:.4g}]", range.low, range.high),
               fmt::format("{:.6g}", unit.grid.scale), std::to_string(unit.grid.zero_point), std::string(dtype_name(unit.grid.dtype)),
               unit.snr ? decibels(*unit.snr) : "-"});
  }
  return table.text();
}

std::string summary(const QuantizedModel& model, const QuantizeOptions& options) {
  std::string text = fmt::format(
      "ranges by {}{}; {} pairs of layers equalised; biases {}; weights rounded {}\n", range_method_name(options.ranges.method),
      options.ranges.method == RangeMethod::percentile ? fmt::format(" {}", options.ranges.percentile) : "", model.equalized_pairs,
      options.correct.bias ? "corrected" : "as they were", options.correct.rounding ? "by the outputs of their layer" : "to nearest");
  if (model.opset != model.opset_before) text += fmt::format("opset {} became {}\n", model.opset_before, model.opset);
  if (!model.float_nodes.empty()) text += fmt::format("stays float: {}\n", fmt::join(model.float_nodes, ", "));
  if (model.goal) {
    text += fmt::format("right answers {:.2f} %, with 8 bits everywhere {:.2f} %, in float {:.2f} %\n", 100 * model.goal->share,
                        100 * model.goal->first_share, 100 * model.goal->float_share);
    if (!model.goal->lifted.empty()) text += fmt::format("lifted: {}\n", fmt::join(model.goal->lifted, ", "));
  }
  text += fmt::format("parameters {} bytes, before {}\n", model.parameter_bytes, model.parameter_bytes_before);
  for (const QuantizedOutput& output : model.outputs)
    text += fmt::format("output {}: SNR {} dB; largest element as in float for {:.1f} % of the calibration samples\n", output.name,
                        decibels(output.snr), 100 * output.agreement);
  return text;
}

std::string report_json(const QuantizedModel& model, const QuantizeOptions& options) {
  nlohmann::ordered_json json;
  json["schema_version"] = 1;
  json["method"] = range_method_name(options.ranges.method);
  json["per_channel"] = options.per_channel;
  json["equalized_pairs"] = model.equalized_pairs;
  json["opset"] = model.opset;
  json["parameter_bytes"] = model.parameter_bytes;
  json["parameter_bytes_before"] = model.parameter_bytes_before;
  json["layers"] = nlohmann::ordered_json::array();
  for (const QuantizedUnit& unit : model.units) {
    Range range = unit.grid.range();
    json["layers"].push_back({{"name", unit.name},
                              {"operator", unit.type},
                              {"weights", weights_text(unit, options.per_channel)},
                              {"seen", {unit.seen.low, unit.seen.high}},
                              {"represented", {range.low, range.high}},
                              {"scale", unit.grid.scale},
                              {"zero_point", unit.grid.zero_point},
                              {"dtype", dtype_name(unit.grid.dtype)},
                              {"snr_db", finite(unit.snr.value_or(NAN))}});
  }
  json["float_nodes"] = model.float_nodes;
  if (model.goal)
    json["goal"] = {{"share", model.goal->share},
                    {"share_8_bits", model.goal->first_share},
                    {"share_float", model.goal->float_share},
                    {"lifted", model.goal->lifted}};
  json["outputs"] = nlohmann::ordered_json::array();
  for (const QuantizedOutput& output : model.outputs)
    json["outputs"].push_back({{"name", output.name}, {"snr_db", finite(output.snr)}, {"agreement", output.agreement}});
  return json.dump(2) + "\n";
}

ExitCode quantize(QuantizeArguments& options, const Terminal& terminal) {
  Diagnostics diagnostics;
  std::optional<QuantizedModel> model =
      quantize_file(options.common.model, options.common.import, options.calibration, terminal, diagnostics);
  terminal.report(diagnostics);
  if (!model) return write_problems(options.json, diagnostics, terminal);
  if (Status s = write_file(options.output, model->bytes); !s) return terminal.fail(s.diagnostic());
  const QuantizeOptions& how = options.calibration.quantize;
  if (options.json == "-")
    fmt::print("{}", report_json(*model, how));
  else if (!options.json.empty())
    if (Status s = write_file(options.json, report_json(*model, how)); !s) return terminal.fail(s.diagnostic());
  if (options.json != "-" && !terminal.quiet)
    fmt::print("{}\n{}wrote {}\n", layer_table(*model, how), summary(*model, how), options.output.string());
  return ExitCode::ok;
}

VerbAction add_quantize(CLI::App& sub) {
  auto options = std::make_shared<QuantizeArguments>();
  add_model_options(sub, options->common);
  add_calibration_options(sub, options->calibration);
  sub.get_option("--calibration")->required();
  sub.add_option("-o,--output", options->output, "The quantized model")->type_name("FILE")->required();
  sub.add_option("--json", options->json, "Write the report as JSON; '-' for stdout")->type_name("FILE");
  return [options](const Terminal& terminal) { return quantize(*options, terminal); };
}

}  // namespace

extern const Verb quantize_verb;
const Verb quantize_verb = {"quantize", "Turn a float model into an integer one (QDQ ONNX)",
                            "kiln quantize kws.onnx --calibration samples/ -o kws_int8.onnx\n"
                            "kiln quantize ic.onnx --calibration images.npy --layout nhwc -o ic_int8.onnx --method percentile\n"
                            "kiln quantize kws.onnx --calibration x.npy --labels y.npy --max-drop 0.5 -o kws_int8.onnx\n"
                            "kiln quantize ad.onnx --calibration normal/ -o ad_int8.onnx --keep-float decoder/out",
                            add_quantize};

}  // namespace kiln
