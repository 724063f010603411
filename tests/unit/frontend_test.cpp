// SPDX-License-Identifier: Apache-2.0
// ONNX import: initializers in every form of storage, dimensions, functions, branches, names and
// origins.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ir/verify.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;

namespace {

using Proto = onnx::TensorProto;

// A model whose output is its only initializer.
onnx::ModelProto initializer_model(const std::function<void(Proto&)>& fill) {
  onnx::ModelProto model =
      graph_model("agraph (float[1] x) => (float[2] w) <float[2] w = {1,2}> { y = Relu(x) }");
  Proto& tensor = *model.mutable_graph()->mutable_initializer(0);
  tensor.Clear();
  tensor.set_name("w");
  fill(tensor);
  model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      tensor.data_type());
  return model;
}

Tensor imported_tensor(const std::function<void(Proto&)>& fill) {
  Imported m = import_proto(initializer_model(fill));
  INFO(m.text());
  REQUIRE(m.model);
  return *m.graph().constant(m.graph().outputs()[0]);
}

DiagId initializer_error(const std::function<void(Proto&)>& fill) {
  Imported m = import_proto(initializer_model(fill));
  REQUIRE(m.errors().size() == 1);
  CHECK(m.text().find("initializer 'w'") != std::string::npos);
  return m.errors()[0];
}

void describe(Proto& t, int type, std::vector<int64_t> dims) {
  t.set_data_type(type);
  for (int64_t d : dims) t.add_dims(d);
}

}  // namespace

TEST_CASE("raw data of every element type are read", "[frontend]") {
  struct Case {
    int type;
    DType dtype;
    std::string raw;
  };
  auto [type, dtype, raw] = GENERATE(
      values<Case>({{1, DType::f32, std::string("\0\0\x80\x3f\0\0\0\x40", 8)},
                    {2, DType::u8, "\x01\xff"},
                    {3, DType::i8, "\x01\xff"},
                    {4, DType::u16, std::string("\1\0\2\0", 4)},
                    {5, DType::i16, std::string("\1\0\2\0", 4)},
                    {6, DType::i32, std::string("\1\0\0\0\2\0\0\0", 8)},
                    {7, DType::i64, std::string("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16)},
                    {10, DType::f16, std::string("\0\x3c\0\x40", 4)},
                    {11, DType::f64, std::string("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40", 16)},
                    {12, DType::u32, std::string("\1\0\0\0\2\0\0\0", 8)},
                    {13, DType::u64, std::string("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16)},
                    {16, DType::bf16, std::string("\x80\x3f\0\x40", 4)}}));
  Tensor t = imported_tensor([&](Proto& p) {
    describe(p, type, {2});
    p.set_raw_data(raw);
  });
  CHECK(t.type.dtype == dtype);
  CHECK(t.type.shape == Shape{2});
  CHECK(std::string(reinterpret_cast<const char*>(t.bytes().data()), t.bytes().size()) == raw);
  CHECK(initializer_error([&](Proto& p) {
          describe(p, type, {3});
          p.set_raw_data(raw);
        }) == DiagId::bad_initializer);
}

TEST_CASE("typed fields of every element type are read", "[frontend]") {
  struct Case {
    int type;
    DType dtype;
  };
  auto [type, dtype] = GENERATE(values<Case>({{1, DType::f32},
                                              {2, DType::u8},
                                              {3, DType::i8},
                                              {4, DType::u16},
                                              {5, DType::i16},
                                              {6, DType::i32},
                                              {7, DType::i64},
                                              {9, DType::boolean},
                                              {11, DType::f64},
                                              {12, DType::u32},
                                              {13, DType::u64}}));
  std::vector<double> values =
      dtype == DType::boolean ? std::vector<double>{1, 0, 1} : std::vector<double>{1, 2, 100};
  auto fill = [&](Proto& p) {
    describe(p, type, {3});
    for (double v : values) {
      if (dtype == DType::f32)
        p.add_float_data(static_cast<float>(v));
      else if (dtype == DType::f64)
        p.add_double_data(v);
      else if (dtype == DType::i64)
        p.add_int64_data(static_cast<int64_t>(v));
      else if (dtype == DType::u32 || dtype == DType::u64)
        p.add_uint64_data(static_cast<uint64_t>(v));
      else
        p.add_int32_data(static_cast<int32_t>(v));
    }
  };
  Tensor t = imported_tensor(fill);
  CHECK(t.type.dtype == dtype);
  CHECK(t.to_doubles() == values);
  values.pop_back();
  CHECK(initializer_error(fill) == DiagId::bad_initializer);
}

TEST_CASE("16-bit floats come as their bits in int32_data", "[frontend]") {
  auto [type, one, two] =
      GENERATE(table<int, int, int>({{10, 0x3c00, 0x4000}, {16, 0x3f80, 0x4000}}));
  Tensor t = imported_tensor([&, type = type, one = one, two = two](Proto& p) {
    describe(p, type, {2});
    p.add_int32_data(one);
    p.add_int32_data(two);
  });
  CHECK(t.to_doubles() == std::vector<double>{1, 2});
}

TEST_CASE("4-bit integers become a byte each", "[frontend]") {
  bool raw = GENERATE(false, true);
  auto fill = [&](int type) {
    return [=](Proto& p) {
      describe(p, type, {3});
      if (raw)
        p.set_raw_data("\x91\x0f");
      else {
        p.add_int32_data(0x91);
        p.add_int32_data(0x0f);
      }
    };
  };
  Tensor i4 = imported_tensor(fill(22));
  CHECK(i4.type.dtype == DType::i4);
  CHECK(i4.to_doubles() == std::vector<double>{1, -7, -1});
  Tensor u4 = imported_tensor(fill(21));
  CHECK(u4.type.dtype == DType::u4);
  CHECK(u4.to_doubles() == std::vector<double>{1, 9, 15});
}

TEST_CASE("booleans are stored as 0 and 1 whatever the file has", "[frontend]") {
  Tensor t = imported_tensor([](Proto& p) {
    describe(p, 9, {3});
    p.set_raw_data(std::string("\0\x05\xff", 3));
  });
  CHECK(t.to_doubles() == std::vector<double>{0, 1, 1});
}

TEST_CASE("scalars and empty tensors are initializers too", "[frontend]") {
  CHECK(imported_tensor([](Proto& p) {
          describe(p, 1, {});
          p.add_float_data(4);
        }).to_doubles() == std::vector<double>{4});
}

TEST_CASE("tensors without elements fold away", "[frontend]") {
  Imported m = import_graph("agraph (float[2,3] x) => (float[2,3] y) <float[2,0] w = {}> { y = Concat <axis = 1> (w, x, w) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(m.graph().outputs() == m.graph().inputs);
  // Not only initializers: the second part of the split is empty, and so is its negative.
  m = import_graph("agraph (float[2,3] x) => (float[2,3] y) <int64[2] split = {3, 0}> { a, b = Split <axis = 1> (x, split)  c = Neg (b)  y = Concat <axis = 1> (a, c) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(ops_of(m.graph()).find("neg") == std::string::npos);

  m = import_graph("agraph (float[2,3] x) => (float[2,0] b) <int64[2] split = {3, 0}> { a, b = Split <axis = 1> (x, split) }");
  CHECK(m.errors() == std::vector{DiagId::unsupported_tensor});
  CHECK(m.text().find("output 'b' is f32[2,0], which holds no elements.") != std::string::npos);
}

TEST_CASE("initializers that are wrong are refused", "[frontend]") {
  CHECK(initializer_error([](Proto& p) { describe(p, 1, {2}); }) ==
        DiagId::bad_initializer);  // no data
  CHECK(initializer_error([](Proto& p) {
          describe(p, 1, {1});
          p.set_raw_data("abcd");
          p.add_float_data(1);
        }) == DiagId::bad_initializer);
  CHECK(initializer_error([](Proto& p) {
          describe(p, 3, {1});
          p.add_int32_data(128);
        }) == DiagId::bad_initializer);
  CHECK(initializer_error([](Proto& p) { describe(p, 1, {-1}); }) == DiagId::bad_dimensions);
  CHECK(initializer_error([](Proto& p) {
          describe(p, 1, {1 << 20, 1 << 20});
        }) == DiagId::limit_exceeded);
  CHECK(initializer_error([](Proto& p) { describe(p, 7, {1 << 30}); }) == DiagId::limit_exceeded);
  CHECK(initializer_error([](Proto& p) {
          describe(p, 1, {1, 1, 1, 1, 1, 1, 1, 1, 1});
        }) == DiagId::limit_exceeded);
  int type = GENERATE(0, 8, 14, 15, 17, 23, 99);
  CHECK(initializer_error([&](Proto& p) { describe(p, type, {1}); }) == DiagId::unsupported_tensor);
}

TEST_CASE("a sparse initializer is refused where it is used", "[frontend]") {
  onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] y) { y = Add(x, w) }");
  model.mutable_graph()->add_sparse_initializer()->mutable_values()->set_name("w");
  Imported m = import_proto(model);
  CHECK(m.errors() == std::vector{DiagId::unsupported_tensor});
}

TEST_CASE("an input that is an initializer too is a constant", "[frontend]") {
  Imported m =
      import_graph("agraph (float[2] x, float[2] w = {1,2}) => (float[2] y) { y = Add(x, w) }");
  REQUIRE(m.model);
  CHECK(m.graph().inputs.size() == 1);
  CHECK(ops_of(m.graph()) == "add");
}

TEST_CASE("inputs and node outputs carry their ONNX names and shapes", "[frontend]") {
  Imported m =
      import_graph("agraph (float[1,2,3] x) => (float[1,2,3] y) { a_1 = Relu(x) y = Neg(a_1) }");
  REQUIRE(m.model);
  const Graph& g = m.graph();
  CHECK(g.name == "agraph");
  CHECK(verify(g).ok());
  CHECK(g.value(g.inputs[0]).onnx->name == "x");
  const Node& first = g.node(g.order()[0]);
  CHECK(g.value(first.outputs[0]).name == "a_1");
  CHECK(g.value(first.outputs[0]).onnx->name == "a_1");
  CHECK(g.value(first.outputs[0]).onnx->shape == Shape{1, 2, 3});
  CHECK(first.origin == std::vector<std::string>{"Relu_0"});
  CHECK(g.output_name(0) == "y");
  CHECK(m.model->info.opset == 13);
  CHECK(m.model->info.file_name == "model.onnx");
  CHECK(m.model->info.sha256.size() == 64);
}

TEST_CASE("nodes may stand in any order", "[frontend]") {
  Imported m =
      import_graph("agraph (float[2] x) => (float[2] y) { y = Neg(b) b = Sign(a) a = Relu(x) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(ops_of(m.graph()) == "relu sign neg");
}

TEST_CASE("nodes that nothing reads are neither imported nor refused", "[frontend]") {
  Imported m = import_graph(
      "agraph (float[2] x) => (float[2] y) { u = NoSuchOperator(x) v = Relu(u) y = Neg(x) }");
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(ops_of(m.graph()) == "neg");
}

TEST_CASE("outputs may be inputs, constants, or one value twice", "[frontend]") {
  Imported m = import_graph(
      "agraph (float[2] x) => (float[2] x, float[2] w, float[2] a, float[2] b) <float[2] w = {1,2}>"
      "{ a = Relu(x) b = Identity(a) }");
  INFO(m.text());
  REQUIRE(m.model);
  const Graph& g = m.graph();
  REQUIRE(g.outputs().size() == 4);
  CHECK(g.outputs()[0] == g.inputs[0]);
  CHECK(g.constant(g.outputs()[1])->to_doubles() == std::vector<double>{1, 2});
  CHECK(g.outputs()[2] == g.outputs()[3]);
  CHECK(g.output_name(3) == "b");
}

TEST_CASE("an output that is listed twice is one", "[frontend]") {
  onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] a, float[2] b) { a = Relu(x) b = Neg(x) }");
  *model.mutable_graph()->add_output() = model.graph().output(0);
  Imported m = import_proto(model);
  INFO(m.text());
  REQUIRE(m.model);
  REQUIRE(m.graph().outputs().size() == 2);
  CHECK(m.graph().output_name(0) == "a");
  CHECK(m.graph().output_name(1) == "b");
}

TEST_CASE("Constant has all its forms", "[frontend]") {
  auto [attribute, dtype, shape, values] =
      GENERATE(table<std::string, DType, Shape, std::vector<double>>({
          {"value = int32[2] {3, 4}", DType::i32, {2}, {3, 4}},
          {"value_float = 0.5", DType::f32, {}, {0.5}},
          {"value_floats = [0.5, 2.0]", DType::f32, {2}, {0.5, 2}},
          {"value_int = 7", DType::i64, {}, {7}},
          {"value_ints = [7, 8, 9]", DType::i64, {3}, {7, 8, 9}},
      }));
  onnx::ModelProto model =
      graph_model("agraph (float[1] x) => (float[1] y) { y = Constant<" + attribute + ">() }");
  model.mutable_graph()
      ->mutable_output(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->clear_elem_type();
  Imported m = import_proto(model);
  INFO(m.text());
  REQUIRE(m.model);
  const Tensor& t = *m.graph().constant(m.graph().outputs()[0]);
  CHECK(t.type.dtype == dtype);
  CHECK(t.type.shape == shape);
  CHECK(t.to_doubles() == values);
  CHECK(import_graph("agraph (float[1] x) => (float[1] y) { y = Constant<value_string = \"a\">() }")
            .errors() == std::vector{DiagId::unsupported_node});
}

TEST_CASE("dimensions are bound by options", "[frontend]") {
  const std::string text =
      "agraph (float[N,seq,4] x, float[N,seq,4] z) => (float[N,seq,4] y) { y = Add(x, z) }";
  auto shape = [](const Imported& m) {
    INFO(m.text());
    REQUIRE(m.model);
    return m.graph().type(m.graph().outputs()[0]).shape;
  };
  SECTION("named") {
    Imported m = import_graph(text, {.dims = {{"seq", 5}}, .input_shapes = {}});
    CHECK(shape(m) == Shape{1, 5, 4});
    REQUIRE(m.diagnostics.all().size() == 1);
    CHECK(m.diagnostics.all()[0].id == DiagId::batch_assumed);
  }
  SECTION("named, with a batch") {
    Imported m = import_graph(text, {.dims = {{"seq", 5}, {"N", 2}}, .input_shapes = {}});
    CHECK(shape(m) == Shape{2, 5, 4});
    CHECK(m.diagnostics.all().empty());
  }
  SECTION("by the shape of one input, for all") {
    CHECK(shape(import_graph(text, {.dims = {}, .input_shapes = {{"x", {3, 6, 4}}}})) ==
          Shape{3, 6, 4});
  }
  SECTION("unbound: each is named with the flag to add") {
    Imported m = import_graph(text);
    CHECK(m.errors() == std::vector{DiagId::unbound_dimension, DiagId::unbound_dimension});
    CHECK(m.diagnostics.exit_code() == ExitCode::unsupported);
    CHECK(m.text().find("dimension 1 ('seq') of input 'x'") != std::string::npos);
    CHECK(m.text().find("`--dim seq=16` or `--input-shape x=1,16,4`") != std::string::npos);
  }
  SECTION("contradictions") {
    CHECK(import_graph(text, {.dims = {{"seq", 5}}, .input_shapes = {{"x", {1, 6, 4}}}})
              .errors()[0] == DiagId::bad_shape_option);
    CHECK(import_graph(text, {.dims = {}, .input_shapes = {{"x", {1, 6, 5}}}}).errors()[0] ==
          DiagId::bad_shape_option);
    CHECK(import_graph(text, {.dims = {}, .input_shapes = {{"x", {6, 4}}}}).errors()[0] ==
          DiagId::bad_shape_option);
    CHECK(import_graph(text, {.dims = {{"seq", 0}}, .input_shapes = {}}).errors()[0] ==
          DiagId::bad_shape_option);
    CHECK(import_graph(text, {.dims = {}, .input_shapes = {{"x", {1, 0, 4}}}}).errors()[0] ==
          DiagId::bad_shape_option);
    CHECK(import_graph(text, {.dims = {{"seq", 5}, {"sqe", 5}}, .input_shapes = {}}).errors() ==
          std::vector{DiagId::bad_shape_option});
    CHECK(import_graph(text, {.dims = {{"seq", 5}}, .input_shapes = {{"q", {1}}}}).errors() ==
          std::vector{DiagId::unknown_input_name});
  }
}

TEST_CASE("leading dimensions default to 1", "[frontend]") {
  auto first_shape = [](const std::string& inputs) {
    Imported m = import_graph("agraph (" + inputs + ") => (float[2] y) { y = Relu(x) }");
    return m.model ? m.graph().type(m.graph().inputs[0]).shape : Shape{};
  };
  CHECK(first_shape("float[?,3] x") == Shape{1, 3});
  CHECK(first_shape("float[N] x") == Shape{1});
  // A name that is not only a leading one is not taken for the batch, unless it says so.
  CHECK(first_shape("float[T,3] x, float[3,T] z").empty());
  CHECK(first_shape("float[batch,3] x, float[3,batch] z") == Shape{1, 3});
}

TEST_CASE("inputs without usable dimensions are refused", "[frontend]") {
  CHECK(import_graph("agraph (float[0,2] x) => (float[1] y) { y = Relu(x) }").errors() ==
        std::vector{DiagId::unsupported_tensor});
  CHECK(import_graph("agraph (float[2,0] x) => (float[1] y) { y = Relu(x) }").errors() ==
        std::vector{DiagId::unsupported_tensor});
  CHECK(
      import_graph("agraph (float[1000000,1000000] x) => (float[1] y) { y = Relu(x) }").errors() ==
      std::vector{DiagId::limit_exceeded});
  CHECK(import_graph("agraph (float[2,?] x) => (float[1] y) { y = Relu(x) }").errors() ==
        std::vector{DiagId::unbound_dimension});
  CHECK(import_graph("agraph (float[2,0] x) => (float[2,3] y) { y = Relu(x) }",
                     {.dims = {}, .input_shapes = {{"x", {2, 3}}}})
            .model);
  onnx::ModelProto model = graph_model("agraph (float[2] x) => (float[2] y) { y = Relu(x) }");
  auto* type = model.mutable_graph()->mutable_input(0)->mutable_type();
  type->mutable_tensor_type()->clear_shape();
  CHECK(import_proto(model).errors() == std::vector{DiagId::unbound_dimension});
  CHECK(import_proto(model, {.dims = {}, .input_shapes = {{"x", {2}}}}).model);
  type->mutable_tensor_type()->set_elem_type(8);
  CHECK(import_proto(model).errors() == std::vector{DiagId::unsupported_type});
  type->mutable_sequence_type()->mutable_elem_type();
  CHECK(import_proto(model).errors() == std::vector{DiagId::unsupported_type});
}
