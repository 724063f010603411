// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace kiln {

/// The text of harness.cpp.
extern const std::string_view kHostHarness;
/// The text of device_harness.cpp.
extern const std::string_view kDeviceHarness;

}  // namespace kiln
