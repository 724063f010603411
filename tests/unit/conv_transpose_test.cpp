// SPDX-License-Identifier: Apache-2.0
// Transposed and three-dimensional convolutions against their definitions.
#include <numeric>

#include "compiler/ops/op_util.h"
#include "tests/unit/layers.h"

namespace kiln {
namespace {

using namespace layers;

/// A transposed convolution: what the attributes say, and what follows from them.
struct Spread {
  Ints in, kernel, strides, dilations, extra, pads, out;
  std::string auto_pad = "NOTSET";
  bool shape_given = false;

  [[nodiscard]] size_t dims() const { return in.size(); }
  [[nodiscard]] int64_t whole(size_t i) const { return (in[i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + extra[i]; }
};

/// Fills in pads and sizes of the output by the rules of the ONNX text.
void resolve(Spread& s, Random& random) {
  for (size_t i = 0; i < s.dims(); ++i) {
    const bool same = s.auto_pad != "NOTSET" && s.auto_pad != "VALID";
    int64_t out = s.whole(i) - s.pads[i] - s.pads[i + s.dims()];
    if (s.shape_given) out = random.between(std::max<int64_t>(1, s.whole(i) - 3), s.whole(i) + 1);
    else if (same) out = s.in[i] * s.strides[i];
    s.out.push_back(out);
    if (!s.shape_given && !same) continue;
    const int64_t dropped = std::max<int64_t>(s.whole(i) - out, 0);
    s.pads[i] = s.auto_pad == "SAME_UPPER" ? dropped / 2 : dropped - dropped / 2;
  }
}

Spread random_spread(Random& random, size_t dims) {
  static const char* const kModes[] = {"NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
  Spread s;
  s.auto_pad = kModes[random.between(0, 5)];
  s.shape_given = random.between(0, 4) == 0;
  s.pads.assign(2 * dims, 0);
  for (size_t i = 0; i < dims; ++i) {
    s.in.push_back(random.between(1, dims == 3 ? 3 : 6));
    s.kernel.push_back(random.between(1, dims == 3 ? 3 : 5));
    s.strides.push_back(random.between(1, 3));
    s.dilations.push_back(random.between(0, 2) == 0 ? random.between(1, 3) : 1);
    s.extra.push_back(random.between(0, s.strides[i] - 1));
    if (s.auto_pad != "NOTSET") continue;
    s.pads[i] = random.between(0, std::min<int64_t>(4, s.whole(i) - 1));
    s.pads[i + dims] = random.between(0, std::min<int64_t>(2, s.whole(i) - 1 - s.pads[i]));
  }
  return s;
}

Attrs attributes(const Spread& s, int64_t groups) {
  Attrs a{{"kernel_shape", s.kernel}, {"strides", s.strides}, {"dilations", s.dilations}, {"output_padding", s.extra}, {"group", groups}};
  if (s.auto_pad != "NOTSET") a.set("auto_pad", s.auto_pad);
  else if (!s.shape_given) a.set("pads", s.pads);
  if (s.shape_given) a.set("output_shape", s.out);
  return a;
}

/// Every input times every tap, added where it belongs.
Doubles spread(const Spread& s, const Tensor& x, const Tensor& w, const std::optional<Tensor>& bias, int64_t groups, const Shape& shape) {
  const int64_t group_in = x.type.shape[1] / groups, group_out = w.type.shape[1];
  Doubles y(static_cast<size_t>(element_count(shape)));
  if (bias) {
    size_t n = 0;
    for_each_index(shape, [&](const Ints& at) { y[n++] = element(*bias, {at[1]}); });
  }
  const std::vector<int64_t> steps = row_major_strides(shape);
  for_each_index(x.type.shape, [&](const Ints& at) {
    for_each_index(from(1, w.type.shape), [&](const Ints& tap) {
      int64_t to = at[0] * steps[0] + (at[1] / group_in * group_out + tap[0]) * steps[1];
      for (size_t i = 0; i < s.dims(); ++i) {
        const int64_t o = at[i + 2] * s.strides[i] + tap[i + 1] * s.dilations[i] - s.pads[i];
        if (o < 0 || o >= s.out[i]) return;
        to += o * steps[i + 2];
      }
      y[static_cast<size_t>(to)] += element(x, at) * element(w, joined({at[1]}, tap));
    });
  });
  return y;
}

TEST_CASE("transposed convolution agrees with its definition") {
  int compared = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed + 9000);
    const size_t dims = seed % 8 == 0 ? 3 : seed % 8 < 3 ? 1 : 2;
    Spread s = random_spread(random, dims);
    resolve(s, random);
    const int64_t groups = dims == 3 || random.flip() ? 1 : random.between(2, 3), n = random.between(1, 2);
    const int64_t in_c = groups * random.between(1, 3), group_out = random.between(1, 3);
    CAPTURE(seed, s.in, s.kernel, s.strides, s.dilations, s.extra, s.pads, s.out, s.auto_pad, s.shape_given, groups, in_c, group_out);
    Tensor x = random.tensor(joined({n, in_c}, s.in)), w = random.tensor(joined({in_c, group_out}, s.kernel));
    std::optional<Tensor> bias;
    if (random.flip()) bias = random.tensor({groups * group_out});
    Result<Tensor> y = run("ConvTranspose", {x, w, bias}, attributes(s, groups));
    if (!y) {  // all that is left lies beyond the input's reach
      CHECK(y.diagnostic().message == "no element of the input reaches the part of the output that the pads leave.");
      continue;
    }
    const Shape shape = joined({n, groups * group_out}, s.out);
    check_close(*y, shape, spread(s, x, w, bias, groups, shape));
    ++compared;
  }
  CHECK(compared > 280);
}

TEST_CASE("transposed convolutions of stride 1, and of strides like the kernel, cost no more than their taps") {
  for (int64_t stride : {int64_t{1}, int64_t{2}}) {
    Graph graph;
    GraphBuilder b(graph, {"node"});
    ValueId x = graph.add_input("x", {DType::f32, {1, 4, 5, 5}, {}});
    const int64_t k = stride == 1 ? 3 : 2;
    OnnxNode node{"", "ConvTranspose", "node", 17, {{"strides", Ints{stride, stride}}}, {x, b.add_constant(Tensor({DType::f32, {4, 6, k, k}, {}}))}, 1, {true}};
    Result<std::vector<ValueId>> y = ops::conv_transpose.import(node, b);
    REQUIRE(y.ok());
    int64_t macs = 0;
    for (NodeId id : graph.order())
      if (const Node& n = graph.node(id); n.op->macs) macs += n.op->macs(graph.args(id));
    const int64_t positions = stride == 1 ? 7 * 7 : 5 * 5;
    CHECK(macs == positions * k * k * 4 * 6);
  }
}

TEST_CASE("transposed convolutions that do not fit are refused") {
  Tensor x({DType::f32, {1, 4, 5, 5}, {}}), w({DType::f32, {4, 3, 3, 3}, {}});
  CHECK(failure("ConvTranspose", {x, w}) == "no error");
  CHECK(failure("ConvTranspose", {x, w}, {{"group", int64_t{3}}}) == "the input has 4 channels, the weights are [4,3,3,3] with 'group' 3.");
  CHECK(failure("ConvTranspose", {x, Tensor({DType::f32, {4, 3, 3}, {}})}).find("the same number of dimensions") != std::string::npos);
  CHECK(failure("ConvTranspose", {x, w, Tensor({DType::f32, {4}, {}})}) == "the bias is f32[4], the weights make 3 channels.");
  CHECK(failure("ConvTranspose", {x, w}, {{"kernel_shape", Ints{3, 2}}}) == "'kernel_shape' is [3,2], the weights are [4,3,3,3].");
  CHECK(failure("ConvTranspose", {x, w}, {{"pads", Ints{4, 0, 3, 0}}}) == "pads 4 and 3 leave nothing of 7 outputs.");
  CHECK(failure("ConvTranspose", {x, w}, {{"strides", Ints{0, 1}}}) == "'strides' is [0,1], each entry must be from 1 to 16777216.");
  CHECK(failure("ConvTranspose", {x, w}, {{"auto_pad", std::string("SAME")}}).find("'auto_pad' is 'SAME'") == 0);
  CHECK(failure("ConvTranspose", {x, w}, {{"output_shape", Ints{0, 7}}}) == "'output_shape' is [0,7], each entry must be from 1 to 16777216.");
  Tensor volume({DType::f32, {1, 4, 2, 2, 2}, {}}), filters({DType::f32, {4, 1, 2, 2, 2}, {}});
  CHECK(failure("ConvTranspose", {volume, filters}, {{"group", int64_t{4}}, {"strides", Ints{2, 2, 2}}}) ==
        "a transposed convolution of 4 groups in 3 dimensions with strides is not supported.");
}

TEST_CASE("convolution in three dimensions agrees with its definition") {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Random random(seed + 700);
    Ints in, kernel, strides, dilations, pads(6), out;
    for (size_t i = 0; i < 3; ++i) {
      kernel.push_back(random.between(1, 3));
      strides.push_back(random.between(1, 2));
      dilations.push_back(random.between(1, 2));
      pads[i] = random.between(0, kernel[i] - 1);
      pads[i + 3] = random.between(0, kernel[i] - 1);
      in.push_back((kernel[i] - 1) * dilations[i] + random.between(1, 3));
      out.push_back((in[i] + pads[i] + pads[i + 3] - (kernel[i] - 1) * dilations[i] - 1) / strides[i] + 1);
    }
    const int64_t groups = random.between(1, 2), group_in = random.between(1, 2), group_out = random.between(1, 2);
    CAPTURE(seed, in, kernel, strides, dilations, pads, groups, group_in, group_out);
    Tensor x = random.tensor(joined({2, groups * group_in}, in)), w = random.tensor(joined({groups * group_out, group_in}, kernel));
    Tensor bias = random.tensor({groups * group_out});
    Result<Tensor> y = run("Conv", {x, w, bias}, {{"strides", strides}, {"dilations", dilations}, {"pads", pads}, {"group", groups}});
    REQUIRE(y.ok());
    Doubles want;
    const Shape shape = joined({2, groups * group_out}, out);
    for_each_index(shape, [&](const Ints& at) {
      double sum = element(bias, {at[1]});
      for_each_index(joined({group_in}, kernel), [&](const Ints& tap) {
        Ints p = {at[0], at[1] / group_out * group_in + tap[0]};
        for (size_t i = 0; i < 3; ++i) {
          p.push_back(at[i + 2] * strides[i] - pads[i] + tap[i + 1] * dilations[i]);
          if (p.back() < 0 || p.back() >= in[i]) return;
        }
        sum += element(x, p) * element(w, joined({at[1]}, tap));
      });
      want.push_back(sum);
    });
    check_close(*y, shape, want);
  }
  Tensor flat({DType::f32, {1, 1, 2, 3, 3}, {}}), deep({DType::f32, {1, 1, 3, 3, 3}, {}});
  CHECK(failure("Conv", {flat, deep}) == "the window reaches over 3 slices, the padded input has only 2.");
}

}  // namespace
}  // namespace kiln
