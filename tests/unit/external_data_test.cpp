// SPDX-License-Identifier: Apache-2.0
// External data: what is read, and the attacks that are refused.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "compiler/frontend/model_edit.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

// A folder with outside.bin, and in it models/ with w.bin (16 bytes: 0 1 2 3 as floats) and
// sub/w.bin.
class Scene {
 public:
  Scene() : folder_(*TemporaryFolder::create()) {
    fs::create_directories(models() / "sub");
    Tensor w = Tensor::floats({4}, {0, 1, 2, 3});
    bytes_ = std::string(reinterpret_cast<const char*>(w.bytes().data()), w.bytes().size());
    for (const fs::path& path :
         {root() / "outside.bin", models() / "w.bin", models() / "sub/w.bin"})
      REQUIRE(write_file(path, bytes_).ok());
  }

  [[nodiscard]] fs::path root() const { return folder_.path(); }
  [[nodiscard]] fs::path models() const { return root() / "models"; }

  // The model's one initializer of two floats is where `entries` say.
  fs::path write_model(const Entries& entries) const {
    onnx::ModelProto model = graph_model(
        "agraph (float[2] x) => (float[2] y) <float[2] w = {1,2}> { t = Add(x, w) y = Relu(t) }");
    onnx::TensorProto& tensor = *model.mutable_graph()->mutable_initializer(0);
    tensor.clear_float_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto* entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    fs::path path = models() / "model.onnx";
    REQUIRE(write_file(path, model.SerializeAsString()).ok());
    return path;
  }

  [[nodiscard]] Imported import(const Entries& entries) const {
    return import_file(write_model(entries));
  }

  void expect_values(const Entries& entries, const std::vector<double>& values) const {
    Imported m = import(entries);
    INFO(m.text());
    REQUIRE(m.model);
    const Graph& g = m.graph();
    CHECK(g.constant(g.node(g.order()[0]).inputs[1])->to_doubles() == values);
  }

  void expect_refused(const Entries& entries, const std::string& reason) const {
    Imported m = import(entries);
    INFO(m.text());
    CHECK(m.errors() == std::vector{DiagId::bad_external_data});
    CHECK(m.text().find(reason) != std::string::npos);
    // The path for the reference run has the same guard.
    Result<std::string> moved = serialized_model(models() / "model.onnx");
    REQUIRE_FALSE(moved.ok());
    CHECK(moved.diagnostic().id == DiagId::bad_external_data);
  }

 private:
  TemporaryFolder folder_;
  std::string bytes_;
};

}  // namespace

TEST_CASE("external data beneath the model's folder are read", "[external]") {
  Scene scene;
  scene.expect_values({{"location", "w.bin"}, {"length", "8"}}, {0, 1});
  scene.expect_values({{"location", "w.bin"}, {"offset", "8"}}, {2, 3});
  scene.expect_values(
      {{"location", "./sub/w.bin"}, {"offset", "4"}, {"length", "8"}, {"checksum", "unchecked"}},
      {1, 2});
}

TEST_CASE("external data outside the model's folder are refused", "[external]") {
  Scene scene;
  const std::string outside = "outside the model's folder";
  SECTION("..") { scene.expect_refused({{"location", "../outside.bin"}}, outside); }
  SECTION("nested ..") { scene.expect_refused({{"location", "sub/../../outside.bin"}}, outside); }
  SECTION("inner .., even where it stays inside") {
    scene.expect_refused({{"location", "sub/../w.bin"}}, outside);
  }
  SECTION("absolute") {
    scene.expect_refused({{"location", (scene.root() / "outside.bin").string()}}, outside);
  }
  SECTION("absolute, though it is inside") {
    scene.expect_refused({{"location", (scene.models() / "w.bin").string()}}, outside);
  }
  SECTION("a symbolic link to a file") {
    fs::create_symlink("../outside.bin", scene.models() / "link.bin");
    scene.expect_refused({{"location", "link.bin"}}, "symbolic link");
  }
  SECTION("a symbolic link to a folder") {
    fs::create_directory_symlink("..", scene.models() / "up");
    scene.expect_refused({{"location", "up/outside.bin"}}, "cannot be opened");
  }
  SECTION("a hard link") {
    fs::create_hard_link(scene.root() / "outside.bin", scene.models() / "hard.bin");
    scene.expect_refused({{"location", "hard.bin"}}, "2 hard links");
  }
}

TEST_CASE("external data that are no regular file are refused", "[external]") {
  Scene scene;
  SECTION("a pipe, without waiting for a writer") {
    REQUIRE(::mkfifo((scene.models() / "pipe").c_str(), 0600) == 0);
    scene.expect_refused({{"location", "pipe"}}, "regular file");
  }
  SECTION("a folder") { scene.expect_refused({{"location", "sub"}}, "regular file"); }
  SECTION("nothing") { scene.expect_refused({{"location", "none.bin"}}, "No such file"); }
  SECTION("no location") { scene.expect_refused({{"offset", "0"}}, "no location"); }
  SECTION("an empty location") { scene.expect_refused({{"location", ""}}, "no location"); }
  SECTION("the folder itself") {
    scene.expect_refused({{"location", "."}}, "outside the model's folder");
  }
}

TEST_CASE("external data ranges must lie within the file", "[external]") {
  Scene scene;
  SECTION("negative offset") {
    scene.expect_refused({{"location", "w.bin"}, {"offset", "-8"}}, "'-8'");
  }
  SECTION("negative length") {
    scene.expect_refused({{"location", "w.bin"}, {"length", "-1"}}, "'-1'");
  }
  SECTION("past the end") {
    scene.expect_refused({{"location", "w.bin"}, {"offset", "12"}}, "which has 16 bytes");
  }
  SECTION("far past the end") {
    scene.expect_refused({{"location", "w.bin"}, {"offset", "18446744073709551612"}},
                         "which has 16 bytes");
  }
  SECTION("overflowing number") {
    scene.expect_refused({{"location", "w.bin"}, {"offset", "99999999999999999999"}},
                         "must be a number");
  }
  SECTION("not a number") {
    scene.expect_refused({{"location", "w.bin"}, {"offset", "8x"}}, "must be a number");
  }
  SECTION("length other than the tensor's") {
    scene.expect_refused({{"location", "w.bin"}, {"length", "16"}}, "needs 8 bytes");
  }
}

TEST_CASE("external data with odd entries are refused", "[external]") {
  Scene scene;
  scene.expect_refused({{"location", "w.bin"}, {"basepath", "/etc"}}, "'basepath'");
  scene.expect_refused({{"location", "w.bin"}, {"location", "../outside.bin"}}, "given twice");
  scene.expect_refused({{"location", std::string("w.bin\0x", 7)}}, "plain text");
}

TEST_CASE("a tensor must not have data of its own and external data", "[external]") {
  Scene scene;
  fs::path path = scene.write_model({{"location", "w.bin"}, {"length", "8"}});
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(*read_file(path)));
  model.mutable_graph()->mutable_initializer(0)->set_raw_data("12345678");
  REQUIRE(write_file(path, model.SerializeAsString()).ok());
  CHECK(import_file(path).errors() == std::vector{DiagId::bad_initializer});
}

TEST_CASE("the model for the reference run is self-contained", "[external]") {
  Scene scene;
  fs::path path = scene.write_model({{"location", "w.bin"}, {"offset", "8"}});
  Result<std::string> bytes = model_with_outputs(path, {"t", "y", "t"});
  REQUIRE(bytes.ok());
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(*bytes));
  CHECK(model.graph().output_size() == 2);  // y is there already
  CHECK(model.graph().output(1).name() == "t");
  CHECK(model.graph().initializer(0).data_location() == onnx::TensorProto::DEFAULT);
  Imported m = import_bytes(*bytes);
  INFO(m.text());
  REQUIRE(m.model);
  CHECK(m.graph().output_name(1) == "t");
  CHECK(m.graph().constant(m.graph().node(m.graph().order()[0]).inputs[1])->to_doubles() ==
        std::vector<double>{2, 3});

  CHECK(model_with_outputs(path, {"none"}).diagnostic().id == DiagId::missing_tensor);
  CHECK(model_with_outputs(path, {"x"}).diagnostic().id == DiagId::missing_tensor);
  CHECK(serialized_model(scene.models()).diagnostic().id == DiagId::cannot_read);
}
