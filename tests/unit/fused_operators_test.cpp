// SPDX-License-Identifier: Apache-2.0
// Fused operators as ONNX Runtime writes them into optimised models, against the operators that they stand for.
#include "tests/unit/layers.h"
#include "tests/unit/op_bench.h"

namespace kiln {
namespace {

using layers::Ints;
using layers::Random;

/// The first output of `op` on constants.
Tensor computed(Bench& t, const OpDef& op, const std::vector<Tensor>& inputs, Attrs attrs = {}) {
  std::vector<ValueId> values;
  for (const Tensor& x : inputs) values.push_back(t.constant(x));
  return op.import ? t.import(op, 17, values, std::move(attrs)) : *t.b.constant(*t.b.add(op, values, std::move(attrs)));
}

}  // namespace

TEST_CASE("FusedConv is a convolution, a sum and an activation") {
  Random random(1);
  Bench t;
  const Tensor x = random.tensor({1, 2, 4, 4}), w = random.tensor({3, 2, 3, 3}), bias = random.tensor({3}), sum = random.tensor({1, 3, 2, 2});
  const Tensor y = computed(t, ops::add, {computed(t, ops::conv2d, {x, w, bias}), sum});
  CHECK(computed(t, ops::microsoft_fused_conv, {x, w, bias, sum}) == y);
  CHECK(computed(t, ops::microsoft_fused_conv, {x, w, bias, sum}, {{"activation", std::string("Relu")}}) == computed(t, ops::relu, {y}));
  CHECK(computed(t, ops::microsoft_fused_conv, {x, w, bias, sum}, {{"activation", std::string("LeakyRelu")}, {"activation_params", std::vector<double>{0.5}}}) ==
        computed(t, ops::leaky_relu, {y}, {{"alpha", 0.5}}));
  CHECK(t.message(ops::microsoft_fused_conv, 1, {t.constant(x), t.constant(w)}, {{"activation", std::string("Erf")}}) == "activation 'Erf' of FusedConv is not supported.");
}

TEST_CASE("FusedGemm is a product of matrices, a sum and an activation") {
  Random random(4);
  Bench t;
  const Tensor a = random.tensor({3, 4}), w = random.tensor({5, 4}), c = random.tensor({5});
  const Attrs gemm{{"alpha", 0.5}, {"transB", int64_t{1}}};
  const Tensor y = computed(t, ops::gemm, {a, w, c}, gemm);
  Attrs attrs = gemm;
  CHECK(computed(t, ops::microsoft_fused_gemm, {a, w, c}, attrs) == y);
  attrs.set("activation", std::string("LeakyRelu"));
  attrs.set("activation_alpha", 0.25);
  CHECK(computed(t, ops::microsoft_fused_gemm, {a, w, c}, attrs) == computed(t, ops::leaky_relu, {y}, {{"alpha", 0.25}}));
}

TEST_CASE("FusedMatMul transposes and scales") {
  Random random(2);
  Bench t;
  const Tensor a = random.tensor({2, 3, 4}), b = random.tensor({2, 5, 3});
  const Tensor y = computed(t, ops::microsoft_fused_matmul, {a, b}, {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 0.5}});
  layers::Doubles want;
  layers::for_each_index({2, 4, 5}, [&](const Ints& at) {
    double sum = 0;
    for (int64_t k = 0; k < 3; ++k) sum += 0.5 * layers::element(a, {at[0], k, at[1]}) * layers::element(b, {at[0], at[2], k});
    want.push_back(sum);
  });
  layers::check_close(y, {2, 4, 5}, want);
  CHECK(t.message(ops::microsoft_fused_matmul, 1, {t.constant(a), t.constant(b)}, {{"transBatchA", int64_t{1}}}).find("transposed batch dimensions") != std::string::npos);
}

TEST_CASE("skip normalizations normalize a sum, which they also give") {
  Random random(3);
  Bench t;
  const Tensor x = random.tensor({1, 3, 8}), skip = random.tensor({1, 3, 8}), gamma = random.tensor({8}), beta = random.tensor({8}), bias = random.tensor({8});
  const Tensor sum = computed(t, ops::add, {computed(t, ops::add, {x, skip}), bias});
  ImportResult out = t.run(ops::microsoft_skip_layer_norm, 1, {t.constant(x), t.constant(skip), t.constant(gamma), t.constant(beta), t.constant(bias)}, {{"epsilon", 1e-5}}, 1);
  REQUIRE(out.ok());
  Tensor y = *t.b.constant(out->front());
  CHECK(y == computed(t, ops::layer_norm, {sum, gamma, beta}, {{"epsilon", 1e-5}}));
  OnnxNode node{"com.microsoft", "SkipSimplifiedLayerNormalization", "n", 1, {{"epsilon", 1e-5}},
                {t.constant(x), t.constant(skip), t.constant(gamma), t.constant(bias)}, 4, {true, false, false, true}};
  out = ops::microsoft_skip_rms_norm.import(node, t.b);
  REQUIRE(out.ok());
  y = *t.b.constant(out->front());
  CHECK(y == computed(t, ops::rms_norm, {sum, gamma}, {{"epsilon", 1e-5}}));
  CHECK(*t.b.constant((*out)[3]) == sum);
}

}  // namespace kiln
