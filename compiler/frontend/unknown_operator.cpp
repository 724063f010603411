// SPDX-License-Identifier: Apache-2.0
#include "compiler/frontend/unknown_operator.h"

#include <fmt/format.h>

#include <string>

namespace kiln {
namespace {

struct Advice {
  std::string_view domain;  ///< empty: the default domain
  std::string_view part;    ///< of the operator's name; empty: any
  std::string_view hint;
};

/// The first that fits.
constexpr Advice kAdvice[] = {
    {"ai.onnx.preview.training", "", "export the model for inference, without its training step."},
    {"ai.onnx.training", "", "export the model for inference, without its training step."},
    {"ai.onnx.ml", "", "kiln compiles neural networks; convert trees and other classical models to tensor operators before."},
    {"com.microsoft", "", "export the model without operators of ONNX Runtime: use the file from before its optimizer ran."},
    {"", "String", "process text outside of the model: tensors of strings are not supported."},
    {"", "Regex", "process text outside of the model: tensors of strings are not supported."},
    {"", "Random", "give the random numbers to the model as an input."},
    {"", "Bernoulli", "give the random numbers to the model as an input."},
    {"", "Multinomial", "give the random numbers to the model as an input."},
    {"", "ImageDecoder", "decode images outside of the model."},
    {"", "", "`kiln ops` lists the operators that are; replace it by some of those, or by a function of the model that uses them."},
};
constexpr std::string_view kOwnDomain = "replace it by standard operators, or add it to the model as a function that uses them.";

}  // namespace

Diagnostic unknown_operator(std::string_view domain, std::string_view type) {
  std::string_view hint = kOwnDomain;
  for (const Advice& advice : kAdvice)
    if (advice.domain == domain && type.find(advice.part) != std::string_view::npos) {
      hint = advice.hint;
      break;
    }
  return error(DiagId::unsupported_operator,
               domain.empty() ? fmt::format("operator '{}' is not supported.", type) : fmt::format("operator '{}' of domain '{}' is not supported.", type, domain),
               std::string(hint));
}

}  // namespace kiln
