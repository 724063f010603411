// SPDX-License-Identifier: Apache-2.0
// Every row of the kernel catalogue that this host can run, or emulate for floats, against the reference kernels: generated layers are
// compiled with and without the optimised rows for several CPUs, run as emitted code, and compared with the reference evaluation.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "compiler/emit/bundle.h"
#include "compiler/ir/parse.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ops/evaluate.h"
#include "compiler/pipeline/pipeline.h"
#include "compiler/runner/bundle_runner.h"

using namespace kiln;

namespace {

constexpr int kLayersPerBundle = 40;

/// Layers of one family side by side, each with an input and an output of its own.
class LayerSet {
 public:
  /// `stored`: the type in which the model has the weights: f32, f16 or bf16.
  explicit LayerSet(uint32_t seed, std::string stored = "f32") : random_(seed), stored_(std::move(stored)) {}

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::string activation() {
    static const char* const kActivations[] = {"", R"(act="relu")", R"(act="clip", alpha=-0.25, beta=0.5)",
                                               R"(act="leaky_relu", alpha=0.1)"};
    return kActivations[pick(0, 3)];
  }
  void add(const std::string& input, const std::string& constants, const std::string& call) {
    inputs_ += fmt::format("{}%x{}: f32{}", count_ ? ", " : "", count_, input);
    outputs_ += fmt::format("{}%y{}", count_ ? ", " : "", count_);
    body_ += constants + fmt::format("  %y{} = {}\n", count_, call);
    ++count_;
  }
  /// The weights of the next layer, and what the graph makes of them.
  [[nodiscard]] std::string weights(const std::string& shape) const {
    if (stored_ == "f32") return fmt::format("  const %w{}: f32{} = random {}\n", count_, shape, 3 * count_);
    return fmt::format("  const %s{0}: {1}{2} = random {3}\n  %w{0} = cast(%s{0}) {{to=\"f32\"}}\n", count_, stored_, shape, 3 * count_);
  }
  [[nodiscard]] bool is_narrow() const { return stored_ != "f32"; }
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] std::string text() const { return fmt::format("graph @layers ({}) -> ({}) {{\n{}}}\n", inputs_, outputs_, body_); }

 private:
  std::mt19937 random_;
  std::string stored_, inputs_, outputs_, body_;
  int count_ = 0;
};

std::string constant(const std::string& name, const std::string& shape, int seed) {
  return fmt::format("  const %{}: f32{} = random {}\n", name, shape, seed);
}

void add_conv(LayerSet& set, bool depthwise) {
  int k = set.count();
  int kh = set.pick(1, 4), kw = set.pick(1, 4), dh = set.pick(1, 2), dw = set.pick(1, 2);
  int h = (kh - 1) * dh + set.pick(1, 9), w = (kw - 1) * dw + set.pick(1, 17);
  int channels = set.pick(1, 40), outputs = depthwise ? channels : set.pick(1, 70);
  std::string pads = fmt::format("[{},{},{},{}]", set.pick(0, kh - 1), set.pick(0, kw - 1), set.pick(0, kh - 1), set.pick(0, kw - 1));
  std::string act = set.activation();
  set.add(fmt::format("[{},{},{},{}]", set.pick(1, 2), h, w, channels),
          set.weights(fmt::format("[{},{},{},{}]", outputs, kh, kw, depthwise ? 1 : channels)) +
              constant(fmt::format("b{}", k), fmt::format("[{}]", outputs), 3 * k + 1),
          fmt::format("conv2d(%x{0}, %w{0}, %b{0}) {{strides=[{1},{2}], pads={3}, dilations=[{4},{5}], groups={6}{7}{8}}}", k,
                      set.pick(1, 3), set.pick(1, 3), pads, dh, dw, depthwise ? channels : 1, act.empty() ? "" : ", ", act));
}

void add_dense(LayerSet& set) {
  int k = set.count(), in = set.pick(1, 90), out = set.pick(1, 150);
  std::string act = set.activation();
  set.add(fmt::format("[{},{}]", set.pick(0, 1) ? 1 : set.pick(1, 33), in),
          set.weights(fmt::format("[{},{}]", out, in)) + constant(fmt::format("b{}", k), fmt::format("[{}]", out), 3 * k + 1),
          fmt::format("dense(%x{0}, %w{0}, %b{0}) {{{1}}}", k, act));
}

void add_pool(LayerSet& set, const char* op) {
  int kh = set.pick(1, 5), kw = set.pick(1, 5);
  int h = kh + set.pick(0, 9), w = kw + set.pick(0, 15);
  std::string pads = fmt::format("[{},{},{},{}]", set.pick(0, kh - 1), set.pick(0, kw - 1), set.pick(0, kh - 1), set.pick(0, kw - 1));
  bool average = std::string_view(op) == "average_pool2d";
  set.add(fmt::format("[{},{},{},{}]", set.pick(1, 2), h, w, set.pick(1, 40)), "",
          fmt::format("{}(%x{}) {{kernel=[{},{}], strides=[{},{}], pads={}{}}}", op, set.count(), kh, kw, set.pick(1, 3), set.pick(1, 3),
                      pads, average ? fmt::format(", count_include_pad={}", set.pick(0, 1)) : ""));
}

Compiled compiled_for(const Graph& graph, const std::string& target, const std::string& cpu, bool reference_only) {
  CompileOptions options;
  options.target = target;
  options.cpu = cpu;
  options.reference_kernels = reference_only;
  Diagnostics diagnostics;
  std::optional<Compiled> compiled = compile_graph({graph, ModelInfo{"layers", std::string(64, '0'), 13, "", {}}}, options, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) UNSCOPED_INFO(to_string(d));
  REQUIRE(compiled);
  return *std::move(compiled);
}

/// Runs the layers as emitted code and compares each with its reference evaluation. Returns the variants that served them.
std::set<std::string> check(const LayerSet& set, const std::string& target, const std::string& cpu, bool reference_only) {
  Result<Graph> graph = parse_graph(set.text(), op_table());
  if (!graph) FAIL(to_string(graph.diagnostic()) << "\n" << set.text());
  graph->has_narrow_weights = set.is_narrow();
  Compiled c = compiled_for(*graph, target, cpu, reference_only);
  std::vector<Tensor> inputs;
  for (ValueId v : graph->inputs) inputs.push_back(random_tensor(graph->type(v), inputs.size() + 1));
  Result<std::vector<Tensor>> expected = evaluate(*graph, inputs);
  REQUIRE(expected.ok());
  Result<BuiltBundle> program = BuiltBundle::build(c.program, c.target, emit_bundle(c.program, c.target, c.info, {}), {});
  if (!program) FAIL(to_string(program.diagnostic()));
  Result<RunResult> result = program->run({inputs}, {});
  if (!result) FAIL(to_string(result.diagnostic()));
  for (size_t i = 0; i < expected->size(); ++i) {
    std::vector<double> got = result->outputs[0][i].to_doubles(), want = (*expected)[i].to_doubles();
    REQUIRE(got.size() == want.size());
    for (size_t k = 0; k < got.size(); ++k) {
      // Sums of a few hundred products of numbers below 1, with and without fused multiply-add.
      if (std::abs(got[k] - want[k]) <= 2e-5 * (1 + std::abs(want[k]))) continue;
      FAIL(fmt::format("{} {}: layer {} element {} is {}, expected {}", target, cpu, i, k, got[k], want[k]));
    }
  }
  std::set<std::string> variants;
  for (const Step& step : c.program.steps) {
    const DType weights = step.call.inputs.size() > 1 ? c.program.tensor(step.call.inputs[1]).type.dtype : DType::f32;
    CHECK((weights == DType::f16 || weights == DType::bf16) == (set.is_narrow() && step.call.row->narrow != 0));
    variants.insert(fmt::format("{}.{}", step.call.family, step.call.row->variant));
  }
  return variants;
}

/// All of a family's layers for the plain CPU, for a wide one and with reference kernels only.
void check_everywhere(const LayerSet& set, const std::string& row) {
  CHECK(check(set, "host", "x86-64", false).count(row) == 1);
  CHECK(check(set, "host", "native", false).count(row) == 1);
  CHECK(check(set, "host", "native", true).count(row) == 0);
}

/// In QEMU, with vectors of 128 and of 256 bits.
void check_riscv(const LayerSet& set, const std::string& row) {
  CHECK(check(set, "rv32gcv", "", false).count(row) == 1);
  CHECK(check(set, "rv64gcv", "rv64gcv_zvl256b", false).count(row) == 1);
}

}  // namespace

TEST_CASE("convolutions of all rows agree with the reference") {
  LayerSet set(1);
  while (set.count() < kLayersPerBundle) add_conv(set, false);
  check_everywhere(set, "conv2d.simd");
  check_riscv(set, "conv2d.rvv");
}

TEST_CASE("depthwise convolutions of all rows agree with the reference") {
  LayerSet set(2);
  while (set.count() < kLayersPerBundle) add_conv(set, true);
  check_everywhere(set, "depthwise2d.simd");
  check_riscv(set, "depthwise2d.rvv");
}

TEST_CASE("dense layers of all rows agree with the reference") {
  LayerSet set(3);
  while (set.count() < kLayersPerBundle) add_dense(set);
  check_everywhere(set, "dense.simd");
  check_riscv(set, "dense.rvv");
}

TEST_CASE("pools of all rows agree with the reference") {
  LayerSet set(4);
  while (set.count() < kLayersPerBundle / 2) add_pool(set, "max_pool2d");
  check_everywhere(set, "max_pool2d.simd");
  LayerSet averages(5);
  while (averages.count() < kLayersPerBundle / 2) add_pool(averages, "average_pool2d");
  check_everywhere(averages, "average_pool2d.simd");
}

TEST_CASE("layers of all rows read weights in 16 bits") {
  uint32_t seed = 6;
  for (const char* stored : {"f16", "bf16"}) {
    LayerSet convs(seed++, stored), depthwise(seed++, stored), denses(seed++, stored);
    while (convs.count() < kLayersPerBundle / 4) add_conv(convs, false);
    while (depthwise.count() < kLayersPerBundle / 4) add_conv(depthwise, true);
    while (denses.count() < kLayersPerBundle / 4) add_dense(denses);
    check_everywhere(convs, "conv2d.simd");
    check_everywhere(depthwise, "depthwise2d.simd");
    check_everywhere(denses, "dense.simd");
    for (const char* board : {"cortex-m4", "rv32imafc"}) {
      CHECK(check(convs, board, "", false).count("conv2d.fpu") == 1);
      CHECK(check(depthwise, board, "", false).count("depthwise2d.fpu") == 1);
      CHECK(check(denses, board, "", false).count("dense.fpu") == 1);
    }
    CHECK(check(denses, "rv32gcv", "", false).count("dense.rvv") == 1);
    CHECK(check(denses, "cortex-m0", "", false).count("dense.ref") == 1);
  }
}
