// SPDX-License-Identifier: Apache-2.0
// The parts of the command line that are functions of their own.
#include <catch2/catch.hpp>

#include "compiler/driver/cli.h"
#include "compiler/driver/options.h"
#include "compiler/judge/layer_diff.h"
#include "compiler/report/diff_report.h"
#include "compiler/runner/process.h"
#include "targets/targets.h"
#include "tests/kiln_command.h"

using namespace kiln;
using namespace kiln::test;

namespace {

/// A program of `steps` steps of which each writes the tensor that `writes` names.
Program program_of(const std::vector<ProgramTensor>& tensors, const std::vector<uint32_t>& writes) {
  Program program;
  for (const ProgramTensor& tensor : tensors) program.add_tensor(tensor);
  for (uint32_t tensor : writes) {
    Step step;
    step.label = "copy";
    step.origin = {"node"};
    step.call.outputs = {TensorId{tensor}};
    program.steps.push_back(std::move(step));
  }
  return program;
}

ProgramTensor tensor_for(const std::string& onnx, Shape shape) {
  ProgramTensor tensor;
  tensor.name = "t";
  tensor.type.shape = shape;
  tensor.onnx = OnnxTensor{onnx, std::move(shape), {}};
  return tensor;
}

}  // namespace

TEST_CASE("the closest word is suggested, if one is close") {
  std::vector<std::string> verbs{"compile", "inspect", "diff", "run"};
  CHECK(closest_word("dif", verbs) == "diff");
  CHECK(closest_word("complie", verbs) == "compile");
  CHECK(closest_word("inpsect", verbs) == "inspect");
  CHECK(closest_word("quantize", verbs).empty());
  CHECK(closest_word("x", {}).empty());
}

TEST_CASE("usage errors end with code 1 and say what was meant") {
  CHECK(kiln_command({"--nonsense"}).exit_code == 1);
  ProcessResult verb = kiln_command({"dif", "x.onnx"});
  CHECK(verb.exit_code == 1);
  CHECK(verb.output == "error E100: 'dif' is no verb of kiln.\n  hint: did you mean `kiln diff`?\n");
  ProcessResult option = kiln_command({"diff", "x.onnx", "--rtoll=3"});
  CHECK(option.exit_code == 1);
  CHECK(option.output == "error E100: unknown option --rtoll.\n  hint: did you mean --rtol?\n");
  ProcessResult nothing = kiln_command({});
  CHECK(nothing.exit_code == 1);
  CHECK(nothing.output.find("Examples:") != std::string::npos);
  ProcessResult missing = kiln_command({"diff"});
  CHECK(missing.exit_code == 1);
  CHECK(missing.output.find("MODEL is required") != std::string::npos);
  ProcessResult dim = kiln_command({"inspect", "x.onnx", "--dim", "N=0"});
  CHECK(dim.exit_code == 1);
  CHECK(dim.output.find("error E104: --dim N=0: '0' is no positive number.") == 0);
}

TEST_CASE("help and version succeed, with the examples before the options") {
  ProcessResult version = kiln_command({"--version"});
  CHECK(version.exit_code == 0);
  CHECK(version.output == "kiln " KILN_VERSION "\n");
  for (const Verb* verb : all_verbs()) {
    ProcessResult help = kiln_command({std::string(verb->name), "--help"});
    INFO(help.output);
    CHECK(help.exit_code == 0);
    CHECK(help.output.find(verb->summary) == 0);
    CHECK(help.output.find("Examples:\n  kiln ") < help.output.find("Options:"));
  }
}

TEST_CASE("help is a verb too, and the version has a short option") {
  CHECK(kiln_command({"help"}).output == kiln_command({"--help"}).output);
  for (const Verb* verb : all_verbs()) {
    const std::string name(verb->name);
    ProcessResult help = kiln_command({"help", name});
    CHECK(help.exit_code == 0);
    CHECK(help.output == kiln_command({name, "-h"}).output);
  }
  CHECK(kiln_command({"help", "dif"}).output == "error E100: 'dif' is no verb of kiln.\n  hint: did you mean `kiln diff`?\n");
  CHECK(kiln_command({"-V"}).output == "kiln " KILN_VERSION "\n");
}

TEST_CASE("numbers out of range, and options that need or exclude others, are said in a line") {
  const std::string tiny = KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx";
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } kCases[] = {
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--limit", "0"}, "--limit: 0 is less than 1."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--skip", "-1"}, "--skip: -1 is less than 0."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--limit", "1.5"}, "--limit: '1.5' is no whole number."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--limit", "99999999999999999999"}, "--limit: 99999999999999999999 is out of range."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--min", "nan"}, "--min: 'nan' is no number."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--min", "91"}, "--min 91: values of top1 are from 0 to 1.\n  hint: did you mean --min 0.91?"},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "auc", "--min", "-1"}, "--min -1: values of auc are from 0 to 1."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "mae", "--max", "-1"}, "--max -1: mae is never negative."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--optimize-ort"}, "--optimize-ort is about ONNX Runtime, which --run kiln does not run."},
      {{"evaluate", tiny, "--data", "x.npy", "--metric", "top1", "--mean", "1,b"}, "--mean: 'b' is no number."},
      {{"diff", tiny, "--atol", "-1"}, "--atol: -1 is less than 0."},
      {{"diff", tiny, "--random", "0"}, "--random: 0 is less than 1."},
      {{"diff", tiny, "--random", "99999"}, "--random: 99999 is more than 10000."},
      {{"diff", tiny, "--inputs", "x.npy", "--seed", "3"}, "--inputs excludes --seed."},
      {{"diff", tiny, "--time", "3", "--layers"}, "--layers excludes --time."},
      {{"compile", tiny, "--vectors", "101"}, "--vectors: 101 is more than 100."},
      {{"compile", tiny, "--method", "mse"}, "--method requires --quantize."},
      {{"compile", tiny, "--adaround"}, "--adaround requires --quantize."},
      {{"compile", tiny, "--mean", "1"}, "--mean requires --quantize."},
      {{"compile", tiny, "--cflags=-O3"}, "--compiler and --cflags are about object code, of which nothing is asked."},
      {{"compile", tiny, "--report"}, "--report is about a microcontroller; the code is for host."},
      {{"inspect", tiny, "--compiler", "gcc"}, "--compiler is about a microcontroller; the code is for host."},
      {{"inspect", tiny, "--dim", "N=1", "--dim", "N=2"}, "--dim is given twice for 'N'."},
      {{"inspect", tiny, "--input-shape", "x=1,4", "--input-shape", "x=1,4"}, "--input-shape is given twice for 'x'."},
      {{"inspect", tiny, "--freeze", "x=1", "--freeze", "x=1"}, "--freeze is given twice for 'x'."},
      {{"quantize", tiny, "--calibration", "x.npy", "-o", "y.onnx", "--method", "mse", "--percentile", "99"}, "--percentile does not go with --method mse."},
      {{"quantize", tiny, "--calibration", "x.npy", "-o", "y.onnx", "--labels", "y.npy"}, "--labels requires --max-drop."},
      {{"quantize", tiny, "--calibration", "x.npy", "-o", "y.onnx", "--data", "y.npy"}, "--data requires --max-drop."},
      {{"quantize", tiny, "--calibration", "x.npy", "-o", "y.onnx", "--samples", "0"}, "--samples: 0 is less than 1."},
      {{"quantize", tiny, "--calibration", "x.npy", "-o", "y.onnx", "--percentile", "10"}, "--percentile: 10 is less than 50."},
  };
  for (auto [arguments, message] : kCases) {
    arguments.push_back("--quiet");  // no notes in front
    ProcessResult result = kiln_command(arguments);
    INFO(command_text(arguments) << "\n" << result.output);
    CHECK(result.exit_code == 1);
    CHECK(result.output.find(std::string("error E100: ") + message) == 0);
  }
}

TEST_CASE("chips and cores that are no targets get the one that was meant") {
  auto hint = [](const std::string& name) {
    Result<Target> target = make_target(name, "");
    REQUIRE(!target.ok());
    CHECK(target.diagnostic().id == DiagId::unknown_target);
    return target.diagnostic().hint;
  };
  CHECK(hint("stm32f4").starts_with("for stm32f4 (Cortex-M4) it is --target cortex-m4. targets are: host, "));
  CHECK(hint("STM32F407VG").starts_with("for STM32F407VG (Cortex-M4) it is --target cortex-m4. "));
  CHECK(hint("stm32wba55").find("--target cortex-m33.") != std::string::npos);
  CHECK(hint("esp32").starts_with("kiln has no target for Xtensa. targets are: "));
  CHECK(hint("esp32-s3").starts_with("kiln has no target for Xtensa. "));
  CHECK(hint("ESP32-C3").find("--target rv32imc.") != std::string::npos);
  CHECK(hint("cortex_m33").find("--target cortex-m33.") != std::string::npos);
  CHECK(hint("cortex-m0+").find("--target cortex-m0.") != std::string::npos);
  CHECK(hint("z80").starts_with("targets are: "));
  for (const std::string name : {"rp2040", "nrf52840", "rp2350", "max78000", "imxrt1062"}) {
    const std::string text = hint(name), option = "--target ";
    const size_t at = text.find(option);
    REQUIRE(at != std::string::npos);
    const std::string target = text.substr(at + option.size(), text.find(". ", at) - at - option.size());
    CHECK(make_target(target, "").ok());
  }
}

TEST_CASE("shapes are read with and without brackets") {
  CHECK(*parse_shape("1,3,96,96") == Shape{1, 3, 96, 96});
  CHECK(*parse_shape("[2,4]") == Shape{2, 4});
  CHECK(parse_shape("")->empty());
  for (const char* wrong : {"1,,3", "0,3", "a", "1 ,2", "-1", "99999999999999999999", "1000000,1000000", "1,1,1,1,1,1,1,1,1"}) {
    INFO(wrong);
    Result<Shape> shape = parse_shape(wrong);
    REQUIRE(!shape.ok());
    CHECK(shape.diagnostic().id == DiagId::bad_shape_option);
  }
}

TEST_CASE("assignments are cut at the last equals sign") {
  CHECK(*split_assignment("--dim", "a=b=3") == std::pair<std::string, std::string>("a=b", "3"));
  for (const char* wrong : {"x", "=1", "x="}) CHECK(split_assignment("--dim", wrong).diagnostic().id == DiagId::bad_usage);
}

TEST_CASE("a process returns its exit code, its signal and what it wrote") {
  Result<ProcessResult> code = run_process({"sh", "-c", "echo out; echo err >&2; exit 7"}, "/");
  REQUIRE(code.ok());
  CHECK(code->exit_code == 7);
  CHECK(!code->ok());
  CHECK(code->output == "out\nerr\n");
  Result<ProcessResult> signal = run_process({"sh", "-c", "kill -SEGV $$"}, "/");
  REQUIRE(signal.ok());
  CHECK(signal->signal == 11);
  Result<ProcessResult> folder = run_process({"pwd"}, "/usr");
  REQUIRE(folder.ok());
  CHECK(folder->output == "/usr\n");
  Result<ProcessResult> missing = run_process({"no-such-program"}, "/");
  REQUIRE(missing.ok());
  CHECK(missing->exit_code == 127);
  Result<ProcessResult> much = run_process({"sh", "-c", "yes | head -c 1000000; echo end"}, "/");
  REQUIRE(much.ok());
  CHECK(much->output.size() < 300000);
  CHECK(much->output.ends_with("end\n"));
}

TEST_CASE("programs are found and commands printed as they would be typed") {
  CHECK(find_program("sh").has_value());
  CHECK(find_program("/bin/sh").has_value());
  CHECK(!find_program("no-such-program").has_value());
  CHECK(!find_program("/usr").has_value());
  CHECK(command_text({"c++", "-O2", "a b.cpp", ""}) == "c++ -O2 'a b.cpp' ''");
}

TEST_CASE("an index is shown by its place in the shape") {
  CHECK(index_text(0, {2, 3}) == "[0,0]");
  CHECK(index_text(5, {2, 3}) == "[1,2]");
  CHECK(index_text(23, {2, 3, 4}) == "[1,2,3]");
  CHECK(index_text(0, {}) == "[]");
}

TEST_CASE("an ONNX tensor is permuted and reshaped as the program holds it") {
  Tensor onnx = Tensor::floats({1, 2, 3}, {0, 1, 2, 3, 4, 5});
  CHECK(as_program_tensor(onnx, {"x", {1, 2, 3}, {}}, {6}) == Tensor::floats({6}, {0, 1, 2, 3, 4, 5}));
  CHECK(as_program_tensor(onnx, {"x", {1, 2, 3}, {0, 2, 1}}, {1, 1, 3, 2}) == Tensor::floats({1, 1, 3, 2}, {0, 3, 1, 4, 2, 5}));
}

TEST_CASE("layers are compared where a tensor is complete, and the first that diverges is found") {
  // Steps 0 and 1 write the parts of 'a', step 2 makes 'b', step 3 makes a tensor that is not in the model.
  ProgramTensor unnamed = tensor_for("", {2});
  unnamed.onnx.reset();
  Program program = program_of({tensor_for("a", {2}), tensor_for("b", {2}), unnamed}, {0, 0, 1, 2});
  CHECK(layer_tensors(program) == std::vector<std::string>{"a", "b"});
  Tensor half = Tensor::floats({2}, {1, 0}), a = Tensor::floats({2}, {1, 2}), b = Tensor::floats({2}, {1000.001f, 3.005f});
  std::vector<Tensor> results{half, a, b, half};
  std::map<std::string, Tensor> reference{{"a", a}, {"b", Tensor::floats({2}, {1000, 3})}};

  DiffReport report;
  report.layers = compare_layers(program, results, reference, {.absolute = 1e-5, .relative = 1e-4});
  REQUIRE(report.layers.size() == 4);
  CHECK(!report.layers[0].comparison);
  REQUIRE(report.layers[1].comparison);
  CHECK(report.layers[1].comparison->different == 0);
  REQUIRE(report.layers[2].comparison);
  CHECK(report.layers[2].comparison->pass());  // 0.005 off is little beside 1000
  CHECK(!report.layers[3].comparison);
  CHECK(report.first_divergence() == nullptr);

  report.layers = compare_layers(program, results, reference, {.absolute = 1e-6, .relative = 1e-4});
  REQUIRE(report.first_divergence() != nullptr);
  CHECK(step_name(*report.first_divergence()) == "step 3 copy 'node'");
}

TEST_CASE("integers that a layer makes from rounded floats may be off by the relative tolerance, small ones not at all") {
  ProgramTensor integers = tensor_for("a", {1});
  integers.type.dtype = DType::i64;
  Program program = program_of({integers}, {0});
  auto passes = [&](int64_t got, int64_t expected) {
    std::map<std::string, Tensor> reference{{"a", Tensor::int64s({expected})}};
    return compare_layers(program, {Tensor::int64s({got})}, reference, {}).front().comparison->pass();
  };
  CHECK(passes(16777220, 16777216));
  CHECK(!passes(16780000, 16777216));
  CHECK(passes(1000, 1000));
  CHECK(!passes(1001, 1000));
}
