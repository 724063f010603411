// SPDX-License-Identifier: Apache-2.0
#include "compiler/program/descriptors.h"

namespace kiln {
namespace {

std::vector<DescriptorField> fields(const std::monostate&) { return {}; }
std::string_view type_name(const std::monostate&) { return ""; }

// clang-format off
#define KILN_DESCRIPTOR(name) std::vector<DescriptorField> fields(const name& d) { return {
#define KILN_FIELD(type, name) {#name, d.name},
#define KILN_END(name) }; }
#include "compiler/program/descriptors.def"
#undef KILN_DESCRIPTOR
#undef KILN_FIELD
#undef KILN_END

#define KILN_DESCRIPTOR(name) std::string_view type_name(const name&) { return #name; }
#define KILN_FIELD(type, name)
#define KILN_END(name)
#include "compiler/program/descriptors.def"
#undef KILN_DESCRIPTOR
#undef KILN_FIELD
#undef KILN_END
// clang-format on

}  // namespace

std::vector<DescriptorField> descriptor_fields(const AnyDescriptor& descriptor) {
  return std::visit([](const auto& d) { return fields(d); }, descriptor);
}

std::string_view descriptor_name(const AnyDescriptor& descriptor) {
  return std::visit([](const auto& d) { return type_name(d); }, descriptor);
}

}  // namespace kiln
