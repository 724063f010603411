// SPDX-License-Identifier: Apache-2.0
#include "compiler/reference/onnxruntime.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>

#include "compiler/support/files.h"
#include "tests/skip.h"

using namespace kiln;

namespace {

/// ONNX Runtime, or nothing with a notice when it is not installed.
std::optional<OnnxRuntime> runtime() {
  Result<OnnxRuntime> loaded = OnnxRuntime::load();
  if (!loaded) {
    REQUIRE(loaded.diagnostic().id == DiagId::onnxruntime_missing);
    KILN_SKIP(loaded.diagnostic().message);
    return std::nullopt;
  }
  return *std::move(loaded);
}

OrtSession open_tiny(OnnxRuntime& ort) {
  Result<std::string> model = read_file(KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx");
  REQUIRE(model.ok());
  Result<OrtSession> session = ort.open(*model, OrtOptimization::none);
  REQUIRE(session.ok());
  return *std::move(session);
}

// A protobuf field, length-delimited or a (small) number.
std::string field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}
std::string field(int number, int value) { return {static_cast<char>(number << 3), static_cast<char>(value)}; }

/// A ModelProto of y = Transpose(x) on [3], which changes nothing, of an ONNX element type.
std::string transpose_model(int element_type) {
  std::string type = field(1, field(1, element_type) + field(2, field(1, field(1, 3))));
  std::string node = field(1, "x") + field(2, "y") + field(4, "Transpose");
  std::string graph =
      field(1, node) + field(2, "g") + field(11, field(1, "x") + field(2, type)) + field(12, field(1, "y") + field(2, type));
  return field(1, 10) + field(8, field(2, 21)) + field(7, graph);
}

/// Sets an environment variable for as long as it lives.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = getenv(name)) old_ = old;
    setenv(name, value, 1);
  }
  ~Environment() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

}  // namespace

TEST_CASE("a session tells the names, types and open dimensions of its tensors") {
  std::optional<OnnxRuntime> ort = runtime();
  if (!ort) return;
  OrtSession session = open_tiny(*ort);
  REQUIRE(session.inputs().size() == 1);
  CHECK(session.inputs()[0].name == "x");
  CHECK(session.inputs()[0].dtype == DType::f32);
  CHECK(session.inputs()[0].dims == std::vector<int64_t>{-1, 4});
  REQUIRE(session.outputs().size() == 1);
  CHECK(session.outputs()[0].name == "y");
  CHECK(ort->version().find('.') != std::string::npos);
}

TEST_CASE("a session computes the model") {
  std::optional<OnnxRuntime> ort = runtime();
  if (!ort) return;
  OrtSession session = open_tiny(*ort);
  float infinity = std::numeric_limits<float>::infinity();
  Result<std::vector<Tensor>> result = session.run({Tensor::floats({2, 4}, {-1, 0, 0.5f, 3, -infinity, infinity, -0.25f, 7})});
  REQUIRE(result.ok());
  REQUIRE(result->size() == 1);
  CHECK(result->front() == Tensor::floats({2, 4}, {0, 0, 0.5f, 3, 0, infinity, 0, 7}));
  Result<std::vector<Tensor>> empty = session.run({Tensor::floats({0, 4}, {})});
  REQUIRE(empty.ok());
  CHECK(empty->front() == Tensor::floats({0, 4}, {}));
  Result<int64_t> time = session.time_run({Tensor::floats({1, 4}, {1, 2, 3, 4})}, 5);
  REQUIRE(time.ok());
  CHECK(*time > 0);
}

TEST_CASE("tensors of every element type go in and come out unchanged") {
  std::optional<OnnxRuntime> ort = runtime();
  if (!ort) return;
  const std::pair<int, DType> types[] = {{1, DType::f32},  {2, DType::u8},   {3, DType::i8},      {4, DType::u16},  {5, DType::i16},
                                         {6, DType::i32},  {7, DType::i64},  {9, DType::boolean}, {10, DType::f16}, {11, DType::f64},
                                         {12, DType::u32}, {13, DType::u64}, {16, DType::bf16},   {21, DType::u4},  {22, DType::i4}};
  for (auto [number, dtype] : types) {
    INFO(dtype_name(dtype));
    Result<OrtSession> session = ort->open(transpose_model(number), OrtOptimization::none);
    if (!session) FAIL(session.diagnostic().message);
    CHECK(session->inputs()[0].dtype == dtype);
    Tensor tensor(TensorType{dtype, {3}, {}});
    with_storage_type(dtype, [&]<class T>() {
      tensor.as<T>()[0] = T{1};
      tensor.as<T>()[2] = dtype == DType::i4 ? static_cast<T>(-7) : T{1};
    });
    Result<std::vector<Tensor>> result = session->run({tensor});
    if (!result) FAIL(result.diagnostic().message);
    CHECK(result->front() == tensor);
  }
}

TEST_CASE("ONNX Runtime's own words reach the user") {
  std::optional<OnnxRuntime> ort = runtime();
  if (!ort) return;
  Result<OrtSession> garbage = ort->open("this is no model", OrtOptimization::all);
  REQUIRE(!garbage.ok());
  CHECK(garbage.diagnostic().id == DiagId::onnxruntime_failed);
  CHECK(garbage.diagnostic().message.find("ONNX Runtime cannot load the model: ") == 0);
  OrtSession session = open_tiny(*ort);
  Result<std::vector<Tensor>> wrong = session.run({Tensor::floats({1, 5}, {1, 2, 3, 4, 5})});
  REQUIRE(!wrong.ok());
  CHECK(wrong.diagnostic().id == DiagId::onnxruntime_failed);
  CHECK(wrong.diagnostic().message.find("ONNX Runtime cannot run the model: ") == 0);
  CHECK(wrong.diagnostic().message.find("Got: 5 Expected: 4") != std::string::npos);
}

TEST_CASE("a missing library says what to do") {
  Environment elsewhere("KILN_ONNXRUNTIME", "/nowhere/libonnxruntime.so.1");
  Result<OnnxRuntime> ort = OnnxRuntime::load();
  REQUIRE(!ort.ok());
  CHECK(ort.diagnostic().id == DiagId::onnxruntime_missing);
  CHECK(ort.diagnostic().message == "ONNX Runtime is not at '/nowhere/libonnxruntime.so.1', where KILN_ONNXRUNTIME says.");
  CHECK(ort.diagnostic().hint.find("scripts/setup") != std::string::npos);
}

TEST_CASE("a file that is no library is refused") {
  Environment wrong("KILN_ONNXRUNTIME", KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx");
  Result<OnnxRuntime> ort = OnnxRuntime::load();
  REQUIRE(!ort.ok());
  CHECK(ort.diagnostic().id == DiagId::onnxruntime_failed);
}
