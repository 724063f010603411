// SPDX-License-Identifier: Apache-2.0
// Damaged sample files: whatever the bytes, reading ends with arrays or with a message that names the file.
#include "tests/data_files.h"

#include <fmt/format.h>
#include <zip.h>

#include <random>

#include "compiler/data/dataset.h"
#include "compiler/frontend/tensor_file.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

std::string npz_file() {
  TemporaryFolder folder = *TemporaryFolder::create();
  std::string path = (folder.path() / "t.npz").string(), member = save_npy(Tensor::floats({2, 2}, {1, 2, 3, 4}));
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  REQUIRE(zip_file_add(archive, "x.npy", zip_source_buffer(archive, member.data(), member.size(), 0), 0) >= 0);
  REQUIRE(zip_close(archive) == 0);
  return *read_file(path);
}

struct Seed {
  std::string name, bytes;
};

std::vector<Seed> seeds() {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 24 * 16 * 3; ++i) pixels.push_back(static_cast<uint8_t>(i * 7 + i / 48));
  return {{"x.png", png_file(24, 16, PNG_COLOR_TYPE_RGB, 8, pixels)},
          {"g.png", png_file(8, 16, PNG_COLOR_TYPE_PALETTE, 1, std::vector<uint8_t>(16, 0x5a))},
          {"x.jpg", jpeg_file(24, 16, 3, pixels)},
          {"g.jpg", jpeg_file(24, 16, 1, {pixels.begin(), pixels.begin() + 24 * 16})},
          {"x.wav", wav_file(16000, 2, {1, -2, 3, -4, 5, -6})},
          {"x.npz", npz_file()},
          {"x.npy", save_npy(Tensor::floats({2, 2}, {1, 2, 3, 4}))},
          {"x.csv", "a,b\n1,2\n\"3\",4e2\n"},
          {"l.txt", "a.npy,1\nb.npy,\"2\"\n"}};
}

std::string mutant(std::string bytes, std::mt19937_64& random) {
  for (size_t k = 1 + random() % 4; k-- > 0 && !bytes.empty();) {
    size_t at = random() % bytes.size();
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.erase(at, 1 + random() % 8);
        break;
      default:
        bytes.insert(at, bytes.substr(random() % bytes.size(), 1 + random() % 8));
        break;
    }
  }
  return bytes;
}

/// Opens the file as data for a model and loads its samples; false when it is refused, properly.
bool accepted(const fs::path& path) {
  auto check = [&](const Diagnostic& d) {
    CHECK(d.message.ends_with('.'));
    CHECK(!d.file.empty());
  };
  std::vector<ModelInput> inputs{{"x", TensorType{DType::f32, {1, 16, 24, 3}, {}}}};
  DataOptions options{.path = path, .preparation = {.resize = ResizeMode::bilinear}};
  if (Result<Dataset> data = Dataset::open(options, inputs); !data)
    check(data.diagnostic());
  else if (Result<std::vector<Tensor>> sample = data->load(0); !sample)
    check(sample.diagnostic());
  if (!is_sample_file(path)) return true;
  Result<std::vector<StoredArray>> arrays = read_sample_file(path);
  if (!arrays) check(arrays.diagnostic());
  return arrays.ok();
}

}  // namespace

TEST_CASE("sample files that are cut off", "[fuzz]") {
  TemporaryFolder folder = *TemporaryFolder::create();
  for (const Seed& seed : seeds()) {
    INFO(seed.name);
    fs::path path = folder.path() / seed.name;
    REQUIRE(write_file(path, seed.bytes).ok());
    CHECK(accepted(path));
    for (size_t n = 0; n < seed.bytes.size(); n += 1 + seed.bytes.size() / 150) {
      REQUIRE(write_file(path, seed.bytes.substr(0, n)).ok());
      bool read = accepted(path);
      bool binary = path.extension() != ".csv" && path.extension() != ".txt";
      if (read && binary) FAIL_CHECK(fmt::format("{} of {} bytes were taken for the whole", n, seed.bytes.size()));
    }
  }
}

TEST_CASE("sample files with damaged bytes", "[fuzz]") {
  TemporaryFolder folder = *TemporaryFolder::create();
  std::mt19937_64 random(11);
  for (const Seed& seed : seeds()) {
    INFO(seed.name);
    fs::path path = folder.path() / seed.name;
    for (int k = 0; k < 250; ++k) {
      REQUIRE(write_file(path, mutant(seed.bytes, random)).ok());
      accepted(path);
    }
  }
}
