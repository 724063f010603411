// SPDX-License-Identifier: Apache-2.0
// Samples and labels from files, folders and lists.
#include "compiler/data/dataset.h"

#include <fmt/format.h>
#include <zip.h>

#include "compiler/data/csv.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/support/npy.h"
#include "tests/data_files.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

/// A folder that files are put into.
class Files {
 public:
  Files() : folder_(*TemporaryFolder::create()) {}
  fs::path write(const std::string& name, const std::string& bytes) const {
    fs::path path = folder_.path() / name;
    fs::create_directories(path.parent_path());
    REQUIRE(write_file(path, bytes).ok());
    return path;
  }
  fs::path write(const std::string& name, const Tensor& tensor) const { return write(name, save_npy(tensor)); }
  [[nodiscard]] const fs::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

ModelInput input(Shape shape, DType dtype = DType::f32, const std::string& name = "x") { return {name, {dtype, std::move(shape), {}}}; }

Dataset open(DataOptions options, std::vector<ModelInput> inputs) {
  Result<Dataset> data = Dataset::open(std::move(options), std::move(inputs));
  if (!data) FAIL(to_string(data.diagnostic()));
  return *std::move(data);
}

Diagnostic refusal(DataOptions options, std::vector<ModelInput> inputs) {
  Result<Dataset> data = Dataset::open(std::move(options), std::move(inputs));
  if (!data) return data.diagnostic();
  for (size_t i = 0; i < data->size(); ++i)
    if (Result<std::vector<Tensor>> sample = data->load(i); !sample) return sample.diagnostic();
  FAIL("the data was accepted");
  return {};
}

/// The numbers of input 0 of a sample.
std::vector<double> numbers(Dataset& data, size_t sample) {
  Result<std::vector<Tensor>> tensors = data.load(sample);
  if (!tensors) FAIL(to_string(tensors.diagnostic()));
  return tensors->front().to_doubles();
}

Tensor counting(Shape shape) {
  std::vector<float> values;
  for (int64_t i = 0; i < element_count(shape); ++i) values.push_back(static_cast<float>(i));
  return Tensor::floats(std::move(shape), values);
}

std::string npz_file(const std::vector<std::pair<std::string, Tensor>>& members) {
  Files files;
  std::string path = (files.path() / "t.npz").string();
  std::vector<std::string> bytes;
  for (const auto& [name, tensor] : members) bytes.push_back(save_npy(tensor));
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  REQUIRE(archive);
  for (size_t i = 0; i < members.size(); ++i)
    REQUIRE(zip_file_add(archive, (members[i].first + ".npy").c_str(), zip_source_buffer(archive, bytes[i].data(), bytes[i].size(), 0),
                         0) >= 0);
  REQUIRE(zip_close(archive) == 0);
  return *read_file(path);
}

std::string pb_file(const std::vector<float>& values, const std::string& name = {}) {
  onnx::TensorProto tensor;
  tensor.set_data_type(1);
  tensor.add_dims(static_cast<int64_t>(values.size()));
  for (float value : values) tensor.add_float_data(value);
  tensor.set_name(name);
  return tensor.SerializeAsString();
}

}  // namespace

TEST_CASE("a file is one sample or as many as its first dimension", "[data]") {
  Files files;
  fs::path many = files.write("many.npy", counting({3, 2, 2}));
  Dataset data = open({.path = many}, {input({1, 2, 2, 1})});
  REQUIRE(data.size() == 3);
  CHECK(data.name(2) == "many.npy[2]");
  CHECK(numbers(data, 2) == std::vector<double>{8, 9, 10, 11});
  CHECK(numbers(data, 0) == std::vector<double>{0, 1, 2, 3});
  CHECK(data.load(1)->front().type.shape == Shape{1, 2, 2, 1});
  CHECK_FALSE(data.has_labels());
  Dataset one = open({.path = files.write("one.npy", counting({2, 2}))}, {input({1, 2, 2, 1})});
  REQUIRE(one.size() == 1);
  CHECK(one.name(0) == "one.npy");
  Dataset scalars = open({.path = files.write("s.npy", counting({5}))}, {input({1, 1})});
  CHECK(scalars.size() == 5);
  CHECK(numbers(scalars, 4) == std::vector<double>{4});
  Diagnostic shape = refusal({.path = many}, {input({1, 3, 2})});
  CHECK(shape.id == DiagId::bad_input_data);
  CHECK(shape.file == many.string());
  CHECK(shape.message == "the file holds an array f32[3,2,2], input 'x' is f32[1,3,2].");
}

TEST_CASE("the options --skip and --limit choose samples and their labels", "[data]") {
  Files files;
  files.write("x.npy", counting({6, 2}));
  files.write("labels.npy", Tensor::int64s({5, 4, 3, 2, 1, 0}));
  Dataset data = open({.path = files.path(), .skip = 1, .limit = 3}, {input({1, 2})});
  REQUIRE(data.size() == 3);
  CHECK(numbers(data, 0) == std::vector<double>{2, 3});
  CHECK(data.label(0) == 4);
  CHECK(data.label(2) == 2);
  CHECK(open({.path = files.path(), .limit = 100}, {input({1, 2})}).size() == 6);
  CHECK(refusal({.path = files.path(), .skip = 600}, {input({1, 2})}).message == "the data has 6 samples, --skip 600 leaves none.");
}

TEST_CASE("values are prepared with numbers for all or for each channel", "[data]") {
  Files files;
  fs::path x = files.write("x.npy", Tensor::of<int8_t>({1, 2, 2}, std::vector<int8_t>{-1, 3, 83, 84}));
  Dataset kws = open({.path = x, .preparation = {.mean = {83}, .scale = {0.5}}}, {input({1, 2, 2})});
  CHECK(numbers(kws, 0) == std::vector<double>{-42, -40, 0, 0.5});
  // channels last: -1 and 83 are of channel 0
  Dataset last = open({.path = x, .preparation = {.mean = {1, 2}, .std = {2, 1}, .scale = {10, 1}}}, {input({1, 2, 2})});
  CHECK(numbers(last, 0) == std::vector<double>{-10, 1, 410, 82});
  fs::path first = files.write("c.npy", counting({2, 3, 4}));
  Dataset channels_first = open({.path = first, .preparation = {.mean = {0, 12}}}, {input({1, 2, 3, 4})});
  CHECK(numbers(channels_first, 0)[11] == 11);
  CHECK(numbers(channels_first, 0)[12] == 0);
  Diagnostic wrong = refusal({.path = first, .preparation = {.mean = {1, 2, 3}}}, {input({1, 2, 3, 4})});
  CHECK(wrong.message == "--mean has 3 numbers, input 'x' f32[1,2,3,4] has no such number of channels.");
  CHECK(refusal({.path = first, .preparation = {.std = {0}}}, {input({1, 2, 3, 4})}).id == DiagId::bad_usage);
}

TEST_CASE("stored pictures are transposed where the model has another layout", "[data]") {
  Files files;
  fs::path nhwc = files.write("x.npy", counting({2, 2, 3, 4}));  // 2 samples, height 2, width 3, 4 channels
  Preparation layout{.layout = Layout::nhwc};
  Dataset same = open({.path = nhwc, .preparation = layout}, {input({1, 2, 3, 4})});
  CHECK(same.size() == 2);
  CHECK(numbers(same, 0)[1] == 1);
  Dataset other = open({.path = nhwc, .preparation = layout}, {input({1, 4, 2, 3})});
  REQUIRE(other.size() == 2);
  CHECK(numbers(other, 0)[1] == 4);  // channel 0, row 0, column 1
  CHECK(numbers(other, 0)[6] == 1);  // channel 1, row 0, column 0
  CHECK(numbers(other, 1)[0] == 24);
  Dataset back = open({.path = nhwc, .preparation = {.layout = Layout::nchw}}, {input({1, 3, 4, 2})});
  CHECK(numbers(back, 0)[1] == 12);  // row 0, column 0, channel 1
  CHECK(numbers(back, 0)[2] == 1);   // row 0, column 1, channel 0
  Diagnostic silent = refusal({.path = nhwc}, {input({1, 4, 2, 3})});
  CHECK(silent.message == "the file holds an array f32[2,2,3,4], input 'x' is f32[1,4,2,3].");
  CHECK(silent.hint == "--layout nhwc or nchw transposes stored pictures.");
  CHECK(refusal({.path = nhwc, .preparation = {.layout = Layout::nchw}}, {input({1, 4, 2, 3})}).id == DiagId::bad_input_data);
}

TEST_CASE("arrays are resized as pictures are", "[data]") {
  Files files;
  fs::path digits = files.write("x.npy", counting({3, 2, 4}));  // 3 grey pictures
  Dataset data = open({.path = digits, .preparation = {.scale = {2}, .resize = ResizeMode::bilinear}}, {input({1, 1, 1, 2})});
  REQUIRE(data.size() == 3);
  CHECK(numbers(data, 0) == std::vector<double>{5, 9});
  CHECK(numbers(data, 1) == std::vector<double>{21, 25});
}

TEST_CASE("pictures take the input's size, channels and layout", "[data]") {
  Files files;
  files.write("a.png", png_file(2, 1, PNG_COLOR_TYPE_RGB, 8, {1, 2, 3, 4, 5, 6}));
  Dataset nhwc = open({.path = files.path()}, {input({1, 1, 2, 3})});
  CHECK(numbers(nhwc, 0) == std::vector<double>{1, 2, 3, 4, 5, 6});
  Dataset nchw = open({.path = files.path(), .preparation = {.mean = {1, 2, 3}}}, {input({1, 3, 1, 2})});
  CHECK(numbers(nchw, 0) == std::vector<double>{0, 3, 0, 3, 0, 3});
  Dataset grey = open({.path = files.path()}, {input({1, 1, 1, 2})});
  CHECK(numbers(grey, 0)[0] == Approx(0.299 * 1 + 0.587 * 2 + 0.114 * 3));
  files.write("b.png", png_file(1, 1, PNG_COLOR_TYPE_GRAY, 8, {9}));
  Diagnostic size = refusal({.path = files.path()}, {input({1, 1, 2, 3})});
  CHECK(fs::path(size.file).filename() == "b.png");
  CHECK(size.message == "the file holds a picture of 1 x 1 pixels (height x width), input 'x' is f32[1,1,2,3].");
  CHECK(size.hint == "--resize bilinear changes the size.");
  Dataset resized = open({.path = files.path(), .preparation = {.resize = ResizeMode::nearest}}, {input({1, 1, 2, 3})});
  CHECK(numbers(resized, 1) == std::vector<double>(6, 9.0));
  CHECK(refusal({.path = files.path()}, {input({1, 6})}).id == DiagId::bad_input_data);
}

TEST_CASE("sound must have the input's length and one sample rate", "[data]") {
  Files files;
  files.write("a.wav", wav_file(16000, 1, {16384, -16384}));
  Dataset data = open({.path = files.path()}, {input({1, 2})});
  CHECK(numbers(data, 0) == std::vector<double>{0.5, -0.5});
  CHECK(refusal({.path = files.path()}, {input({1, 3})}).message ==
        "the file holds sound of 2 samples at 16000 Hz, input 'x' is f32[1,3].");
  CHECK(refusal({.path = files.path(), .sample_rate = 8000}, {input({1, 2})}).message ==
        "the sound has 16000 Hz, --sample-rate has 8000 Hz.");
  files.write("b.wav", wav_file(8000, 1, {1, 2}));
  CHECK(refusal({.path = files.path()}, {input({1, 2})}).message == "the sound has 8000 Hz, the file before has 16000 Hz.");
}

TEST_CASE("tables of numbers have a sample in each row", "[data]") {
  Files files;
  fs::path table = files.write("x.csv", "speed, force\n1, 2.5\r\n\n-3e2,\"4\"\n");
  Dataset data = open({.path = table}, {input({1, 2})});
  REQUIRE(data.size() == 2);
  CHECK(numbers(data, 0) == std::vector<double>{1, 2.5});
  CHECK(numbers(data, 1) == std::vector<double>{-300, 4});
  CHECK(refusal({.path = files.write("y.csv", "1,2\n3\n")}, {input({1, 2})}).message == "row 2 has 1 columns, row 1 has 2.");
  CHECK(refusal({.path = files.write("z.csv", "1,2\n3,four\n")}, {input({1, 2})}).message == "row 2: 'four' is no number.");
  CHECK(refusal({.path = files.write("q.csv", "1,\"2\n")}, {input({1, 2})}).message == "line 1: the quotes do not close.");
  CHECK(refusal({.path = files.write("0.csv", std::string("\0", 1))}, {input({1, 2})}).message == "the file is no text.");
}

TEST_CASE("folders of folders are classes, taken in turn", "[data]") {
  Files files;
  files.write("yes/2.npy", counting({2}));
  files.write("yes/1.npy", Tensor::floats({2}, {5, 6}));
  files.write("no/a.npy", Tensor::floats({2}, {7, 8}));
  files.write("no/.hidden.npy", "broken");
  files.write("no/readme.txt", "not data");
  files.write("empty/readme.txt", "no data");
  Dataset data = open({.path = files.path()}, {input({1, 2})});
  REQUIRE(data.size() == 3);
  CHECK(data.class_names() == std::vector<std::string>{"no", "yes"});
  CHECK(data.name(0) == "no/a.npy");
  CHECK(data.name(1) == "yes/1.npy");
  CHECK(data.name(2) == "yes/2.npy");
  CHECK(data.label(0) == 0);
  CHECK(data.label(2) == 1);
  CHECK(numbers(data, 1) == std::vector<double>{5, 6});
}

TEST_CASE("lists name files, with labels or without", "[data]") {
  Files files;
  files.write("d/a.npy", counting({2}));
  files.write("d/b.npy", Tensor::floats({2}, {5, 6}));
  Dataset plain = open({.path = files.write("list.txt", "d/b.npy\nd/a.npy\n")}, {input({1, 2})});
  REQUIRE(plain.size() == 2);
  CHECK(plain.name(0) == "d/b.npy");
  CHECK_FALSE(plain.has_labels());
  Dataset named = open({.path = files.write("list.csv", "path,label\nd/a.npy,stop\nd/b.npy,go\n")}, {input({1, 2})});
  CHECK(named.class_names() == std::vector<std::string>{"go", "stop"});
  CHECK(named.label(0) == 1);
  Dataset numbered = open({.path = files.write("list2.csv", "d/a.npy,7\nd/b.npy,3\n")}, {input({1, 2})});
  CHECK(numbered.label(0) == 7);
  CHECK(numbered.class_names().empty());
  CHECK(refusal({.path = files.write("l.txt", "d/a.npy\nd/b.npy,1\n")}, {input({1, 2})}).message ==
        "row 2 has a label, those before it have none.");
  CHECK(refusal({.path = files.write("m.txt", "d/a.npy\nd/gone.npy\n")}, {input({1, 2})}).id == DiagId::cannot_read);
  CHECK(refusal({.path = files.write("n.txt", "\n")}, {input({1, 2})}).message == "the list names no files.");
}

TEST_CASE("labels come from files, by order or by name", "[data]") {
  Files files;
  files.write("d/a.npy", counting({2}));
  files.write("d/b.npy", counting({2}));
  auto labels = [&](const std::string& name, const std::string& text) {
    return open({.path = files.path() / "d", .labels = files.write(name, text)}, {input({1, 2})});
  };
  CHECK(labels("1.csv", "3\n4\n").label(1) == 4);
  CHECK(labels("2.csv", "label\n3\n4\n").label(1) == 4);
  CHECK(labels("3.csv", "file,class\nb.npy,0\na.npy,1\n").label(0) == 1);
  CHECK(labels("4.txt", "b,0\na,1\n").label(0) == 1);
  Dataset words = labels("5.csv", "dog\ncat\n");
  CHECK(words.class_names() == std::vector<std::string>{"cat", "dog"});
  CHECK(words.label(0) == 1);
  Dataset regression = labels("6.csv", "0.5,1\n-2,3\n");
  CHECK_FALSE(regression.label(0));
  CHECK(std::vector<double>(regression.target(1).begin(), regression.target(1).end()) == std::vector<double>{-2, 3});
  fs::path npy = files.write("l.npy", Tensor::floats({2, 1}, {0.25f, 8}));
  Dataset real = open({.path = files.path() / "d", .labels = npy}, {input({1, 2})});
  CHECK_FALSE(real.label(0));
  CHECK(real.label(1) == 8);
  auto refused = [&](const std::string& name, const std::string& text) {
    return refusal({.path = files.path() / "d", .labels = files.write(name, text)}, {input({1, 2})}).message;
  };
  CHECK(refused("7.csv", "1\n2\n3\n4\n") == "there are 4 labels for 2 samples.");
  CHECK(refused("8.csv", "name,label\na.npy,1\nc.npy,2\n") == "row 3: there is no sample 'c.npy', or several are called so.");
  CHECK(refused("9.csv", "a.npy,1\n") == "sample 'b.npy' has no label.");
  CHECK(refused("10.csv", "") == "the file holds no labels.");
}

TEST_CASE("archives may hold the labels too", "[data]") {
  Files files;
  fs::path path = files.write("t.npz", npz_file({{"labels", Tensor::int64s({2, 0, 1})}, {"features", counting({3, 2})}}));
  Dataset data = open({.path = path}, {input({1, 2})});
  REQUIRE(data.size() == 3);
  CHECK(data.label(0) == 2);
  CHECK(numbers(data, 1) == std::vector<double>{2, 3});
  fs::path wrong = files.write("w.npz", npz_file({{"labels", Tensor::int64s({2, 0})}, {"features", counting({3, 2})}}));
  CHECK(refusal({.path = wrong}, {input({1, 2})}).message == "there are 2 numbers in 'labels' for 3 samples.");
}

TEST_CASE("models with several inputs get an array for each", "[data]") {
  Files files;
  std::vector<ModelInput> inputs{input({1, 2}, DType::f32, "x"), input({1}, DType::f32, "h")};
  fs::path archive = files.write("t.npz", npz_file({{"h", Tensor::floats({2}, {8, 9})}, {"x", counting({2, 2})}}));
  Dataset npz = open({.path = archive}, inputs);
  REQUIRE(npz.size() == 2);
  CHECK((*npz.load(1))[0].to_doubles() == std::vector<double>{2, 3});
  CHECK((*npz.load(1))[1].to_doubles() == std::vector<double>{9});
  files.write("f/x.npy", counting({2, 2}));
  files.write("f/h.npy", Tensor::floats({2}, {8, 9}));
  files.write("f/other.npy", counting({9}));
  Dataset folder = open({.path = files.path() / "f"}, inputs);
  REQUIRE(folder.size() == 2);
  CHECK((*folder.load(0))[1].to_doubles() == std::vector<double>{8});
  files.write("f/h.npy", counting({3}));
  CHECK(refusal({.path = files.path() / "f"}, inputs).message == "there are 2 samples for input 'x' and 3 for 'h'.");
  fs::path alone = files.write("alone.npz", npz_file({{"x", counting({2, 2})}}));
  CHECK(refusal({.path = alone}, inputs).message == "the data has 1 arrays ('x'), the model has 2 inputs: 'x', 'h'.");
}

TEST_CASE("the test sets of ONNX are samples", "[data]") {
  Files files;
  files.write("test_data_set_10/input_0.pb", pb_file({5}));
  files.write("test_data_set_10/input_1.pb", pb_file({6, 7}));
  files.write("test_data_set_2/input_0.pb", pb_file({1, 2}, "b"));
  files.write("test_data_set_2/input_1.pb", pb_file({3}, "a"));
  files.write("test_data_set_2/output_0.pb", pb_file({0}));
  Dataset data = open({.path = files.path()}, {input({1}, DType::f32, "a"), input({2}, DType::f32, "b")});
  REQUIRE(data.size() == 2);
  CHECK(data.name(0) == "test_data_set_2");
  CHECK((*data.load(0))[0].to_doubles() == std::vector<double>{3});     // by name
  CHECK((*data.load(1))[1].to_doubles() == std::vector<double>{6, 7});  // by order
  CHECK(open({.path = files.path() / "test_data_set_10"}, {input({1}, DType::f32, "a"), input({2}, DType::f32, "b")}).size() == 1);
}

TEST_CASE("integer inputs get codes as they are and real numbers quantized", "[data]") {
  Files files;
  ModelInput quantized = input({1, 4}, DType::i8);
  quantized.type.quant = Quant{.scale = {0.5f}, .zero_point = {3}};
  fs::path codes = files.write("c.npy", Tensor::of<int8_t>({4}, std::vector<int8_t>{-128, 0, 5, 127}));
  Dataset same = open({.path = codes}, {quantized});
  CHECK(numbers(same, 0) == std::vector<double>{-128, 0, 5, 127});
  CHECK(same.load(0)->front().type == quantized.type);
  fs::path real = files.write("r.npy", Tensor::floats({4}, {0.25f, 0.75f, -1000, 1000}));
  Dataset rounded = open({.path = real}, {quantized});
  CHECK(numbers(rounded, 0) == std::vector<double>{3, 5, -128, 127});  // 0.5 and 1.5 steps, halves to even
  Dataset prepared = open({.path = codes, .preparation = {.mean = {3}, .scale = {0.5}}}, {quantized});
  CHECK(numbers(prepared, 0) == std::vector<double>{-128, 0, 5, 127});
  // Without quantization the numbers must be whole and in range.
  ModelInput plain = input({1, 4}, DType::u8);
  CHECK(refusal({.path = codes}, {plain}).message == "input 'x' is u8[1,4], the data has the number -128.");
  CHECK(refusal({.path = real}, {input({1, 4}, DType::i64)}).message == "input 'x' is i64[1,4], the data has the number 0.25.");
  fs::path nan = files.write("n.npy", Tensor::floats({4}, {NAN, 0, 0, 0}));
  CHECK(refusal({.path = nan}, {quantized}).message == "input 'x' is i8[1,4], the data has a number that is none (NaN).");
}

TEST_CASE("data that is not there or of no known type is refused", "[data]") {
  Files files;
  CHECK(refusal({.path = files.path() / "nothing"}, {input({1})}).id == DiagId::cannot_read);
  CHECK(refusal({.path = files.path()}, {input({1})}).message == "the folder has no data files.");
  CHECK(refusal({.path = files.write("x.bin", "abc")}, {input({1})}).message == "files of this type are not read.");
  CHECK(refusal({.path = files.write("e.npy", Tensor::floats({0, 1}, {}))}, {input({1})}).message == "the data has no samples.");
  CHECK(refusal({.path = files.write("x.png", "no picture")}, {input({1, 1, 1, 1})}).file == (files.path() / "x.png").string());
}
