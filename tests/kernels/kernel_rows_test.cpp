// SPDX-License-Identifier: Apache-2.0
// Every row for floats that this host can run or emulate, against the reference kernels: generated layers are
// compiled with and without the optimised rows for several CPUs, run as emitted code, and compared with the reference evaluation.
#include <set>
#include <string>

#include "tests/emitted_layers.h"
#include "tests/float_layers.h"

using namespace kiln;
using namespace kiln::test;

namespace {

constexpr int kLayersPerBundle = 40;

/// Runs the layers as emitted code and compares each with its reference evaluation. Returns the rows that served them.
std::set<std::string> check(const FloatLayers& layers, const LayerBuild& build, bool reference_only = false) {
  CompileOptions options = options_for(build);
  options.reference_kernels = reference_only;
  return check_float_layers(layers.graph(), options, {.compiler = build.compiler}, kFloatTolerance);
}

/// All of a family's layers for the plain CPU, for a wide one and with reference kernels only.
void check_everywhere(const FloatLayers& set, const std::string& row) {
  CHECK(check(set, {"host", "x86-64"}).count(row) == 1);
  CHECK(check(set, {"host", "native"}).count(row) == 1);
  CHECK(check(set, {"host", "native"}, true).count(row) == 0);
}

/// In QEMU.
void check_riscv(const FloatLayers& set, const std::string& row) {
  for (const LayerBuild& build : kFloatVectorBuilds) CHECK(check(set, build).count(row) == 1);
}

}  // namespace

TEST_CASE("convolutions of all rows agree with the reference") {
  const FloatLayers set = FloatLayers(1).convolutions(kLayersPerBundle, false);
  check_everywhere(set, "conv2d.simd");
  check_riscv(set, "conv2d.rvv");
}

TEST_CASE("depthwise convolutions of all rows agree with the reference") {
  const FloatLayers set = FloatLayers(2).convolutions(kLayersPerBundle, true);
  check_everywhere(set, "depthwise2d.simd");
  check_riscv(set, "depthwise2d.rvv");
}

TEST_CASE("dense layers of all rows agree with the reference") {
  const FloatLayers set = FloatLayers(3).dense(kLayersPerBundle);
  check_everywhere(set, "dense.simd");
  check_riscv(set, "dense.rvv");
}

TEST_CASE("pools of all rows agree with the reference") {
  check_everywhere(FloatLayers(4).pools(kLayersPerBundle / 2, ops::max_pool2d), "max_pool2d.simd");
  check_everywhere(FloatLayers(5).pools(kLayersPerBundle / 2, ops::average_pool2d), "average_pool2d.simd");
}

TEST_CASE("layers of all rows read weights in 16 bits") {
  uint32_t seed = 6;
  for (DType stored : {DType::f16, DType::bf16}) {
    auto layers = [&] { return FloatLayers(seed++, kHostSizes, stored); };
    const FloatLayers convs = layers().convolutions(kLayersPerBundle / 4, false),
                      depthwise = layers().convolutions(kLayersPerBundle / 4, true), denses = layers().dense(kLayersPerBundle / 4);
    check_everywhere(convs, "conv2d.simd");
    check_everywhere(depthwise, "depthwise2d.simd");
    check_everywhere(denses, "dense.simd");
    for (const char* board : {"cortex-m4", "rv32imafc"}) {
      CHECK(check(convs, {board}).count("conv2d.fpu") == 1);
      CHECK(check(depthwise, {board}).count("depthwise2d.fpu") == 1);
      CHECK(check(denses, {board}).count("dense.fpu") == 1);
    }
    CHECK(check(denses, {"rv32gcv"}).count("dense.rvv") == 1);
    CHECK(check(denses, {"cortex-m0"}).count("dense.ref") == 1);
  }
}
