// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools against their definition, and their lowering.
#include <limits>

#include "compiler/ops/op_util.h"
#include "nn/ref/conv2d.h"
#include "tests/unit/layers.h"

namespace kiln {
namespace {

using namespace layers;

/// The sliding window of an ONNX node in one or two dimensions.
struct Geometry {
  Ints in, kernel, strides, dilations, pads;  // pads: all begins, then all ends
  std::string auto_pad = "NOTSET";
  bool ceil = false;

  [[nodiscard]] size_t dims() const { return in.size(); }
  [[nodiscard]] int64_t reach(size_t i) const { return (kernel[i] - 1) * dilations[i] + 1; }

  void resolve() {
    for (size_t i = 0; i < dims(); ++i) {
      if (auto_pad == "NOTSET") continue;
      int64_t out = (in[i] + strides[i] - 1) / strides[i];
      int64_t total = auto_pad == "VALID" ? 0 : std::max<int64_t>(0, (out - 1) * strides[i] + reach(i) - in[i]);
      int64_t less = total / 2, more = total - less;
      pads[i] = auto_pad == "SAME_UPPER" ? less : more;
      pads[i + dims()] = total - pads[i];
    }
  }

  [[nodiscard]] Ints out() const {
    Ints shape;
    for (size_t i = 0; i < dims(); ++i) {
      double steps = static_cast<double>(in[i] + pads[i] + pads[i + dims()] - reach(i)) / static_cast<double>(strides[i]);
      const bool up = ceil && auto_pad == "NOTSET";  // auto_pad says the size by itself
      int64_t count = static_cast<int64_t>(up ? std::ceil(steps) : std::floor(steps)) + 1;
      if (up && (count - 1) * strides[i] >= in[i] + pads[i]) --count;
      shape.push_back(count);
    }
    return shape;
  }

  /// The input position under tap k of output position o, or nothing outside the input.
  [[nodiscard]] std::optional<Ints> source(const Ints& o, const Ints& k) const {
    Ints at;
    for (size_t i = 0; i < dims(); ++i) {
      at.push_back(o[i] * strides[i] - pads[i] + k[i] * dilations[i]);
      if (at[i] < 0 || at[i] >= in[i]) return std::nullopt;
    }
    return at;
  }

  [[nodiscard]] bool within_padding(const Ints& o, const Ints& k) const {
    for (size_t i = 0; i < dims(); ++i)
      if (o[i] * strides[i] - pads[i] + k[i] * dilations[i] >= in[i] + pads[i + dims()]) return false;
    return true;
  }

  [[nodiscard]] Attrs attrs() const {
    Attrs a{{"kernel_shape", kernel}, {"strides", strides}, {"dilations", dilations}};
    if (auto_pad == "NOTSET") a.set("pads", pads);
    else a.set("auto_pad", auto_pad);
    return a;
  }
};

Geometry random_geometry(Random& random) {
  Geometry g;
  static const char* const kModes[] = {"NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
  g.auto_pad = kModes[random.between(0, 5)];
  size_t dims = random.between(0, 3) == 0 ? 1 : 2;
  g.pads.resize(2 * dims);
  for (size_t i = 0; i < dims; ++i) {
    g.kernel.push_back(random.between(1, 4));
    g.strides.push_back(random.between(1, 3));
    g.dilations.push_back(random.between(0, 2) == 0 ? random.between(1, 3) : 1);
    g.in.push_back(g.reach(i) + random.between(0, 8));
    for (size_t side : {i, i + dims}) g.pads[side] = random.between(0, g.kernel[i] - 1);
  }
  g.resolve();
  return g;
}

TEST_CASE("conv agrees with its definition") {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    Geometry g = random_geometry(random);
    int64_t groups = random.flip() ? 1 : random.between(1, 4), n = random.between(1, 2);
    int64_t in_c = groups * random.between(1, 3), out_c = groups * random.between(1, 3);
    if (seed % 10 == 0) {  // one window over the whole image
      g.in = g.kernel;
      g.auto_pad = "VALID";
      g.dilations.assign(g.dims(), 1);
      g.resolve();
    }
    CAPTURE(seed, g.in, g.kernel, g.strides, g.dilations, g.pads, g.auto_pad, groups, in_c, out_c);
    Tensor x = random.tensor(joined({n, in_c}, g.in)), w = random.tensor(joined({out_c, in_c / groups}, g.kernel));
    std::optional<Tensor> bias;
    if (random.flip()) bias = random.tensor({out_c});
    Attrs attrs = g.attrs();
    attrs.set("group", groups);
    Result<Tensor> y = run("Conv", {x, w, bias}, attrs);
    REQUIRE(y.ok());

    Doubles want;
    Shape shape = joined({n, out_c}, g.out());
    for_each_index(shape, [&](const Ints& at) {
      double sum = bias ? element(*bias, {at[1]}) : 0;
      int64_t group = at[1] / (out_c / groups);
      for_each_index(joined({in_c / groups}, g.kernel), [&](const Ints& tap) {
        Ints k = from(1, tap);
        if (std::optional<Ints> p = g.source(from(2, at), k))
          sum += element(x, joined({at[0], group * (in_c / groups) + tap[0]}, *p)) * element(w, joined({at[1], tap[0]}, k));
      });
      want.push_back(sum);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("pools agree with their definition") {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Random random(seed + 1000);
    Geometry g = random_geometry(random);
    g.ceil = random.flip();
    bool average = random.flip(), include = random.flip();
    CAPTURE(seed, g.in, g.kernel, g.strides, g.dilations, g.pads, g.auto_pad, g.ceil, average, include);
    Tensor x = random.tensor(joined({random.between(1, 2), random.between(1, 3)}, g.in));
    Attrs attrs = g.attrs();
    attrs.set("ceil_mode", int64_t{g.ceil});
    if (average) attrs.set("count_include_pad", int64_t{include});
    Result<Tensor> y = run(average ? "AveragePool" : "MaxPool", {x}, attrs, 19);
    REQUIRE(y.ok());

    Doubles want;
    Shape shape = joined({x.type.shape[0], x.type.shape[1]}, g.out());
    for_each_index(shape, [&](const Ints& at) {
      double sum = 0, top = -std::numeric_limits<double>::infinity();
      int inside = 0, padded = 0;
      Ints o = from(2, at);
      for_each_index(g.kernel, [&](const Ints& k) {
        padded += g.within_padding(o, k);
        if (std::optional<Ints> p = g.source(o, k)) {
          double value = element(x, joined({at[0], at[1]}, *p));
          sum += value;
          top = std::max(top, value);
          ++inside;
        }
      });
      want.push_back(average ? sum / std::max(include ? padded : inside, 1) : top);
    });
    check_close(*y, shape, want);
  }
}

TEST_CASE("windows that do not fit are refused with both numbers") {
  Tensor x({DType::f32, {1, 4, 5, 5}, {}}), w({DType::f32, {6, 4, 3, 3}, {}});
  CHECK(failure("Conv", {x, w}) == "no error");
  CHECK(failure("Conv", {x, w}, {{"group", int64_t{2}}}) == "the input has 4 channels, the weights [6,4,3,3] with 'group' 2 need 8.");
  CHECK(failure("Conv", {x, w}, {{"kernel_shape", Ints{3, 2}}}) == "'kernel_shape' is [3,2], the weights are [6,4,3,3].");
  CHECK(failure("Conv", {x, w}, {{"strides", Ints{1}}}) == "'strides' has 1 entries, 2 are needed.");
  CHECK(failure("Conv", {x, w}, {{"strides", Ints{0, 1}}}) == "'strides' is [0,1], each entry must be from 1 to 16777216.");
  CHECK(failure("Conv", {x, w}, {{"pads", Ints{0, 0, 0, -1}}}) == "'pads' is [0,0,0,-1], each entry must be from 0 to 16777216.");
  CHECK(failure("Conv", {x, w}, {{"dilations", Ints{3, 1}}}) ==
        "the window reaches over 7 pixels, the padded input has only 5 (vertical).");
  CHECK(failure("Conv", {x, w}, {{"auto_pad", std::string("SAME")}}) ==
        "'auto_pad' is 'SAME', it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID.");
  CHECK(failure("Conv", {x, w, Tensor({DType::f32, {5}, {}})}) == "the bias is f32[5], the weights make 6 channels.");
  CHECK(failure("Conv", {x, Tensor({DType::f64, {6, 4, 3, 3}, {}})}) == "operands are f32 and f64, they must have one type.");
  Tensor volume({DType::f32, {1, 1, 3, 3, 3}, {}});
  CHECK(failure("Conv", {volume, volume}) == "no error");
  CHECK(failure("MaxPool", {x}) == "attribute 'kernel_shape' is missing.");
  CHECK(failure("MaxPool", {x}, {{"kernel_shape", Ints{2}}}) ==
        "'kernel_shape' has 1 entries, the input [1,4,5,5] has 2 spatial dimensions.");
  CHECK(failure("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints{2, 0, 0, 0}}}) ==
        "a pad is 2, the window reaches only over 2 pixels: some windows would see padding alone.");
  CHECK(failure("AveragePool", {Tensor({DType::i32, {1, 1, 4}, {}})}, {{"kernel_shape", Ints{2}}}) ==
        "'average_pool2d' of i32 is not supported, only of f32 and f64.");
}

/// The output of a lowered convolution for input x, by the reference kernel of the family that was chosen.
Tensor run_call(const Program& program, const KernelCall& call, const Tensor& x) {
  Tensor y(program.tensor(call.outputs[0]).type);
  const float* in = x.as<float>().data();
  const float* w = program.tensor(call.inputs[1]).constant->as<float>().data();
  const float* bias = program.tensor(call.inputs[2]).constant->as<float>().data();
  float* out = y.as<float>().data();
  if (const auto* conv = std::get_if<Conv2d>(&call.descriptor)) nn::ref::conv2d<nn::fn::none>(*conv, in, w, bias, out);
  if (const auto* depthwise = std::get_if<Depthwise2d>(&call.descriptor)) nn::ref::depthwise2d<nn::fn::none>(*depthwise, in, w, bias, out);
  if (const auto* dense = std::get_if<Dense>(&call.descriptor)) nn::ref::dense<nn::fn::none>(*dense, in, w, bias, out);
  return y;
}

TEST_CASE("convolutions are lowered to the kernel of their kind, which computes the same") {
  const std::string families[] = {"conv2d", "depthwise2d", "dense", "dense"};
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Random random(seed + 5000);
    Geometry g = random_geometry(random);
    if (g.dims() == 1) continue;
    uint32_t kind = seed % 4;  // windows, one filter per channel, single pixels, the whole image
    if (kind >= 2) {
      if (kind == 2) g.kernel = {1, 1};
      else g.in = g.kernel;
      g.strides = g.dilations = {1, 1};
      g.pads = {0, 0, 0, 0};
    }
    int64_t in_c = random.between(2, 4), out_c = kind == 1 ? in_c : random.between(1, 4);
    if (kind == 0) g.in[0] += 1, g.strides[0] = 2;  // neither single pixels nor the whole image
    CAPTURE(seed, kind, g.in, g.kernel, g.strides, g.dilations, g.pads, in_c, out_c);

    Graph graph;
    GraphBuilder b(graph, {"node"});
    Tensor x = random.tensor({2, g.in[0], g.in[1], in_c});
    ValueId input = graph.add_input("x", x.type);
    std::vector<ValueId> operands = {input, b.add_constant(random.tensor({out_c, g.kernel[0], g.kernel[1], kind == 1 ? 1 : in_c}))};
    if (random.flip()) operands.push_back(b.add_constant(random.tensor({out_c})));
    Attrs attrs{{"strides", g.strides}, {"dilations", g.dilations}, {"pads", g.pads}, {"groups", kind == 1 ? in_c : int64_t{1}}};
    Result<ValueId> y = b.add(ops::conv2d, operands, attrs);
    REQUIRE(y.ok());
    graph.add_output(*y);

    Program program;
    Lowering lowering(graph, program);
    REQUIRE(ops::conv2d.lower(graph.args(graph.value(*y).producer), *graph.producer(*y), lowering).ok());
    REQUIRE(program.steps.size() == 1);
    const KernelCall& call = program.steps[0].call;
    CHECK(call.family == families[kind]);
    CHECK(program.steps[0].macs == graph.type(*y).elements() * g.kernel[0] * g.kernel[1] * (kind == 1 ? 1 : in_c));
    Result<std::vector<Tensor>> want = evaluate(graph, {x});
    REQUIRE(want.ok());
    check_close(run_call(program, call, x), graph.type(*y).shape, want->front().to_doubles());
  }
}

}  // namespace
}  // namespace kiln
