// SPDX-License-Identifier: Apache-2.0
// Damaged models: whatever the bytes, the compiler ends soon, with little memory, without a crash, with files or with messages
// (model_trial.h). The mutants come from fixed seeds and are made of models written here and, where it is installed, of the models of
// Debian's libonnx-testdata, which has every operator. model_fuzzer.cpp goes on without end.
//
// KILN_MUTANTS=N makes N times as many; KILN_MUTANT_SEED=N other ones.
#include "tests/fuzz/model_mutator.h"
#include "tests/fuzz/model_trial.h"

#include <cstdlib>

#include "compiler/ops/ops.h"
#include "tests/kiln_command.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kGraphs[] = {
    "convolutional (float[N,3,8,8] x) => (float[N,4] y) <float[4,3,3,3] w, float[4] b, float[4,4] "
    "g, int64[2] s = {0, 4}> {"
    " c = Conv <strides = [2,2], pads = [1,1,1,1], kernel_shape = [3,3], group = 1> (x, w, b) n = "
    "BatchNormalization <epsilon = 0.001> (c, b, b, b, b)"
    " r = Clip (n) p = MaxPool <kernel_shape = [2,2], strides = [2,2], ceil_mode = 1> (r) a = "
    "AveragePool <kernel_shape = [2,2]> (p)"
    " f = GlobalAveragePool (a) v = Reshape (f, s) d = Gemm <transB = 1, alpha = 0.5> (v, g, b) y "
    "= Softmax <axis = -1> (d) }",
    "moving (float[2,3,4] x) => (float[?,?,?] y) <int64[3] a = {0,1,0}, int64[3] e = {2,3,9}, "
    "int64[3] i = {1,1,2}, int64[2] parts = {1,1},"
    " int64[1] axis = {0}, int64[6] pads = {0,1,0,0,1,0}, float value = {1}, int64[3] reps = "
    "{1,2,1}, int64[2] pick = {1,0}> {"
    " t = Transpose <perm = [0,2,1]> (x) s = Slice (x, a, e, axes, i) axes = Constant <value_ints "
    "= [0,1,2]> ()"
    " p, q = Split <axis = 0> (s, parts) c = Concat <axis = -1> (p, q, p) u = Unsqueeze (c, axis) "
    "v = Squeeze (u, axis) w = Pad <mode = \"constant\"> (v, pads, value)"
    " k = Tile (w, reps) g = Gather <axis = 1> (k, pick) z = ReduceMean <axes = [1], keepdims = 1> "
    "(t) f = Flatten <axis = 1> (g) y = Where (m, o, o)"
    " o = Expand (z, h) h = Shape (t) m = Greater (o, o) }",
    "elementwise (float[2,3] x, float[3] z) => (float[2,3] y) <float[3] w = {1,2,3}, int64 n = "
    "{2}> {"
    " a = Add (x, z) b = Mul (a, w) c = Sigmoid (b) d = LeakyRelu <alpha = 0.1> (c) e = Div (d, w) "
    "f = Pow (e, g) g = Cast <to = 1> (n)"
    " h = MatMul (f, i) i = Constant <value = float[3,3] {1,2,3,4,5,6,7,8,9}> () j = Max (h, a, z) "
    "k = PRelu (j, w) l = HardSigmoid <alpha = 0.3> (k)"
    " m = Erf (l) o = Clip (m, lo, hi) lo = Constant <value_float = -1.0> () hi = Constant "
    "<value_float = 1.0> () y = Identity (o) }",
    "resizing (float[1,2,4,4] x) => (float[1,2,?,?] y) <float[4] scales = {1,1,2,2}, float[0] roi> "
    "{"
    " y = Resize <mode = \"linear\", coordinate_transformation_mode = \"half_pixel\"> (x, roi, "
    "scales) }",
};

constexpr const char* kFunctions = R"(
<ir_version: 8, opset_import: ["" : 13, "local" : 1]>
with_functions (float[2,3] x) => (float[2,3] y) <bool c = {1}> {
  a = local.outer <slope = 0.25> (x)
  y = If (c) <then_branch = g1 () => (float[2,3] u) { u = Relu(a) }, else_branch = g2 () => (float[2,3] v) { v = local.outer(a) }>
}
<domain: "local", opset_import: ["" : 13, "local" : 1]>
outer <slope> (p) => (q) { t = local.inner <alpha : float = @slope> (p)  q = Add(t, p) }
<domain: "local", opset_import: ["" : 13]>
inner <alpha> (t) => (r) { r = LeakyRelu <alpha : float = @alpha> (t) })";

/// Models that reach far into the importers: written here, so that they are always there.
std::vector<onnx::ModelProto> written_models() {
  std::vector<onnx::ModelProto> models{parse_onnx(kFunctions)};
  for (const char* graph : kGraphs) models.push_back(graph_model(graph));
  for (onnx::ModelProto& model : models)  // initializers that the text leaves empty
    for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
      int64_t count = 1;
      for (int64_t dim : tensor.dims()) count *= dim;
      for (int64_t i = tensor.float_data_size(); tensor.data_type() == 1 && i < count; ++i)
        tensor.add_float_data(0.25f * static_cast<float>(i % 7));
    }
  return models;
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Sanitizers make everything slower.
uint64_t mutants(uint64_t usual) { return std::max<uint64_t>(1, usual / (kSanitized ? 8 : 1)) * number_from("KILN_MUTANTS", 1); }
Random random_of(uint64_t seed) { return Random(seed + 1'000'003 * number_from("KILN_MUTANT_SEED", 0)); }

struct Seed {
  std::string name;
  onnx::ModelProto model;
};

/// Small models that are there; the large ones would mostly test how long copying takes.
std::vector<Seed> seeds() {
  std::vector<Seed> out;
  for (onnx::ModelProto& model : written_models()) out.push_back({fmt::format("written model {}", out.size()), std::move(model)});
  std::vector<fs::path> folders;
  for (const char* part : {"node", "simple", "pytorch-operator", "pytorch-converted"})
    if (const fs::path root = fs::path("/usr/share/libonnx-testdata/data") / part; fs::exists(root))
      for (const fs::directory_entry& entry : fs::directory_iterator(root)) folders.push_back(entry.path());
  if (folders.empty()) WARN("only models written here are used: there is no libonnx-testdata");
  std::sort(folders.begin(), folders.end());
  for (const fs::path& folder : folders) {
    Result<std::string> bytes = read_file(folder / "model.onnx");
    onnx::ModelProto model;
    if (bytes && bytes->size() < 20'000 && model.ParseFromString(*bytes)) out.push_back({folder.filename().string(), std::move(model)});
  }
  return out;
}

/// Words of a model, and every operator.
std::vector<std::string> words_of(const onnx::ModelProto& model) {
  std::vector<std::string> texts;
  collect_texts(model, texts);
  for (const OpDef* op : op_table().all()) texts.emplace_back(op->onnx.type);
  return texts;
}

void check(ModelTrial& trial, const std::string& bytes, const std::string& label) {
  if (std::string problem = trial.run(bytes, label); !problem.empty()) FAIL_CHECK(label << ": " << problem);
}

}  // namespace

TEST_CASE("models with damaged bytes", "[fuzz]") {
  ModelTrial trial;
  const std::vector<Seed> models = seeds();
  Random random = random_of(1000);
  for (uint64_t k = 0; k < mutants(4'000); ++k) {
    const Seed& seed = models[below(random, models.size())];
    check(trial, mutate_bytes(seed.model.SerializeAsString(), random), fmt::format("bytes mutant {} of {}", k, seed.name));
  }
  CHECK(trial.accepted() > 0);
}

TEST_CASE("models with damaged fields", "[fuzz]") {
  ModelTrial trial;
  const std::vector<Seed> models = seeds();
  Random random = random_of(2000);
  for (uint64_t k = 0; k < mutants(18'000); ++k) {
    const Seed& seed = models[below(random, models.size())];
    check(trial, mutate_fields(seed.model, random, words_of(seed.model)), fmt::format("fields mutant {} of {}", k, seed.name));
  }
  CHECK(trial.accepted() > 0);
}

TEST_CASE("kiln on damaged models leaves a whole bundle or nothing", "[fuzz]") {
  const std::vector<Seed> models = seeds();
  Random random = random_of(3000);
  const TemporaryFolder folder = temporary_folder();
  int accepted = 0;
  for (uint64_t k = 0; k < mutants(120); ++k) {
    const Seed& seed = models[below(random, models.size())];
    INFO("mutant " << k << " of " << seed.name);
    REQUIRE(write_file(folder.path() / "m.onnx", mutate_fields(seed.model, random, words_of(seed.model))).ok());
    const ProcessResult run = kiln_in(folder.path(), {"compile", "m.onnx", "-o", "out"});
    CHECK(run.signal == 0);
    CHECK((run.exit_code == 0 || run.exit_code == 2 || run.exit_code == 3));
    CHECK(fs::exists(folder.path() / "out/manifest.json") == (run.exit_code == 0));
    accepted += run.exit_code == 0;
    fs::remove_all(folder.path() / "out");
    CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator{}) == 1);  // nothing beside it
  }
  CHECK(accepted > 0);
}
