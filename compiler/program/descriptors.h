// SPDX-License-Identifier: Apache-2.0
// The descriptors of descriptors.def as plain structs, as a variant, and as lists of named fields for emission.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/ir/shape.h"

namespace kiln {

/// Up to limits::kRank numbers of a descriptor; kernels read `dims[i]` for i below the descriptor's rank.
struct Dims {
  std::array<int32_t, limits::kRank> values{};
  int32_t size = 0;

  Dims() = default;
  explicit Dims(std::span<const int64_t> list) : size(static_cast<int32_t>(list.size())) {
    for (size_t i = 0; i < list.size(); ++i) values[i] = static_cast<int32_t>(list[i]);
  }
  constexpr int32_t operator[](int32_t i) const { return values[static_cast<size_t>(i)]; }
  bool operator==(const Dims&) const = default;
};

// clang-format off
#define KILN_DESCRIPTOR(name) struct name {
#define KILN_FIELD(type, name) type name{};
#define KILN_END(name) bool operator==(const name&) const = default; };
#include "compiler/program/descriptors.def"
#undef KILN_DESCRIPTOR
#undef KILN_FIELD
#undef KILN_END

using AnyDescriptor = std::variant<std::monostate
#define KILN_DESCRIPTOR(name) , name
#define KILN_FIELD(type, name)
#define KILN_END(name)
#include "compiler/program/descriptors.def"
#undef KILN_DESCRIPTOR
#undef KILN_FIELD
#undef KILN_END
>;
// clang-format on

/// One field for emission: `static constexpr <c_type> <name><suffix> = <value>;`
struct DescriptorField {
  std::string_view name;
  std::variant<int32_t, float, Dims> value;
};
std::vector<DescriptorField> descriptor_fields(const AnyDescriptor& descriptor);
/// "Conv2d".
std::string_view descriptor_name(const AnyDescriptor& descriptor);

}  // namespace kiln
