// SPDX-License-Identifier: Apache-2.0
// Comma-separated text: one record per line, fields may stand in double quotes (RFC 4180 without line breaks in fields).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/tensor.h"
#include "compiler/support/diagnostics.h"

namespace kiln {

using CsvRow = std::vector<std::string>;

/// The rows of the text, without empty lines and without blanks around fields. Errors: bad_input_data on bytes that are no text and on
/// quotes that do not close.
Result<std::vector<CsvRow>> parse_csv(std::string_view text);

/// The whole field as a number: "3", "-1.5e3", "inf".
std::optional<double> parse_number(std::string_view text);

/// f64[rows, columns]. A first row without any number is a heading. Errors: bad_input_data, naming the line, on fields that are no numbers
/// and rows of unequal length.
Result<Tensor> numbers_of_csv(const std::vector<CsvRow>& rows);

}  // namespace kiln
