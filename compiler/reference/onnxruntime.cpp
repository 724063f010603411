// SPDX-License-Identifier: Apache-2.0
// The C ABI of ONNX Runtime is a table of function pointers to which functions are only ever appended, so the few that are
// needed are named here by their place. Every handle is opaque; a function that can fail returns a status that is null
// for success.
#include "compiler/reference/onnxruntime.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

namespace kiln {
namespace {

namespace fs = std::filesystem;

using Handle = void*;
using OrtStatusHandle = void*;
constexpr uint32_t kApiVersion = 17;
constexpr int kLogFatalOnly = 4;

struct ApiBase {
  const void* (*get_api)(uint32_t version);
  const char* (*version_string)();
};

struct Api {
  using Function = void (*)();
  using Release = void(Handle);
  using TypeInfoGetter = OrtStatusHandle(const void* session, size_t index, Handle* type_info);
  using NameGetter = OrtStatusHandle(const void* session, size_t index, Handle allocator, char** name);
  using CountGetter = OrtStatusHandle(const void* session, size_t* count);

  const char* (*error_message)(const void* status);
  OrtStatusHandle (*create_env)(int log_level, const char* id, Handle* env);
  OrtStatusHandle (*disable_telemetry)(const void* env);
  OrtStatusHandle (*create_session)(const void* env, const void* data, size_t bytes, const void* options, Handle* session);
  OrtStatusHandle (*run)(Handle session, const void* run_options, const char* const* input_names, const Handle* inputs, size_t n,
                         const char* const* output_names, size_t m, Handle* outputs);
  OrtStatusHandle (*create_options)(Handle* options);
  OrtStatusHandle (*set_optimization)(Handle options, int level);
  OrtStatusHandle (*set_intra_threads)(Handle options, int threads);
  OrtStatusHandle (*set_inter_threads)(Handle options, int threads);
  CountGetter *input_count, *output_count;
  TypeInfoGetter *input_type, *output_type;
  NameGetter *input_name, *output_name;
  OrtStatusHandle (*create_tensor)(const void* memory, void* data, size_t bytes, const int64_t* dims, size_t rank, int type, Handle* value);
  OrtStatusHandle (*tensor_data)(Handle value, void** data);
  OrtStatusHandle (*cast_to_tensor_info)(const void* type_info, const void** tensor_info);
  OrtStatusHandle (*element_type)(const void* tensor_info, int* type);
  OrtStatusHandle (*rank)(const void* tensor_info, size_t* rank);
  OrtStatusHandle (*dims)(const void* tensor_info, int64_t* dims, size_t rank);
  OrtStatusHandle (*value_info)(const void* value, Handle* tensor_info);
  OrtStatusHandle (*cpu_memory)(int allocator_type, int memory_type, Handle* memory);
  OrtStatusHandle (*free_memory)(Handle allocator, void* memory);
  OrtStatusHandle (*default_allocator)(Handle* allocator);
  Release *release_env, *release_status, *release_memory, *release_session, *release_value, *release_type_info, *release_tensor_info,
      *release_options;
};

Api bind_api(const void* api) {
  auto table = static_cast<const Api::Function*>(api);
  auto at = [&]<class F>(F*& function, size_t slot) { function = reinterpret_cast<F*>(table[slot]); };
  Api a{};
  at(a.error_message, 2), at(a.create_env, 3), at(a.disable_telemetry, 6), at(a.create_session, 8), at(a.run, 9), at(a.create_options, 10);
  at(a.set_optimization, 23), at(a.set_intra_threads, 24), at(a.set_inter_threads, 25);
  at(a.input_count, 30), at(a.output_count, 31), at(a.input_type, 33), at(a.output_type, 34);
  at(a.input_name, 36), at(a.output_name, 37), at(a.create_tensor, 49), at(a.tensor_data, 51);
  at(a.cast_to_tensor_info, 55), at(a.element_type, 60), at(a.rank, 61), at(a.dims, 62), at(a.value_info, 65);
  at(a.cpu_memory, 69), at(a.free_memory, 76), at(a.default_allocator, 78);
  at(a.release_env, 92), at(a.release_status, 93), at(a.release_memory, 94), at(a.release_session, 95), at(a.release_value, 96);
  at(a.release_type_info, 98), at(a.release_tensor_info, 99), at(a.release_options, 100);
  return a;
}

/// A handle and the table function that releases it.
using Owned = std::unique_ptr<void, Api::Release*>;

/// Element types are the numbers of ONNX's TensorProto.
constexpr std::pair<int, DType> kElementTypes[] = {{1, DType::f32},   {2, DType::u8},   {3, DType::i8},   {4, DType::u16},
                                                   {5, DType::i16},   {6, DType::i32},  {7, DType::i64},  {9, DType::boolean},
                                                   {10, DType::f16},  {11, DType::f64}, {12, DType::u32}, {13, DType::u64},
                                                   {16, DType::bf16}, {21, DType::u4},  {22, DType::i4}};

int element_type_of(DType dtype) {
  return std::find_if(std::begin(kElementTypes), std::end(kElementTypes), [&](const auto& row) { return row.second == dtype; })->first;
}

std::optional<DType> dtype_of_element_type(int type) {
  for (const auto& [number, dtype] : kElementTypes)
    if (number == type) return dtype;
  return std::nullopt;
}

bool is_packed(DType dtype) { return dtype == DType::i4 || dtype == DType::u4; }

/// ONNX Runtime stores two 4-bit elements in a byte, the first in the low half.
std::vector<std::byte> pack_nibbles(std::span<const std::byte> elements) {
  std::vector<std::byte> packed((elements.size() + 1) / 2);
  for (size_t i = 0; i < elements.size(); ++i) packed[i / 2] |= (elements[i] & std::byte{15}) << (i % 2 * 4);
  return packed;
}

void unpack_nibbles(const std::byte* packed, Tensor& tensor) {
  std::span<std::byte> elements = tensor.bytes();
  for (size_t i = 0; i < elements.size(); ++i) {
    std::byte nibble = (packed[i / 2] >> (i % 2 * 4)) & std::byte{15};
    bool negative = tensor.type.dtype == DType::i4 && (nibble & std::byte{8}) != std::byte{0};
    elements[i] = negative ? nibble | std::byte{0xf0} : nibble;
  }
}

std::vector<fs::path> library_candidates() {
  constexpr const char* kFile = "libonnxruntime.so.1";
  std::vector<fs::path> paths{fs::path(KILN_DEPS_DIR) / "onnxruntime" / kFile};
  std::error_code ec;
  fs::path program = fs::read_symlink("/proc/self/exe", ec);
  if (!ec) paths.push_back(program.parent_path().parent_path() / "lib" / "kiln" / kFile);
  return paths;
}

Result<fs::path> find_library() {
  std::error_code ec;
  const char* hint = "run scripts/setup, or set KILN_ONNXRUNTIME to libonnxruntime.so.1.";
  if (const char* chosen = std::getenv("KILN_ONNXRUNTIME"); chosen && *chosen) {
    if (fs::is_regular_file(chosen, ec)) return fs::path(chosen);
    return error(DiagId::onnxruntime_missing, fmt::format("ONNX Runtime is not at '{}', where KILN_ONNXRUNTIME says.", chosen), hint);
  }
  for (const fs::path& path : library_candidates())
    if (fs::is_regular_file(path, ec)) return path;
  return error(DiagId::onnxruntime_missing, "ONNX Runtime is not installed, and this needs it to compare with.", hint);
}

/// The words of ONNX Runtime as one sentence of ours.
Diagnostic ort_failure(std::string_view what, std::string words) {
  std::replace(words.begin(), words.end(), '\n', ' ');
  while (!words.empty() && (words.back() == ' ' || words.back() == '.')) words.pop_back();
  return error(DiagId::onnxruntime_failed, fmt::format("ONNX Runtime cannot {}: {}.", what, words));
}

}  // namespace

struct OnnxRuntime::Library {
  Api api{};
  std::string version;
  Owned env{nullptr, nullptr};
  Owned memory{nullptr, nullptr};
  Handle allocator = nullptr;

  /// Consumes `status`.
  [[nodiscard]] Status check(OrtStatusHandle status, std::string_view what) const {
    if (!status) return Done{};
    Diagnostic failure = ort_failure(what, api.error_message(status));
    api.release_status(status);
    return failure;
  }
  Result<OrtTensorInfo> describe(Handle session, size_t index, Api::NameGetter* get_name, Api::TypeInfoGetter* get_type) const;
  Result<std::vector<OrtTensorInfo>> describe_all(Handle session, Api::CountGetter* get_count, Api::NameGetter* get_name,
                                                  Api::TypeInfoGetter* get_type) const;
  /// Element type and dimensions of a tensor info.
  Result<OrtTensorInfo> read_info(const void* tensor_info, const std::string& name) const;
  /// A value that reads `bytes`, which must outlive it.
  Result<Owned> wrap(const TensorType& type, std::span<const std::byte> bytes) const;
  Result<Tensor> copy_out(Handle value, const std::string& name) const;
};

struct OrtSession::State {
  std::shared_ptr<const OnnxRuntime::Library> library;
  Owned session{nullptr, nullptr};
  std::vector<OrtTensorInfo> inputs, outputs;
  std::vector<const char*> input_names, output_names;

  /// The inputs as ONNX Runtime values. 4-bit tensors are kept packed in `packed`.
  struct Feed {
    std::vector<std::vector<std::byte>> packed;
    std::vector<Owned> owned;
    std::vector<Handle> values;
  };
  Result<Feed> feed(const std::vector<Tensor>& tensors) const;
  Result<std::vector<Owned>> run(const Feed& feed) const;
};

Result<OnnxRuntime> OnnxRuntime::load() {
  Result<fs::path> path = find_library();
  if (!path) return path.diagnostic();
  // What ONNX Runtime would otherwise keep on disk and send: a device id and the names of models. It reads the variable while it is loaded.
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  // Never closed: the library leaves threads and exit handlers behind.
  void* loaded = dlopen(path->c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded) return ort_failure("be loaded", dlerror());
  auto get_base = reinterpret_cast<const ApiBase* (*)()>(dlsym(loaded, "OrtGetApiBase"));
  if (!get_base) return ort_failure("be loaded", fmt::format("'{}' has no function OrtGetApiBase", path->string()));
  const ApiBase* base = get_base();
  const void* table = base->get_api(kApiVersion);
  if (!table) return ort_failure("be used", fmt::format("version {} is too old for API {}", base->version_string(), kApiVersion));

  auto library = std::make_shared<Library>();
  library->api = bind_api(table);
  library->version = base->version_string();
  const Api& api = library->api;
  Handle handle = nullptr;
  if (Status s = library->check(api.create_env(kLogFatalOnly, "kiln", &handle), "start"); !s) return s.diagnostic();
  library->env = Owned(handle, api.release_env);
  if (Status s = library->check(api.disable_telemetry(handle), "turn telemetry off"); !s) return s.diagnostic();
  if (Status s = library->check(api.cpu_memory(0, 0, &handle), "start"); !s) return s.diagnostic();
  library->memory = Owned(handle, api.release_memory);
  if (Status s = library->check(api.default_allocator(&library->allocator), "start"); !s) return s.diagnostic();
  return OnnxRuntime(std::move(library));
}

std::string OnnxRuntime::version() const { return library_->version; }

Result<OrtSession> OnnxRuntime::open(std::string_view model, OrtOptimization optimization) {
  const Library& lib = *library_;
  const Api& api = lib.api;
  Handle handle = nullptr;
  if (Status s = lib.check(api.create_options(&handle), "make a session"); !s) return s.diagnostic();
  Owned options(handle, api.release_options);
  for (OrtStatusHandle status :
       {api.set_optimization(handle, static_cast<int>(optimization)), api.set_intra_threads(handle, 1), api.set_inter_threads(handle, 1)})
    if (Status s = lib.check(status, "set the session's options"); !s) return s.diagnostic();

  auto state = std::make_unique<OrtSession::State>();
  state->library = library_;
  if (Status s = lib.check(api.create_session(lib.env.get(), model.data(), model.size(), options.get(), &handle), "load the model"); !s)
    return s.diagnostic();
  state->session = Owned(handle, api.release_session);
  Result<std::vector<OrtTensorInfo>> inputs = lib.describe_all(handle, api.input_count, api.input_name, api.input_type);
  if (!inputs) return inputs.diagnostic();
  Result<std::vector<OrtTensorInfo>> outputs = lib.describe_all(handle, api.output_count, api.output_name, api.output_type);
  if (!outputs) return outputs.diagnostic();
  state->inputs = *std::move(inputs);
  state->outputs = *std::move(outputs);
  for (const OrtTensorInfo& t : state->inputs) state->input_names.push_back(t.name.c_str());
  for (const OrtTensorInfo& t : state->outputs) state->output_names.push_back(t.name.c_str());
  return OrtSession(std::move(state));
}

Result<std::vector<OrtTensorInfo>> OnnxRuntime::Library::describe_all(Handle session, Api::CountGetter* get_count,
                                                                      Api::NameGetter* get_name, Api::TypeInfoGetter* get_type) const {
  size_t count = 0;
  if (Status s = check(get_count(session, &count), "list the model's tensors"); !s) return s.diagnostic();
  std::vector<OrtTensorInfo> all;
  for (size_t i = 0; i < count; ++i) {
    Result<OrtTensorInfo> one = describe(session, i, get_name, get_type);
    if (!one) return one.diagnostic();
    all.push_back(*std::move(one));
  }
  return all;
}

Result<OrtTensorInfo> OnnxRuntime::Library::describe(Handle session, size_t index, Api::NameGetter* get_name,
                                                     Api::TypeInfoGetter* get_type) const {
  char* text = nullptr;
  if (Status s = check(get_name(session, index, allocator, &text), "name a tensor"); !s) return s.diagnostic();
  std::string name = text;
  if (Status s = check(api.free_memory(allocator, text), "free memory"); !s) return s.diagnostic();
  Handle type = nullptr;
  if (Status s = check(get_type(session, index, &type), "describe a tensor"); !s) return s.diagnostic();
  Owned owned(type, api.release_type_info);
  const void* info = nullptr;
  if (Status s = check(api.cast_to_tensor_info(type, &info), "describe a tensor"); !s) return s.diagnostic();
  if (!info) return ort_failure("be compared with", fmt::format("'{}' is no tensor but a sequence, map or optional", name));
  return read_info(info, name);
}

Result<OrtTensorInfo> OnnxRuntime::Library::read_info(const void* info, const std::string& name) const {
  int type = 0;
  size_t rank = 0;
  if (Status s = check(api.element_type(info, &type), "describe a tensor"); !s) return s.diagnostic();
  if (Status s = check(api.rank(info, &rank), "describe a tensor"); !s) return s.diagnostic();
  std::vector<int64_t> dims(rank);
  if (Status s = check(api.dims(info, dims.data(), rank), "describe a tensor"); !s) return s.diagnostic();
  std::optional<DType> dtype = dtype_of_element_type(type);
  if (!dtype) return ort_failure("be compared with", fmt::format("'{}' has ONNX element type {}, which kiln does not have", name, type));
  return OrtTensorInfo{name, *dtype, std::move(dims)};
}

Result<Owned> OnnxRuntime::Library::wrap(const TensorType& type, std::span<const std::byte> bytes) const {
  static std::byte nothing;
  // The ABI takes a mutable pointer for inputs too; ONNX Runtime does not write to them.
  void* data = bytes.empty() ? &nothing : const_cast<std::byte*>(bytes.data());
  Handle value = nullptr;
  if (Status s = check(
          api.create_tensor(memory.get(), data, bytes.size(), type.shape.data(), type.shape.size(), element_type_of(type.dtype), &value),
          "take an input");
      !s)
    return s.diagnostic();
  return Owned(value, api.release_value);
}

Result<Tensor> OnnxRuntime::Library::copy_out(Handle value, const std::string& name) const {
  Handle handle = nullptr;
  if (Status s = check(api.value_info(value, &handle), "describe a result"); !s) return s.diagnostic();
  Owned owned(handle, api.release_tensor_info);
  Result<OrtTensorInfo> info = read_info(handle, name);
  if (!info) return info.diagnostic();
  if (Status s = check_shape(info->dims); !s) return s.diagnostic();
  Tensor tensor(TensorType{info->dtype, info->dims, {}});
  if (tensor.bytes().empty()) return tensor;
  void* data = nullptr;
  if (Status s = check(api.tensor_data(value, &data), "return a result"); !s) return s.diagnostic();
  auto source = static_cast<const std::byte*>(data);
  if (is_packed(info->dtype))
    unpack_nibbles(source, tensor);
  else
    std::copy_n(source, tensor.bytes().size(), tensor.bytes().data());
  return tensor;
}

Result<OrtSession::State::Feed> OrtSession::State::feed(const std::vector<Tensor>& tensors) const {
  KILN_CHECK(tensors.size() == inputs.size(), fmt::format("{} tensors for {} inputs", tensors.size(), inputs.size()));
  Feed feed;
  feed.packed.resize(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i];
    std::span<const std::byte> bytes = tensor.bytes();
    if (is_packed(tensor.type.dtype)) bytes = feed.packed[i] = pack_nibbles(bytes);
    Result<Owned> value = library->wrap(tensor.type, bytes);
    if (!value) return value.diagnostic();
    feed.values.push_back(value->get());
    feed.owned.push_back(*std::move(value));
  }
  return feed;
}

Result<std::vector<Owned>> OrtSession::State::run(const Feed& feed) const {
  const Api& api = library->api;
  std::vector<Handle> results(outputs.size(), nullptr);
  Status status = library->check(api.run(session.get(), nullptr, input_names.data(), feed.values.data(), feed.values.size(),
                                         output_names.data(), results.size(), results.data()),
                                 "run the model");
  std::vector<Owned> owned;
  for (Handle value : results) owned.emplace_back(value, api.release_value);
  if (!status) return status.diagnostic();
  return owned;
}

OrtSession::OrtSession(std::unique_ptr<State> state) : state_(std::move(state)) {}
OrtSession::OrtSession(OrtSession&&) noexcept = default;
OrtSession& OrtSession::operator=(OrtSession&&) noexcept = default;
OrtSession::~OrtSession() = default;

const std::vector<OrtTensorInfo>& OrtSession::inputs() const { return state_->inputs; }
const std::vector<OrtTensorInfo>& OrtSession::outputs() const { return state_->outputs; }

Result<std::vector<Tensor>> OrtSession::run(const std::vector<Tensor>& inputs) {
  Result<State::Feed> feed = state_->feed(inputs);
  if (!feed) return feed.diagnostic();
  Result<std::vector<Owned>> values = state_->run(*feed);
  if (!values) return values.diagnostic();
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < values->size(); ++i) {
    Result<Tensor> tensor = state_->library->copy_out((*values)[i].get(), state_->outputs[i].name);
    if (!tensor) return tensor.diagnostic();
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

Result<int64_t> OrtSession::time_run(const std::vector<Tensor>& inputs, int runs) {
  Result<State::Feed> feed = state_->feed(inputs);
  if (!feed) return feed.diagnostic();
  std::vector<int64_t> times;
  for (int i = -1; i < std::max(runs, 1); ++i) {
    auto start = std::chrono::steady_clock::now();
    Result<std::vector<Owned>> values = state_->run(*feed);
    auto end = std::chrono::steady_clock::now();
    if (!values) return values.diagnostic();
    if (i >= 0) times.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(end - start).count());
  }
  auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

}  // namespace kiln
