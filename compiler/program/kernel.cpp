// SPDX-License-Identifier: Apache-2.0
#include "compiler/program/kernel.h"

#include <fmt/format.h>

namespace kiln {

KernelSet::KernelSet(std::string name, std::vector<KernelRow> rows) : name_(std::move(name)), rows_(std::move(rows)) {
  for (KernelRow& row : rows_) {
    const std::string suffix = row.form.empty() ? "" : "_" + row.form;
    row.variant = name_ + suffix;
    row.function = fmt::format("nn::{}::{}", name_, row.function.empty() ? row.family + suffix : row.function);
    row.header = fmt::format("nn/{}/{}", name_, row.header);
  }
}

}  // namespace kiln
