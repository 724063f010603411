// SPDX-License-Identifier: Apache-2.0
// Integer layers as emitted code, by every row that this host can run, against the independent evaluator, exactly.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <set>

#include "compiler/emit/bundle.h"
#include "compiler/runner/bundle_runner.h"
#include "passes/plan_memory.h"
#include "passes/select_kernels.h"
#include "targets/targets.h"
#include "tests/kernels/integer_layers.h"
#include "tests/kernels/integer_oracle.h"

using namespace kiln;

namespace {

/// Kernel calls side by side, each with an input of its own and an output that is known.
class CallSet {
 public:
  CallSet() { program_.name = "layers"; }

  template <class T>
  TensorId input(const std::vector<T>& values) {
    inputs_.push_back(Tensor::of<T>({static_cast<int64_t>(values.size())}, values));
    return port(inputs_.back().type, program_.inputs, "x");
  }
  template <class T>
  TensorId constant(const std::vector<T>& values) {
    return constant(Tensor::of<T>({static_cast<int64_t>(values.size())}, values));
  }
  TensorId constant(Tensor tensor) {
    TensorType type = tensor.type;
    return program_.add_tensor({"c", type, std::move(tensor), {}, {}, -1});
  }
  template <class Y>
  void add(const std::string& family, AnyDescriptor descriptor, std::vector<TensorId> operands, const std::vector<Y>& expected,
           std::vector<std::string> functors = {}) {
    expected_.push_back(Tensor::of<Y>({static_cast<int64_t>(expected.size())}, expected));
    Step step;
    step.label = family;
    step.origin = {fmt::format("layer {}", expected_.size() - 1)};
    step.input_shape = program_.tensor(operands[0]).type.shape, step.output_shape = expected_.back().type.shape;
    step.call.family = family;
    step.call.functors = std::move(functors);
    step.call.descriptor = std::move(descriptor);
    step.call.inputs = std::move(operands);
    step.call.outputs = {port(expected_.back().type, program_.outputs, "y")};
    program_.steps.push_back(std::move(step));
  }
  template <class X, class W, class Y>
  void add_layer(const std::string& family, AnyDescriptor descriptor, const Operands<X, W>& o, const std::vector<W>& weights,
                 const std::vector<Y>& expected) {
    Tensor factors = Tensor::floats({static_cast<int64_t>(o.m.size())}, o.m);
    if (o.m.size() > o.folded.size()) factors = factors.reshaped({static_cast<int64_t>(o.folded.size()), 2});  // with addends
    add(family, std::move(descriptor), {input(o.x), constant(weights), constant(o.folded), constant(std::move(factors))}, expected);
  }

  /// Compiles for `cpu`, runs, compares. Returns the rows that served.
  std::set<std::string> check(const std::string& cpu, bool reference_only) const {
    Result<Target> target = make_target("host", cpu);
    REQUIRE(target.ok());
    Diagnostics diagnostics;
    PassContext context{*target, diagnostics};
    Program program = program_;
    REQUIRE(select_kernels(program, {.reference_only = reference_only, .explain = {}}, context).ok());
    REQUIRE(plan_memory(program, context).ok());
    ModelInfo info{"layers", std::string(64, '0'), 13, "", {}};
    Result<BuiltBundle> host = BuiltBundle::build(program, *target, emit_bundle(program, *target, info, {}), {});
    if (!host) FAIL(to_string(host.diagnostic()));
    Result<RunResult> result = host->run({inputs_}, {});
    if (!result) FAIL(to_string(result.diagnostic()));
    std::set<std::string> rows;
    for (size_t i = 0; i < expected_.size(); ++i) {
      const KernelCall& call = program.steps[i].call;
      std::string row = fmt::format("{}.{}", call.family, call.row->variant);
      rows.insert(row);
      if (result->outputs[0][i] == expected_[i]) continue;
      std::vector<double> got = result->outputs[0][i].to_doubles(), want = expected_[i].to_doubles();
      size_t k = 0;
      while (got[k] == want[k]) ++k;
      std::string fields;
      for (const DescriptorField& f : descriptor_fields(call.descriptor))
        if (const auto* value = std::get_if<int32_t>(&f.value)) fields += fmt::format(" {}={}", f.name, *value);
      FAIL(fmt::format("{}: {} layer {} element {} of {} is {}, expected {}; {} -> {}:{}", cpu, row, i, k, want.size(), got[k], want[k],
                       dtype_name(program.tensor(call.inputs[0]).type.dtype), dtype_name(expected_[i].type.dtype), fields));
    }
    return rows;
  }

 private:
  TensorId port(const TensorType& type, std::vector<IoTensor>& ports, const char* prefix) {
    std::string name = fmt::format("{}{}", prefix, ports.size());
    TensorId id = program_.add_tensor({name, type, {}, {}, {}, -1});
    ports.push_back({name, name, id});
    return id;
  }

  Program program_;
  std::vector<Tensor> inputs_, expected_;
};

/// Byte inputs and weights, and every type of result.
template <class F>
void with_byte_types(int32_t which, F&& f) {
  switch (which % 8) {
    case 0:
    case 1:
      return f.template operator()<int8_t, int8_t, int8_t>();
    case 2:
      return f.template operator()<uint8_t, int8_t, uint8_t>();
    case 3:
      return f.template operator()<uint8_t, uint8_t, uint8_t>();
    case 4:
      return f.template operator()<int8_t, uint8_t, uint8_t>();
    case 5:
      return f.template operator()<int8_t, int8_t, uint16_t>();
    case 6:
      return f.template operator()<uint8_t, int8_t, float>();
    default:
      return f.template operator()<int8_t, int8_t, int32_t>();
  }
}

template <class X, class W, class Y>
void add_conv2d(CallSet& set, LayerNumbers& n) {
  QConv2d d = random_window(n);
  d.groups = n.pick(0, 7) == 0 ? 2 : 1;
  int32_t per_group = n.pick(1, 20);
  d.in_c = d.groups * per_group, d.out_c = d.groups * n.pick(2, 40);
  auto o = operands<X, W, Y>(n, d, int64_t{d.batch} * d.in_h * d.in_w * d.in_c, d.out_c, d.kernel_h * d.kernel_w * per_group);
  d.wide = 0;
  set.add_layer("qconv2d", d, o, o.w, oracle::conv2d<Y>(d, o.x, o.w, o.bias, o.m));
}

template <class X, class W, class Y>
void add_depthwise2d(CallSet& set, LayerNumbers& n) {
  QConv2d d = random_window(n);
  d.in_c = d.out_c = d.groups = n.pick(0, 3) == 0 ? n.pick(1, 16) : n.pick(8, 100);
  auto o = operands<X, W, Y>(n, d, int64_t{d.batch} * d.in_h * d.in_w * d.in_c, d.out_c, d.kernel_h * d.kernel_w);
  d.wide = 0;
  set.add_layer("qdepthwise2d", depthwise_of(d), o, by_taps(o.w, d.in_c), oracle::conv2d<Y>(d, o.x, o.w, o.bias, o.m));
}

template <class X, class W, class Y>
void add_dense(CallSet& set, LayerNumbers& n) {
  QConv2d d = dense_as_conv(n.pick(0, 1) == 0 ? 1 : n.pick(2, 30), n.pick(1, 90), n.pick(1, 150));
  auto o = operands<X, W, Y>(n, d, int64_t{d.in_w} * d.in_c, d.out_c, d.in_c);
  d.wide = 0;
  set.add_layer("qdense", dense_of(d), o, o.w, oracle::conv2d<Y>(d, o.x, o.w, o.bias, o.m));
}

template <class X, class Y>
void add_average_pool(CallSet& set, LayerNumbers& n) {
  AveragePool pool = random_average_pool<X, Y>(n, n.pick(8, 80));
  std::vector<X> x = n.elements<X>(int64_t{pool.d.batch} * pool.d.in_h * pool.d.in_w * pool.d.channels);
  set.add("qaverage_pool2d", pool.d, {set.input(x), set.constant(pool.m)},
          oracle::average_pool2d<Y>(pool.d, x, pool.x_scale, pool.y_scale));
}

void add_sum(CallSet& set, LayerNumbers& n) {
  int32_t count = n.pick(1, 200);
  QBinary d;
  d.rank = 1;
  d.dims = Dims(std::vector<int64_t>{count});
  d.a_strides = d.b_strides = Dims(std::vector<int64_t>{1});
  n.result_grid<int8_t>(d);
  d.a_zero_point = n.element<int8_t>(), d.b_zero_point = n.element<int8_t>();
  d.a_scale = n.scale(1e-3, 1), d.b_scale = d.a_scale * n.scale(0.2, 5), d.y_scale = std::max(d.a_scale, d.b_scale) * n.scale(0.7, 2);
  std::vector<int8_t> a = n.elements<int8_t>(count), b = n.elements<int8_t>(count), y;
  for (size_t i = 0; i < a.size(); ++i) {
    float real = oracle::sum(oracle::product(static_cast<float>(a[i] - d.a_zero_point), d.a_scale),
                             oracle::product(static_cast<float>(b[i] - d.b_zero_point), d.b_scale));
    y.push_back(static_cast<int8_t>(oracle::saturate(oracle::quotient(real, d.y_scale), d.y_zero_point, d.low, d.high)));
  }
  set.add("qbinary", d, {set.input(a), set.input(b)}, y, {"add", "none"});
}

/// The layers for CPUs with each kind of instructions, and by the reference kernels.
void check_everywhere(const CallSet& set, const std::string& family) {
  std::string x86 = family + ".x86", vnni = family + ".x86_vnni";
  Result<Target> native = make_target("host", "native");
  REQUIRE(native.ok());
  for (const auto& [level, bytes] : {std::pair{"x86-64", 16}, {"x86-64-v3", 32}, {"x86-64-v4", 64}}) {
    if (native->integer_vector_bytes >= bytes)
      CHECK(set.check(level, false).count(x86) == 1);
    else
      WARN("this processor is no " << level << ": not tested");
  }
  CHECK(set.check("native", true) == std::set<std::string>{family + ".ref"});
  std::set<std::string> rows = set.check("native", false);
  if ((native->capabilities & kVnni) != 0)
    CHECK(rows.count(vnni) == 1);
  else
    WARN("this processor has no AVX-512 VNNI: not tested");
}

constexpr int kLayersPerBundle = 12;

}  // namespace

TEST_CASE("emitted integer convolutions of all rows equal the independent evaluator") {
  CallSet set;
  LayerNumbers numbers(21);
  for (int i = 0; i < kLayersPerBundle; ++i) with_byte_types(i, [&]<class X, class W, class Y>() { add_conv2d<X, W, Y>(set, numbers); });
  check_everywhere(set, "qconv2d");
}

TEST_CASE("emitted integer depthwise convolutions of all rows equal the independent evaluator") {
  CallSet set;
  LayerNumbers numbers(22);
  for (int i = 0; i < kLayersPerBundle; ++i)
    with_byte_types(i, [&]<class X, class W, class Y>() { add_depthwise2d<X, W, Y>(set, numbers); });
  check_everywhere(set, "qdepthwise2d");
}

TEST_CASE("emitted integer dense layers of all rows equal the independent evaluator") {
  CallSet set;
  LayerNumbers numbers(23);
  for (int i = 0; i < kLayersPerBundle; ++i) with_byte_types(i, [&]<class X, class W, class Y>() { add_dense<X, W, Y>(set, numbers); });
  check_everywhere(set, "qdense");
  CHECK(set.check("x86-64-v2", false).count("qdense.x86") == 1);  // another way to widen bytes
}

TEST_CASE("emitted integer average pools of all rows equal the independent evaluator") {
  CallSet set;
  LayerNumbers numbers(24);
  for (int i = 0; i < kLayersPerBundle; ++i) {
    if (i % 2 == 0)
      add_average_pool<int8_t, int8_t>(set, numbers);
    else
      add_average_pool<uint8_t, uint8_t>(set, numbers);
  }
  check_everywhere(set, "qaverage_pool2d");
}

TEST_CASE("emitted sums of bytes by integers and by floats equal the independent evaluator") {
  CallSet set;
  LayerNumbers numbers(25);
  for (int i = 0; i < kLayersPerBundle; ++i) add_sum(set, numbers);
  CHECK(set.check("native", false).count("qbinary.ref_integer") == 1);
  CHECK(set.check("native", true) == std::set<std::string>{"qbinary.ref"});
}
