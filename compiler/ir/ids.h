// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace kiln {

enum class ValueId : uint32_t {};
enum class NodeId : uint32_t {};

/// An omitted optional operand.
inline constexpr ValueId kNoValue{0xffffffffu};
/// "Produced by no node": a graph input or a constant.
inline constexpr NodeId kNoNode{0xffffffffu};

constexpr uint32_t index(ValueId id) { return static_cast<uint32_t>(id); }
constexpr uint32_t index(NodeId id) { return static_cast<uint32_t>(id); }

}  // namespace kiln
