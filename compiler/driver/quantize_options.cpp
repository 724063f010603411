// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/quantize_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "compiler/driver/cli.h"
#include "compiler/driver/data_options.h"
#include "compiler/driver/number_checks.h"

namespace kiln {
void add_calibration_options(CLI::App& app, CalibrationOptions& options) {
  const char* group = "Quantization";
  app.add_option("--samples", options.samples, "Use at most so many samples, spread evenly over the data")
      ->capture_default_str()
      ->type_name("N")
      ->check(whole_number(1))
      ->group(group);
  app.add_option_function<std::string>(
         "--method", [&options](const std::string& name) { options.quantize.ranges.method = *range_method_from_name(name); },
         "How ranges of activations are chosen: minmax, percentile, entropy, mse (default percentile)")
      ->type_name("METHOD")
      ->check(CLI::IsMember({"minmax", "percentile", "entropy", "mse"}))
      ->group(group);
  app.add_option_function<double>(
         "--percentile",
         [&options](double share) {
           if (options.quantize.ranges.method != RangeMethod::percentile)  // which --method has set by now
             throw UsageError{error(DiagId::bad_usage,
                                    fmt::format("--percentile does not go with --method {}.", range_method_name(options.quantize.ranges.method)),
                                    "leave one of them out.")};
           options.quantize.ranges.percentile = share;
         },
         "Share of the values that --method percentile keeps")
      ->default_str(fmt::format("{}", options.quantize.ranges.percentile))
      ->type_name("P")
      ->check(real_number(50, 100))
      ->group(group);
  QuantizeOptions& quantize = options.quantize;
  app.add_flag_callback(
         "--per-tensor", [&quantize] { quantize.per_channel = false; }, "One scale for all weights of a layer, not one per channel")
      ->group(group);
  app.add_flag("--equalize", quantize.equalize, "Even out the weights of channels between layers first")->group(group);
  app.add_flag_callback(
         "--no-bias-correction", [&quantize] { quantize.correct.bias = false; }, "Leave biases as they are")
      ->group(group);
  app.add_flag("--adaround", options.quantize.correct.rounding, "Choose for each weight whether to round up or down")->group(group);
  app.add_option("--keep-float", options.quantize.keep_float, "Leave this node in float")
      ->type_name("NODE")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option_function<std::string>(
         "--activations", [&quantize](const std::string& name) { quantize.ranges.dtype = name == "int16" ? DType::i16 : DType::i8; },
         "Type of activations: int8, int16 (default int8)")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"int8", "int16"}))
      ->group(group);
  CLI::Option* max_drop = app.add_option("--max-drop", options.max_drop,
                 "Lift the most sensitive tensors and layers out of 8 bits until accuracy is at most so many points below float")
      ->type_name("POINTS")
      ->check(real_number(0))
      ->group(group);
  app.add_option("--data", options.goal_data, "Samples that --max-drop is measured on; default: those of the calibration")
      ->type_name("PATH")
      ->needs(max_drop)
      ->group(group);
  add_labels_option(app, options.data)->needs(max_drop);
  add_data_options(app, options.data, "--calibration");
}

}  // namespace kiln
