// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>

#include "compiler/driver/cli.h"
#include "compiler/program/lowering.h"

namespace kiln {
namespace {

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The value, or an exception that CLI11 lets through.
template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw UsageError{result.diagnostic()};
  return *std::move(result);
}

Diagnostic given_twice(const char* option, const std::string& name) {
  return error(DiagId::bad_usage, fmt::format("{} is given twice for '{}'.", option, name));
}

void add_dimension(ImportOptions& import, const std::string& text) {
  auto [name, value] = value_or_throw(split_assignment("--dim", text));
  std::optional<int64_t> size = parse_integer(value);
  if (!size || *size < 1)
    throw UsageError{error(DiagId::bad_shape_option, fmt::format("--dim {}: '{}' is no positive number.", text, value),
                           fmt::format("for example --dim {}=1.", name))};
  if (!import.dims.emplace(name, *size).second) throw UsageError{given_twice("--dim", name)};
}

/// Names that are given are kept to the letter, so that build systems know the files beforehand.
Result<std::string> checked_name(const std::string& name) {
  std::string usable = c_identifier(name);
  if (usable == name) return name;
  return error(DiagId::bad_usage, fmt::format("--name {}: that is no identifier of C++, or one with a meaning of its own.", name),
               fmt::format("for example --name {}.", usable));
}

}  // namespace

Result<std::pair<std::string, std::string>> split_assignment(const std::string& option, const std::string& text) {
  size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    return error(DiagId::bad_usage, fmt::format("{} {}: expected NAME=VALUE.", option, text));
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

Result<Shape> parse_shape(const std::string& text) {
  std::string_view rest = text;
  if (rest.size() >= 2 && rest.front() == '[' && rest.back() == ']') rest = rest.substr(1, rest.size() - 2);
  Shape shape;
  while (!rest.empty()) {
    std::string_view word = rest.substr(0, rest.find(','));
    std::optional<int64_t> size = parse_integer(word);
    if (!size || *size < 1)
      return error(DiagId::bad_shape_option, fmt::format("shape '{}': '{}' is no positive number.", text, word),
                   "write the dimensions separated by commas, such as 1,3,96,96.");
    shape.push_back(*size);
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  }
  if (Status s = check_shape(shape); !s)
    return error(DiagId::bad_shape_option, fmt::format("shape '{}': {}", text, s.diagnostic().message));
  return shape;
}

void add_model_options(CLI::App& app, CompileOptions& options) {
  app.add_option("MODEL", options.model, "The ONNX file")->required()->type_name("FILE");
  app.add_option_function<std::vector<std::string>>(
         "--dim",
         [&options](const std::vector<std::string>& all) {
           for (const std::string& text : all) add_dimension(options.import, text);
         },
         "Value of a named dimension")
      ->type_name("NAME=N")
      ->allow_extra_args(false);
  app.add_option_function<std::vector<std::string>>(
         "--input-shape",
         [&options](const std::vector<std::string>& all) {
           for (const std::string& text : all) {
             auto [name, value] = value_or_throw(split_assignment("--input-shape", text));
             if (!options.import.input_shapes.emplace(name, value_or_throw(parse_shape(value))).second)
               throw UsageError{given_twice("--input-shape", name)};
           }
         },
         "Shape of an input, such as x=1,3,96,96")
      ->type_name("NAME=D,D,..")
      ->allow_extra_args(false);
  app.add_option_function<std::vector<std::string>>(
         "--freeze",
         [&options](const std::vector<std::string>& all) {
           for (const std::string& text : all) {
             auto [name, value] = value_or_throw(split_assignment("--freeze", text));
             if (!options.import.frozen.emplace(name, value).second) throw UsageError{given_twice("--freeze", name)};
           }
         },
         "An input as a constant: numbers, such as sr=16000 or sizes=1,3,96,96, or a .npy or .pb file")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

void add_state_option(CLI::App& app, CompileOptions& options) {
  app.add_option_function<std::vector<std::string>>(
         "--state",
         [&options](const std::vector<std::string>& all) {
           for (const std::string& text : all) {
             auto [output, input] = value_or_throw(split_assignment("--state", text));
             options.import.states.push_back({output, input});
           }
         },
         "An output that is this input at the next run; kept in the arena")
      ->type_name("OUTPUT=INPUT")
      ->allow_extra_args(false);
}

void add_target_options(CLI::App& app, CompileOptions& options) {
  app.add_option_function<std::string>(
         "--io-dtype", [&options](const std::string& dtype) { options.integer_io = dtype == "int8"; },
         "Type of quantized inputs and outputs: model (as the model has them), or int8 (the integers, without conversion)")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"model", "int8"}));
  app.add_option("--target", options.target, "What the code is for; `kiln targets` lists them")->capture_default_str()->type_name("NAME");
  app.add_option("--cpu,--march", options.cpu, "CPU or ISA string of the target; host: native, x86-64-v3, ...")->type_name("CPU");
  app.add_option_function<std::string>(
         "--optimize", [&options](const std::string& goal) { options.goal = goal == "size" ? Goal::size : Goal::speed; },
         "speed (default), or size: layers of one kind share one copy of their code")
      ->type_name("GOAL")
      ->check(CLI::IsMember({"speed", "size"}));
  app.add_flag("--wide-weights", options.wide_weights, "Store f16 and bf16 weights as f32: twice the bytes, less work to read");
  app.add_option_function<std::string>(
         "--name", [&options](const std::string& name) { options.name = value_or_throw(checked_name(name)); },
         "Prefix of the emitted functions; default: the file's name")
      ->type_name("ID");
}

void add_build_options(CLI::App& app, BuildOptions& options) {
  app.add_option("--compiler", options.compiler,
                 "What builds the emitted code: gcc or clang for a board; for this machine a command, default $CXX")
      ->type_name("NAME");
  app.add_option("--cflags", options.flags, "A further flag for it, such as --cflags=-O3")->type_name("FLAG")->allow_extra_args(false);
}

void add_pass_options(CLI::App& app, CompileOptions& options) {
  GraphPassOptions& passes = options.passes;
  const char* group = "Looking inside";
  app.add_option("--disable-pass", passes.disabled, "Leave a pass out")->type_name("PASS")->allow_extra_args(false)->group(group);
  app.add_option("--print-after", passes.print_after, "Print the IR after a pass, or after 'all'")
      ->type_name("PASS")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--stop-after", passes.stop_after, "End after this pass")->type_name("PASS")->group(group);
  app.add_flag("--time-passes", passes.time_passes, "Print how long each pass took")->group(group);
  app.add_option("--dot", options.dot, "Write the graph for Graphviz")->type_name("FILE")->group(group);
  app.add_option("--dump-dir", passes.dump_dir, "Write the IR after each pass into a folder")->type_name("DIR")->group(group);
  app.add_option_function<std::vector<std::string>>(
         "--explain",
         [&options](const std::vector<std::string>&) {
           options.explain_kernels = [](const std::string& line) { fmt::print("{}\n", line); };
         },
         "Say why: kernels")
      ->type_name("TOPIC")
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"kernels"}))
      ->group(group);
}

void add_common_options(CLI::App& app, CompileOptions& options) {
  add_model_options(app, options);
  add_state_option(app, options);
  add_target_options(app, options);
  add_pass_options(app, options);
}

}  // namespace kiln
