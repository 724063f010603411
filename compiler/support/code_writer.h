// SPDX-License-Identifier: Apache-2.0
// Builds indented source text. Every file of a bundle is written through it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace kiln {

class CodeWriter {
 public:
  /// Appends one line, indented to the present depth. An empty line gets no blanks.
  void line(std::string_view text = {}) {
    if (!text.empty()) text_.append(static_cast<size_t>(depth_) * 2, ' ').append(text);
    text_ += '\n';
  }
  template <class... Args>
  void linef(fmt::format_string<Args...> format, Args&&... args) {
    line(fmt::format(format, std::forward<Args>(args)...));
  }
  /// Appends text as it is.
  void raw(std::string_view text) { text_ += text; }
  void indent() { ++depth_; }
  void outdent() { --depth_; }

  [[nodiscard]] const std::string& text() const& { return text_; }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
  int depth_ = 0;
};

}  // namespace kiln
