// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/data_options.h"

#include <CLI/CLI.hpp>

#include "compiler/driver/number_checks.h"

namespace kiln {
namespace {

constexpr const char* kGroup = "Data";

void add_numbers(CLI::App& app, const char* name, std::vector<double>& numbers, const char* help) {
  app.add_option(name, numbers, help)->delimiter(',')->allow_extra_args(false)->check(real_number())->type_name("X[,X..]")->group(kGroup);
}

}  // namespace

CLI::Option* add_data_options(CLI::App& app, DataOptions& options, const std::string& path_option) {
  CLI::Option* path =
      app.add_option(path_option, options.path,
                     "Samples: a .npy, .npz, .pb, .csv, .png, .jpg or .wav file, a folder of them or of one folder per class, a "
                     "list of paths, or ONNX test_data_set folders")
          ->type_name("PATH")
          ->group(kGroup);
  Preparation& preparation = options.preparation;
  add_numbers(app, "--mean", preparation.mean, "Subtracted from stored numbers; one, or one per channel");
  add_numbers(app, "--std", preparation.std, "What the difference is divided by");
  add_numbers(app, "--scale", preparation.scale, "And multiplied by: input = (stored - mean) / std * scale");
  app.add_option_function<std::string>(
         "--layout", [&preparation](const std::string& name) { preparation.layout = name == "nhwc" ? Layout::nhwc : Layout::nchw; },
         "Layout of stored arrays, nhwc or nchw, where it is not the model's")
      ->type_name("LAYOUT")
      ->check(CLI::IsMember({"nhwc", "nchw"}))
      ->group(kGroup);
  app.add_option_function<std::string>(
         "--resize",
         [&preparation](const std::string& name) { preparation.resize = name == "nearest" ? ResizeMode::nearest : ResizeMode::bilinear; },
         "Bring pictures to the input's size, by nearest or bilinear")
      ->type_name("HOW")
      ->check(CLI::IsMember({"nearest", "bilinear"}))
      ->group(kGroup);
  app.add_option("--sample-rate", options.sample_rate, "Hertz that sound files must have")
      ->type_name("HZ")
      ->check(whole_number(1))
      ->group(kGroup);
  app.add_option("--skip", options.skip, "Leave the first N samples out")->type_name("N")->check(whole_number(0))->group(kGroup);
  app.add_option("--limit", options.limit, "Take at most N samples")->type_name("N")->check(whole_number(1))->group(kGroup);
  return path;
}

CLI::Option* add_labels_option(CLI::App& app, DataOptions& options) {
  return app.add_option("--labels", options.labels,
                 "Labels: .npy, .pb, or .csv with a label or 'name,label' in each line; default: labels.npy or .csv in the folder, "
                 "'labels' in a .npz, names of folders, or the list's")
      ->type_name("FILE")
      ->group(kGroup);
}

}  // namespace kiln
