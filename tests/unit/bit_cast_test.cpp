// SPDX-License-Identifier: Apache-2.0
// BitCast, and NaN in what compares elements.
#include <limits>

#include "tests/onnx_models.h"
#include "tests/unit/layers.h"

using namespace kiln;
using namespace kiln::test;

TEST_CASE("the bits of elements are read as another type of the same size") {
  Tensor x({DType::f32, {3}, {}});
  x.as<float>()[0] = 1.0f, x.as<float>()[1] = -2.0f, x.as<float>()[2] = 0.0f;
  Result<Tensor> y = layers::run("BitCast", {x}, {{"to", int64_t{12}}}, 26);
  REQUIRE(y.ok());
  CHECK(y->type.dtype == DType::u32);
  CHECK(*y->to_int64s() == std::vector<int64_t>{0x3f800000, 0xc0000000, 0});
  CHECK(layers::failure("BitCast", {x}, {{"to", int64_t{10}}}, 26) == "f32 and f16 differ in size.");
  CHECK(layers::failure("BitCast", {x}, {{"to", int64_t{9}}}, 26) == "the bits of bool are not defined.");
}

TEST_CASE("NaN among the elements is the greatest and the least of them") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t at : {size_t{0}, size_t{1}, size_t{3}}) {
    Tensor x({DType::f32, {1, 4}, {}});
    for (size_t i = 0; i < 4; ++i) x.as<float>()[i] = i == at ? nan : static_cast<float>(i) - 1.5f;
    for (const char* type : {"ReduceMax", "ReduceMin"}) {
      Result<Tensor> y = layers::run(type, {x}, {{"axes", std::vector<int64_t>{1}}}, 13);
      REQUIRE(y.ok());
      CHECK(std::isnan(y->as<float>()[0]));
    }
    Result<Tensor> sign = layers::run("Sign", {x}, {}, 13);
    REQUIRE(sign.ok());
    CHECK(std::isnan(sign->as<float>()[at]));
  }
}
