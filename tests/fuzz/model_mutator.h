// SPDX-License-Identifier: Apache-2.0
// Damaged ONNX models, from a random generator: bytes of the file, which mostly tests protobuf's guards, and single fields of the
// message, which reaches far into the importers of the operators.
#pragma once

#include <google/protobuf/message.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace kiln::test {

namespace pb = google::protobuf;

using Random = std::mt19937_64;
inline size_t below(Random& random, size_t n) { return static_cast<size_t>(random() % n); }

struct FieldRef {
  pb::Message* message;
  const pb::FieldDescriptor* field;
};

inline void collect(pb::Message& message, std::vector<FieldRef>& out) {
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

inline int64_t some_integer(Random& random) {
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

inline double some_number(Random& random) {
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
inline std::string some_text(Random& random, const std::vector<std::string>& texts) {
  constexpr const char* kChoices[] = {
      "",        "x",       "y",       "Add",     "Conv",          "Concat", "Split",
      "Squeeze", "Gather",  "If",      "Loop",    "Gemm",          "MatMul", "SAME_UPPER",
      "VALID",   "nearest", "reflect", "ai.onnx", "com.microsoft", "\xff",   "a\nb"};
  size_t i = below(random, std::size(kChoices) + texts.size());
  return i < texts.size() ? texts[i] : kChoices[i - texts.size()];
}

inline void set_value(Random& random, const FieldRef& ref, int index,
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
      // The numbers of a tensor that are stored as bytes: one of them.
      if (f->type() == pb::FieldDescriptor::TYPE_BYTES && !list && r.GetString(*m, f).size() >= sizeof(int64_t) && random() % 4) {
        std::string bytes = r.GetString(*m, f);
        const auto number = static_cast<float>(some_number(random));
        if (random() % 2) bytes.replace(below(random, bytes.size() / 8) * 8, sizeof integer, reinterpret_cast<const char*>(&integer), sizeof integer);
        else bytes.replace(below(random, bytes.size() / 4) * 4, sizeof number, reinterpret_cast<const char*>(&number), sizeof number);
        return r.SetString(m, f, std::move(bytes));
      }
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

inline void add_copy(pb::Message* m, const pb::FieldDescriptor* f, int i) {
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

/// Gives a node one more attribute, of a name that many operators know.
inline void add_attribute(onnx::ModelProto& model, Random& random) {
  constexpr const char* kIntegers[] = {"axis", "keepdims", "group", "ceil_mode", "to", "transA", "block_size", "hidden_size", "num_outputs", "k", "exclusive"};
  constexpr const char* kLists[] = {"axes", "perm", "pads", "strides", "dilations", "kernel_shape", "output_shape", "output_padding", "split", "value_ints"};
  if (model.graph().node_size() == 0) return;
  onnx::NodeProto* node = model.mutable_graph()->mutable_node(static_cast<int>(below(random, static_cast<size_t>(model.graph().node_size()))));
  onnx::AttributeProto* attribute = node->add_attribute();
  if (random() % 2) {
    attribute->set_name(kIntegers[below(random, std::size(kIntegers))]);
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(some_integer(random));
    return;
  }
  attribute->set_name(kLists[below(random, std::size(kLists))]);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (size_t n = below(random, 6); n-- > 0;) attribute->add_ints(random() % 3 ? static_cast<int64_t>(random() % 4) : some_integer(random));
}

/// The model with one to three changes. `texts`: words that names are replaced by, besides odd ones.
inline std::string mutate_fields(onnx::ModelProto model, Random& random,
                          const std::vector<std::string>& texts) {
  for (size_t k = 1 + below(random, 3); k-- > 0;) {
    if (random() % 12 == 0) {
      add_attribute(model, random);
      continue;
    }
    std::vector<FieldRef> fields;
    collect(model, fields);
    if (fields.empty()) break;
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

inline std::string mutate_bytes(std::string bytes, Random& random) {
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

inline void collect_texts(const onnx::ModelProto& model, std::vector<std::string>& out) {
  for (const onnx::NodeProto& node : model.graph().node()) {
    out.push_back(node.op_type());
    out.insert(out.end(), node.input().begin(), node.input().end());
    out.insert(out.end(), node.output().begin(), node.output().end());
    for (const onnx::AttributeProto& a : node.attribute()) out.push_back(a.name());
  }
}

}  // namespace kiln::test
