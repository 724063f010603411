// SPDX-License-Identifier: Apache-2.0
// Tensors in .npy, .npz and .pb files.
#include "compiler/frontend/tensor_file.h"

#include <fmt/format.h>
#include <zip.h>

#include "compiler/support/npy.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

std::string npy(const std::string& header, const std::string& data, char version = 1) {
  std::string text = std::string("\x93NUMPY", 6) + version + '\0';
  text += static_cast<char>(header.size() & 255);
  text += static_cast<char>(header.size() >> 8);
  if (version > 1) text += std::string(2, '\0');
  return text + header + data;
}

std::string header(const std::string& descr, const std::string& shape,
                   const char* order = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", descr, order,
                     shape);
}

Result<Tensor> load(const std::string& name, const std::string& bytes) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  REQUIRE(write_file(folder->path() / name, bytes).ok());
  return load_tensor(folder->path() / name);
}

void write_zip(const fs::path& path,
               const std::vector<std::pair<std::string, std::string>>& members) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  REQUIRE(archive);
  for (const auto& [name, bytes] : members)
    REQUIRE(zip_file_add(archive, name.c_str(),
                         zip_source_buffer(archive, bytes.data(), bytes.size(), 0), 0) >= 0);
  REQUIRE(zip_close(archive) == 0);
}

Tensor sample(DType dtype) {
  Tensor t(TensorType{dtype, {2, 3}, {}});
  for (size_t i = 0; i < t.bytes().size(); ++i)
    t.bytes()[i] = static_cast<std::byte>(dtype == DType::boolean ? i % 2 : i);
  return t;
}

}  // namespace

TEST_CASE("tensors survive being saved as .npy and loaded", "[tensor-file]") {
  DType dtype =
      GENERATE(DType::f32, DType::f64, DType::f16, DType::i8, DType::u8, DType::i16, DType::u16,
               DType::i32, DType::u32, DType::i64, DType::u64, DType::boolean);
  std::string bytes = save_npy(sample(dtype));
  CHECK(bytes.size() % 64 ==
        static_cast<size_t>(sample(dtype).type.bytes()) % 64);  // data aligned as NumPy does
  Result<Tensor> t = load("t.npy", bytes);
  REQUIRE(t.ok());
  CHECK(*t == sample(dtype));
  for (const Shape& shape : {Shape{}, Shape{6}, Shape{0, 2}, Shape{1, 2, 3}}) {
    Tensor other(TensorType{dtype, shape, {}});
    CHECK(*load("t.npy", save_npy(other)) == other);
  }
}

TEST_CASE("Fortran order and all header versions are read", "[tensor-file]") {
  Tensor columns = Tensor::of<uint8_t>({2, 3}, std::vector<uint8_t>{1, 2, 3, 4, 5, 6});
  CHECK(*load("t.npy", npy(header("|u1", "(2, 3)", "True"), std::string("\1\4\2\5\3\6"))) ==
        columns);
  CHECK(*load("t.npy", npy(header("|u1", "(2, 3)"), std::string("\1\2\3\4\5\6"), 2)) == columns);
  CHECK(*load("t.npy", npy(header("|u1", "(2, 3)"), std::string("\1\2\3\4\5\6"), 3)) == columns);
  CHECK(load("t.npy", npy(header("|u1", "(6,)"), std::string("\1\2\3\4\5\6")))->type.shape ==
        Shape{6});
  CHECK(load("t.npy", npy("{\"shape\": (6), \"fortran_order\": False, \"descr\": \"<u1\"}",
                          std::string("\1\2\3\4\5\6")))
            ->type.shape == Shape{6});
}

TEST_CASE("damaged .npy files are refused", "[tensor-file]") {
  auto refused = [](const std::string& bytes) {
    Result<Tensor> t = load("t.npy", bytes);
    return !t.ok() && t.diagnostic().id == DiagId::bad_input_data && !t.diagnostic().file.empty();
  };
  std::string good = save_npy(Tensor::floats({3}, {1, 2, 3}));
  for (size_t n = 0; n < good.size(); ++n) CHECK(refused(good.substr(0, n)));
  CHECK(refused(good + "x"));
  CHECK(refused(npy(header("|u1", "(1,)"), "x", 4)));
  CHECK(refused(npy(header(">f4", "(1,)"), "abcd")));
  CHECK(refused(npy(header("|O", "(1,)"), "abcdefgh")));
  CHECK(refused(npy(header("<f4", "(-1,)"), "abcd")));
  CHECK(refused(npy(header("<f4", "(1 1)"), "abcd")));
  CHECK(refused(npy(header("<f4", "(9223372036854775807, 9223372036854775807)"), "abcd")));
  CHECK(refused(npy(header("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "abcd")));
  CHECK(refused(npy("{'descr': '<f4', 'shape': (1,)}", "abcd")));
  CHECK(refused(
      npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "abcd")));
  CHECK(refused(npy(header("<f4", "(1,)") + "tail", "abcd")));
  CHECK(refused(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "abcd")));
}

TEST_CASE(".npz archives are read", "[tensor-file]") {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  fs::path path = folder->path() / "t.npz";
  std::vector<std::pair<std::string, std::string>> members = {
      {"x.npy", save_npy(sample(DType::f32))}, {"labels.npy", save_npy(sample(DType::i64))}};
  write_zip(path, members);
  Result<std::vector<NamedTensor>> tensors = load_tensors(path);
  REQUIRE(tensors.ok());
  REQUIRE(tensors->size() == 2);
  CHECK((*tensors)[0].name == "x");
  CHECK((*tensors)[0].tensor == sample(DType::f32));
  CHECK((*tensors)[1].name == "labels");
  CHECK(load_tensor(path).diagnostic().id == DiagId::bad_input_data);  // two, where one is expected
  std::string bytes = *read_file(path);
  for (size_t n = 0; n < bytes.size(); n += 7) {
    Result<std::vector<std::pair<std::string, NpyArray>>> cut =
        read_npz(std::string_view(bytes).substr(0, n));
    REQUIRE_FALSE(cut.ok());
    CHECK(cut.diagnostic().id == DiagId::bad_input_data);
  }
  write_zip(path, {{"x.npy", "no array"}});
  CHECK(load_tensors(path).diagnostic().id == DiagId::bad_input_data);
}

TEST_CASE("test sets have the layout of the ONNX backend tests", "[tensor-file]") {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  auto write = [&](const std::string& path, float value, const std::string& name) {
    onnx::TensorProto tensor;
    tensor.set_data_type(1);
    tensor.add_dims(1);
    tensor.add_float_data(value);
    if (!name.empty()) tensor.set_name(name);
    fs::create_directories((folder->path() / path).parent_path());
    REQUIRE(write_file(folder->path() / path, tensor.SerializeAsString()).ok());
  };
  for (int set : {0, 2, 10}) {
    std::string at = fmt::format("test_data_set_{}/", set);
    write(at + "input_0.pb", static_cast<float>(set), "x");
    write(at + "input_1.pb", 1, "");
    write(at + "output_0.pb", 2, "y");
  }
  Result<std::vector<TestSet>> sets = load_test_sets(folder->path());
  REQUIRE(sets.ok());
  REQUIRE(sets->size() == 3);
  CHECK((*sets)[2].name == "test_data_set_10");
  CHECK((*sets)[2].inputs[0].tensor.to_doubles() == std::vector<double>{10});
  CHECK((*sets)[2].inputs[0].name == "x");
  CHECK((*sets)[2].inputs[1].name.empty());
  CHECK((*sets)[2].outputs.size() == 1);
  CHECK(load_test_sets(folder->path() / "test_data_set_2")->size() == 1);

  write("holes/input_0.pb", 0, "x");
  write("holes/input_2.pb", 0, "x");
  CHECK(load_test_sets(folder->path() / "holes").diagnostic().id == DiagId::bad_input_data);
  fs::create_directories(folder->path() / "empty");
  CHECK(load_test_sets(folder->path() / "empty").diagnostic().id == DiagId::bad_input_data);
  CHECK(load_test_sets(folder->path() / "none").diagnostic().id == DiagId::cannot_read);
}

TEST_CASE("tensor files that cannot be used are refused", "[tensor-file]") {
  CHECK(load("t.txt", "1").diagnostic().id == DiagId::bad_input_data);
  CHECK(load("t.pb", "\xff\xff").diagnostic().id == DiagId::bad_input_data);
  CHECK(load("t.pb", "").diagnostic().id != DiagId::cannot_read);
  onnx::TensorProto strings;
  strings.set_data_type(8);
  CHECK(load("t.pb", strings.SerializeAsString()).diagnostic().id == DiagId::unsupported_tensor);
  onnx::TensorProto external;
  external.set_data_type(1);
  external.set_data_location(onnx::TensorProto::EXTERNAL);
  CHECK(load("t.pb", external.SerializeAsString()).diagnostic().id == DiagId::bad_input_data);
  CHECK(load_tensor("/nowhere/t.npy").diagnostic().id == DiagId::cannot_read);
}
