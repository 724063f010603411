// SPDX-License-Identifier: Apache-2.0
// Damaged models: whatever the bytes, import ends soon, without a crash, with a well-formed graph
// or with messages.
//
// Two kinds of mutants, from fixed seeds: of the bytes of the file, which mostly tests protobuf's
// guards, and of single fields of the message, which reaches far into the importers of the
// operators. KILN_MUTANTS=N makes N times as many.
#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <chrono>
#include <cstdlib>
#include <limits>
#include <random>

#include "compiler/ir/verify.h"
#include "tests/onnx_models.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;
namespace pb = google::protobuf;

namespace {

using Random = std::mt19937_64;
size_t below(Random& random, size_t n) { return static_cast<size_t>(random() % n); }

int mutants_per_model(int usual) {
  const char* factor = std::getenv("KILN_MUTANTS");
  return usual * (factor ? std::max(1, std::atoi(factor)) : 1);
}

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

std::vector<onnx::ModelProto> seeds() {
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

// ---- mutation of fields

struct FieldRef {
  pb::Message* message;
  const pb::FieldDescriptor* field;
};

void collect(pb::Message& message, std::vector<FieldRef>& out) {
  std::vector<const pb::FieldDescriptor*> present;
  message.GetReflection()->ListFields(message, &present);
  for (const pb::FieldDescriptor* field : present) {
    out.push_back({&message, field});
    if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const pb::Reflection& r = *message.GetReflection();
    int count = field->is_repeated() ? r.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i)
      collect(field->is_repeated() ? *r.MutableRepeatedMessage(&message, field, i)
                                   : *r.MutableMessage(&message, field),
              out);
  }
}

int64_t some_integer(Random& random) {
  constexpr int64_t kChoices[] = {0,
                                  1,
                                  -1,
                                  2,
                                  3,
                                  4,
                                  7,
                                  8,
                                  9,
                                  16,
                                  100,
                                  1000,
                                  65536,
                                  1 << 24,
                                  1 << 30,
                                  std::numeric_limits<int32_t>::max(),
                                  int64_t{1} << 31,
                                  int64_t{1} << 40,
                                  std::numeric_limits<int64_t>::max(),
                                  std::numeric_limits<int64_t>::min(),
                                  -2,
                                  -3,
                                  -100,
                                  std::numeric_limits<int32_t>::min()};
  return kChoices[below(random, std::size(kChoices))];
}

double some_number(Random& random) {
  constexpr double kChoices[] = {0,
                                 1,
                                 -1,
                                 0.5,
                                 1e-30,
                                 1e30,
                                 -1e30,
                                 std::numeric_limits<float>::infinity(),
                                 std::numeric_limits<float>::quiet_NaN()};
  return kChoices[below(random, std::size(kChoices))];
}

// Another name of the model, an operator, or something odd.
std::string some_text(Random& random, const std::vector<std::string>& texts) {
  constexpr const char* kChoices[] = {
      "",        "x",       "y",       "Add",     "Conv",          "Concat", "Split",
      "Squeeze", "Gather",  "If",      "Loop",    "Gemm",          "MatMul", "SAME_UPPER",
      "VALID",   "nearest", "reflect", "ai.onnx", "com.microsoft", "\xff",   "a\nb"};
  size_t i = below(random, std::size(kChoices) + texts.size());
  return i < texts.size() ? texts[i] : kChoices[i - texts.size()];
}

void set_value(Random& random, const FieldRef& ref, int index,
               const std::vector<std::string>& texts) {
  const pb::Reflection& r = *ref.message->GetReflection();
  pb::Message* m = ref.message;
  const pb::FieldDescriptor* f = ref.field;
  bool list = f->is_repeated();
  auto integer = some_integer(random);
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32: {
      auto v = static_cast<int32_t>(
          random() % 2 ? integer : static_cast<int64_t>(random() % 26));  // data types
      return list ? r.SetRepeatedInt32(m, f, index, v) : r.SetInt32(m, f, v);
    }
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return list ? r.SetRepeatedInt64(m, f, index, integer) : r.SetInt64(m, f, integer);
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return list ? r.SetRepeatedUInt64(m, f, index, static_cast<uint64_t>(integer))
                  : r.SetUInt64(m, f, static_cast<uint64_t>(integer));
    case pb::FieldDescriptor::CPPTYPE_FLOAT: {
      auto v = static_cast<float>(some_number(random));
      return list ? r.SetRepeatedFloat(m, f, index, v) : r.SetFloat(m, f, v);
    }
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return list ? r.SetRepeatedDouble(m, f, index, some_number(random))
                  : r.SetDouble(m, f, some_number(random));
    case pb::FieldDescriptor::CPPTYPE_STRING: {
      std::string v = some_text(random, texts);
      return list ? r.SetRepeatedString(m, f, index, v) : r.SetString(m, f, v);
    }
    case pb::FieldDescriptor::CPPTYPE_ENUM: {
      const pb::EnumDescriptor* e = f->enum_type();
      const auto* v =
          e->value(static_cast<int>(below(random, static_cast<size_t>(e->value_count()))));
      return list ? r.SetRepeatedEnum(m, f, index, v) : r.SetEnum(m, f, v);
    }
    default:
      break;
  }
}

void add_copy(pb::Message* m, const pb::FieldDescriptor* f, int i) {
  const pb::Reflection& r = *m->GetReflection();
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return r.AddInt32(m, f, r.GetRepeatedInt32(*m, f, i));
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return r.AddInt64(m, f, r.GetRepeatedInt64(*m, f, i));
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return r.AddFloat(m, f, r.GetRepeatedFloat(*m, f, i));
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return r.AddString(m, f, r.GetRepeatedString(*m, f, i));
    case pb::FieldDescriptor::CPPTYPE_MESSAGE: {
      // Copied first: the list may move when it grows.
      std::unique_ptr<pb::Message> copy(r.GetRepeatedMessage(*m, f, i).New());
      copy->CopyFrom(r.GetRepeatedMessage(*m, f, i));
      return r.AddMessage(m, f)->CopyFrom(*copy);
    }
    default:
      break;
  }
}

std::string mutate_fields(onnx::ModelProto model, Random& random,
                          const std::vector<std::string>& texts) {
  for (size_t k = 1 + below(random, 3); k-- > 0;) {
    std::vector<FieldRef> fields;
    collect(model, fields);
    FieldRef ref = fields[below(random, fields.size())];
    const pb::Reflection& r = *ref.message->GetReflection();
    int count = ref.field->is_repeated() ? r.FieldSize(*ref.message, ref.field) : 0;
    int at = count > 0 ? static_cast<int>(below(random, static_cast<size_t>(count))) : 0;
    size_t what = below(random, 10);
    if (what == 0)
      r.ClearField(ref.message, ref.field);
    else if (what == 1 && count > 0)
      r.RemoveLast(ref.message, ref.field);
    else if (what == 2 && count > 0)
      add_copy(ref.message, ref.field, at);
    else if (what == 3 && count > 1)
      r.SwapElements(ref.message, ref.field, at, 0);
    else
      set_value(random, ref, at, texts);
  }
  return model.SerializeAsString();
}

std::string mutate_bytes(std::string bytes, Random& random) {
  for (size_t k = 1 + below(random, 4); k-- > 0 && !bytes.empty();) {
    size_t at = below(random, bytes.size());
    size_t length = 1 + below(random, std::min<size_t>(bytes.size() - at, 16));
    switch (below(random, 6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(below(random, bytes.size()), length));
        break;
      case 4:
        bytes[at] = random() % 2 ? '\xff' : '\0';
        break;
      default:
        bytes.resize(random() % 8 ? bytes.size() : at);
        break;
    }
  }
  return bytes;
}

void collect_texts(const onnx::ModelProto& model, std::vector<std::string>& out) {
  for (const onnx::NodeProto& node : model.graph().node()) {
    out.push_back(node.op_type());
    out.insert(out.end(), node.input().begin(), node.input().end());
    out.insert(out.end(), node.output().begin(), node.output().end());
    for (const onnx::AttributeProto& a : node.attribute()) out.push_back(a.name());
  }
}

// Imports mutants, and remembers how that went.
class Runner {
 public:
  Runner() : folder_(*TemporaryFolder::create()) {}

  void run(const std::string& bytes, const std::string& label) {
    fs::path path = folder_.path() / "mutant.onnx";
    REQUIRE(write_file(path, bytes).ok());
    Diagnostics diagnostics;
    auto start = std::chrono::steady_clock::now();
    std::optional<ImportedModel> model = import_model(path, {}, diagnostics);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (seconds.count() > kMostSeconds) FAIL_CHECK(label << " took " << seconds.count() << " s");
    if (model.has_value() == diagnostics.has_errors())
      FAIL_CHECK(label << ": result and messages disagree");
    for (const Diagnostic& d : diagnostics.all())
      if (d.message.empty() || d.message.back() != '.')
        FAIL_CHECK(label << ": no proper message: '" << d.message << "'");
    if (!model) return;
    ++accepted_;
    if (Status s = verify(model->graph); !s) FAIL_CHECK(label << ": " << s.diagnostic().message);
  }
  [[nodiscard]] int accepted() const { return accepted_; }

 private:
  static constexpr double kMostSeconds = 10;  // generous: sanitizers, and other work on the machine
  TemporaryFolder folder_;
  int accepted_ = 0;
};

}  // namespace

TEST_CASE("models with damaged bytes", "[fuzz]") {
  Runner runner;
  std::vector<std::string> files;
  for (const onnx::ModelProto& model : seeds()) files.push_back(model.SerializeAsString());
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(KILN_SOURCE_DIR) / "tests/data"))
    if (entry.path().extension() == ".onnx") files.push_back(*read_file(entry.path()));
  for (size_t i = 0; i < files.size(); ++i) {
    Random random(1000 + i);
    for (int k = 0; k < mutants_per_model(300); ++k)
      runner.run(mutate_bytes(files[i], random), fmt::format("file {} bytes mutant {}", i, k));
  }
  CHECK(runner.accepted() > 0);
}

TEST_CASE("models with damaged fields", "[fuzz]") {
  Runner runner;
  std::vector<onnx::ModelProto> models = seeds();
  for (size_t i = 0; i < models.size(); ++i) {
    Random random(2000 + i);
    std::vector<std::string> texts;
    collect_texts(models[i], texts);
    runner.run(models[i].SerializeAsString(), fmt::format("model {} itself", i));
    for (int k = 0; k < mutants_per_model(700); ++k)
      runner.run(mutate_fields(models[i], random, texts),
                 fmt::format("model {} fields mutant {}", i, k));
  }
  CHECK(runner.accepted() > 0);
}
