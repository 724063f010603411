// SPDX-License-Identifier: Apache-2.0
// Recursive descent over the characters. The first error is kept and moves the cursor to the end of the text, so that every
// function can go on without looking and all loops end.
#include "compiler/ir/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "compiler/ir/builder.h"
#include "compiler/ir/print.h"
#include "compiler/ir/random_tensor.h"
#include "compiler/ir/verify.h"

namespace kiln {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '/' || c == '-'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A value as its definition names it.
struct Definition {
  std::string name;
  std::optional<TensorType> type;
  std::optional<OnnxTensor> onnx;
  size_t at = 0;
};

struct Output {
  std::string value, name;
  size_t at = 0;
};

class Parser {
 public:
  Parser(std::string_view text, const OpTable& ops) : text_(text), ops_(ops) {}

  Result<Graph> run() {
    keyword("graph");
    graph_.name = sigil_name('@');
    expect("(");
    if (!accept(")")) {
      do add_input();
      while (accept(","));
      expect(")");
    }
    expect("->");
    expect("(");
    std::vector<Output> outputs;
    do {
      skip();
      Output& o = outputs.emplace_back();
      o.at = pos_;
      o.value = sigil_name('%');
      if (accept_keyword("as")) o.name = string();
    } while (accept(","));
    expect(")");
    expect("{");
    while (!failed() && !accept("}")) statement();
    for (const Output& o : outputs)
      if (ValueId v = find(o.value, o.at); v != kNoValue) graph_.add_output(v, o.name);
    skip();
    if (!failed() && pos_ != text_.size()) fail("text after the end of the graph");
    if (failed()) return *error_;
    if (Status s = verify(graph_); !s) return std::move(s).diagnostic();
    return std::move(graph_);
  }

 private:
  // --- characters
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] char peek() const { return pos_ < text_.size() ? text_[pos_] : '\0'; }

  void fail_at(size_t at, const std::string& message, std::string hint = {}, DiagId id = DiagId::bad_ir_text) {
    if (failed()) return;
    std::string_view before = text_.substr(0, at);
    auto line = 1 + std::count(before.begin(), before.end(), '\n');
    size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    error_ = error(id, fmt::format("{}:{}: {}.", line, at - start + 1, message), std::move(hint));
    pos_ = text_.size();
  }
  void fail(const std::string& message) { fail_at(pos_, message); }

  void skip_line() {
    while (pos_ < text_.size() && text_[pos_] != '\n') ++pos_;
  }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\r') ++pos_;
  }
  void skip() {
    while (true) {
      skip_blanks();
      if (peek() == '\n') ++pos_;
      else if (text_.substr(pos_).starts_with("//") || peek() == ';') skip_line();
      else return;
    }
  }
  bool accept(std::string_view token) {
    skip();
    if (!text_.substr(pos_).starts_with(token)) return false;
    pos_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (accept(token)) return;
    fail(pos_ == text_.size() ? fmt::format("the text ends where '{}' is expected", token) : fmt::format("expected '{}'", token));
  }
  bool accept_keyword(std::string_view word) {
    skip();
    std::string_view rest = text_.substr(pos_);
    if (!rest.starts_with(word) || (rest.size() > word.size() && is_name_char(rest[word.size()]))) return false;
    pos_ += word.size();
    return true;
  }
  void keyword(std::string_view word) {
    if (!accept_keyword(word)) fail(fmt::format("expected '{}'", word));
  }

  // --- words
  std::string identifier() {
    skip();
    size_t start = pos_;
    if (is_letter(peek()))
      while (is_letter(peek()) || is_digit(peek())) ++pos_;
    if (pos_ == start) fail("expected a name");
    return std::string(text_.substr(start, failed() ? 0 : pos_ - start));
  }

  std::string string() {
    skip();
    std::string out;
    if (peek() != '"') fail("expected a string in double quotes");
    if (failed()) return out;
    size_t start = pos_++;
    while (peek() != '"') {
      if (pos_ >= text_.size() || peek() == '\n') {
        fail_at(start, "the string does not end on its line");
        return out;
      }
      if (peek() != '\\') {
        out += text_[pos_++];
        continue;
      }
      ++pos_;
      if (peek() == 'x' && pos_ + 2 < text_.size() && hex_digit(text_[pos_ + 1]) >= 0 && hex_digit(text_[pos_ + 2]) >= 0) {
        out += static_cast<char>(hex_digit(text_[pos_ + 1]) * 16 + hex_digit(text_[pos_ + 2]));
        pos_ += 3;
      } else if (peek() == '"' || peek() == '\\') {
        out += text_[pos_++];
      } else {
        fail("unknown escape in a string");
        return out;
      }
    }
    ++pos_;
    return out;
  }

  std::string sigil_name(char sigil) {
    expect(std::string_view(&sigil, 1));
    if (peek() == '"') return string();
    size_t start = pos_;
    while (is_name_char(peek())) ++pos_;
    if (pos_ == start) fail("expected a name");
    return std::string(text_.substr(start, failed() ? 0 : pos_ - start));
  }

  /// The characters of a number, "inf", "-inf" or "nan".
  std::string_view number_text() {
    skip();
    size_t start = pos_;
    if (peek() == '-' || peek() == '+') ++pos_;
    while (is_letter(peek()) || is_digit(peek()) || peek() == '.' || ((peek() == '-' || peek() == '+') && (text_[pos_ - 1] == 'e' || text_[pos_ - 1] == 'E')))
      ++pos_;
    if (pos_ == start) fail("expected a number");
    return text_.substr(start, failed() ? 0 : pos_ - start);
  }

  template <class T>
  T convert(std::string_view text) {
    T value{};
    if (failed()) return value;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size()) {
      const char* what = std::is_floating_point_v<T> ? "a number" : "an integer of this type";
      fail_at(static_cast<size_t>(text.data() - text_.data()), fmt::format("'{}' is not {}", text, what));
    }
    return value;
  }
  int64_t integer() { return convert<int64_t>(number_text()); }

  template <class F>
  void list(F&& item) {
    expect("[");
    if (accept("]")) return;
    do item();
    while (!failed() && accept(","));
    expect("]");
  }
  std::vector<int64_t> integers() {
    std::vector<int64_t> out;
    list([&] { out.push_back(integer()); });
    return out;
  }

  // --- types and constants
  Shape shape() {
    skip();
    size_t at = pos_;
    Shape out = integers();
    if (!failed())
      if (Status s = check_shape(out); !s) {
        const std::string& why = s.diagnostic().message;
        fail_at(at, why.substr(0, why.size() - 1), {}, s.diagnostic().id == DiagId::limit_exceeded ? DiagId::limit_exceeded : DiagId::bad_ir_text);
      }
    return failed() ? Shape{} : out;
  }

  TensorType type() {
    skip();
    size_t at = pos_;
    std::string name = identifier();
    std::optional<DType> dtype = dtype_from_name(name);
    if (!dtype) fail_at(at, fmt::format("unknown element type '{}'", name));
    TensorType out{dtype.value_or(DType::f32), shape(), {}};
    if (accept_keyword("quant")) out.quant = quant(out.dtype);
    return out;
  }

  /// `(scale=..., zero=..., axis=..., grid=i8)`; the grid of an integer tensor is its own type.
  Quant quant(DType tensor_dtype) {
    Quant q;
    q.dtype = is_float(tensor_dtype) ? DType::i8 : tensor_dtype;
    auto one_or_list = [&](auto&& item) {
      skip();
      if (peek() == '[') list(item);
      else item();
    };
    expect("(");
    keyword("scale");
    expect("=");
    one_or_list([&] { q.scale.push_back(convert<float>(number_text())); });
    expect(",");
    keyword("zero");
    expect("=");
    one_or_list([&] { q.zero_point.push_back(convert<int32_t>(number_text())); });
    bool more = accept(",");
    if (more && accept_keyword("axis")) {
      expect("=");
      q.axis = integer();
      more = accept(",");
    }
    if (more) {
      keyword("grid");
      expect("=");
      size_t at = pos_;
      std::optional<DType> grid = dtype_from_name(identifier());
      if (!grid || !is_integer(*grid)) fail_at(at, "a grid is of an integer type");
      q.dtype = grid.value_or(DType::i8);
    }
    expect(")");
    return q;
  }

  template <class T>
  T element(DType dtype) {
    std::string_view text = number_text();
    if (dtype == DType::f16) return static_cast<T>(float_to_f16(convert<float>(text)));
    if (dtype == DType::bf16) return static_cast<T>(float_to_bf16(convert<float>(text)));
    size_t at = pos_ - text.size();
    T value = convert<T>(text);
    bool fits = (dtype != DType::i4 || (value >= T(-8) && value <= T(7))) && (dtype != DType::u4 || value <= T(15)) && (dtype != DType::boolean || value <= T(1));
    if (!fits) fail_at(at, fmt::format("'{}' is not a value of {}", text, dtype_name(dtype)));
    return value;
  }

  Tensor elements(const TensorType& of) {
    skip();
    size_t at = pos_;
    if (accept_keyword("random")) return random_tensor(of, convert<uint64_t>(number_text()));
    Tensor tensor(of);
    if (accept_keyword("hex")) {
      hex(at, tensor);
      return tensor;
    }
    if (peek() == '<') fail_at(at, "the elements of this constant were elided when the text was printed");
    with_storage_type(of.dtype, [&]<class T>() {
      std::span<T> out = tensor.as<T>();
      if (accept_keyword("splat") || (of.shape.empty() && peek() != '[')) {
        std::fill(out.begin(), out.end(), element<T>(of.dtype));
        return;
      }
      size_t count = 0;
      list([&] {
        T value = element<T>(of.dtype);
        if (count < out.size()) out[count] = value;
        ++count;
      });
      if (count != out.size()) fail_at(at, fmt::format("{} elements are given, {} has {}", count, to_string(of), out.size()));
    });
    return tensor;
  }

  void hex(size_t at, Tensor& tensor) {
    std::string digits = string();
    std::span<std::byte> bytes = tensor.bytes();
    if (digits.size() != 2 * bytes.size()) {
      fail_at(at, fmt::format("{} hexadecimal digits are given, {} takes {}", digits.size(), to_string(tensor.type), 2 * bytes.size()));
      return;
    }
    for (size_t i = 0; i < bytes.size(); ++i) {
      int high = hex_digit(digits[2 * i]), low = hex_digit(digits[2 * i + 1]);
      if (high < 0 || low < 0) {
        fail_at(at, "a character of the string is not a hexadecimal digit");
        return;
      }
      bytes[i] = static_cast<std::byte>(high * 16 + low);
    }
  }

  // --- attributes
  Attr attr() {
    skip();
    if (peek() == '"') return string();
    if (accept_keyword("tensor")) {
      TensorType of = type();
      return elements(of);
    }
    for (auto [word, empty] : {std::pair<std::string_view, Attr>{"ints", std::vector<int64_t>()}, {"reals", std::vector<double>()}, {"strings", std::vector<std::string>()}}) {
      if (!accept_keyword(word)) continue;
      expect("[");
      expect("]");
      return empty;
    }
    return peek() == '[' ? attr_list() : attr_number(number_text());
  }

  Attr attr_number(std::string_view text) {
    bool real = text.find_first_of(".eEn") != std::string_view::npos;  // 'n': inf, nan
    if (real) return convert<double>(text);
    return convert<int64_t>(text);
  }

  Attr attr_list() {
    std::vector<int64_t> ints;
    std::vector<double> reals;
    std::vector<std::string> strings;
    size_t at = pos_;
    list([&] {
      skip();
      if (peek() == '"') {
        strings.push_back(string());
        return;
      }
      Attr number = attr_number(number_text());
      if (const auto* i = std::get_if<int64_t>(&number)) ints.push_back(*i);
      else reals.push_back(std::get<double>(number));
    });
    int kinds = int{!ints.empty()} + int{!reals.empty()} + int{!strings.empty()};
    if (kinds != 1) fail_at(at, kinds == 0 ? "an empty list needs its kind: ints [], reals [] or strings []" : "a list mixes integers, reals or strings");
    if (!reals.empty()) return reals;
    if (!strings.empty()) return strings;
    return ints;
  }

  // --- values and nodes
  Definition definition() {
    Definition d;
    skip();
    d.at = pos_;
    d.name = sigil_name('%');
    if (d.name.empty()) fail_at(d.at, "expected a name");
    if (names_.count(d.name)) fail_at(d.at, fmt::format("value %{} is defined twice", d.name));
    if (accept(":")) d.type = type();
    if (accept_keyword("onnx")) d.onnx = onnx();
    return d;
  }

  OnnxTensor onnx() {
    OnnxTensor tensor;
    expect("(");
    tensor.name = string();
    expect(",");
    tensor.shape = shape();
    if (accept(",")) {
      keyword("perm");
      expect("=");
      tensor.perm = integers();
    }
    expect(")");
    return tensor;
  }

  ValueId find(const std::string& name, size_t at) {
    auto it = names_.find(name);
    if (it == names_.end()) fail_at(at, fmt::format("value %{} is not defined", name));
    return failed() ? kNoValue : it->second;
  }

  void define(const Definition& d, ValueId id) {
    names_.emplace(d.name, id);
    graph_.set_onnx(id, d.onnx);
  }

  void add_input() {
    Definition d = definition();
    if (!d.type) fail_at(d.at, fmt::format("input %{} needs a type", d.name));
    if (!failed()) define(d, graph_.add_input(d.name, *d.type));
  }

  void statement() {
    skip();
    if (pos_ == text_.size()) return fail("the text ends where '}' is expected");
    if (!accept_keyword("const")) return node();
    Definition d = definition();
    if (!d.type) fail_at(d.at, fmt::format("constant %{} needs a type", d.name));
    expect("=");
    if (failed()) return;
    Tensor tensor = elements(*d.type);
    if (!failed()) define(d, graph_.add_constant(d.name, std::move(tensor)));
  }

  std::vector<ValueId> operands() {
    std::vector<ValueId> out;
    expect("(");
    if (accept(")")) return out;
    do {
      skip();
      size_t at = pos_;
      if (accept_keyword("_")) out.push_back(kNoValue);
      else out.push_back(find(sigil_name('%'), at));
    } while (!failed() && accept(","));
    expect(")");
    return out;
  }

  Attrs attrs() {
    Attrs out;
    skip_blanks();  // not to the next line: a comment here may be the origin
    if (peek() != '{') return out;
    ++pos_;
    if (accept("}")) return out;
    do {
      skip();
      size_t at = pos_;
      std::string name = identifier();
      if (out.has(name)) fail_at(at, fmt::format("attribute '{}' is given twice", name));
      expect("=");
      out.set(std::move(name), attr());
    } while (!failed() && accept(","));
    expect("}");
    return out;
  }

  /// The strings of a comment on the rest of this line.
  std::vector<std::string> origin() {
    std::vector<std::string> out;
    skip_blanks();
    size_t start = pos_;
    if (failed() || !text_.substr(pos_).starts_with("//")) return out;
    pos_ += 2;
    skip_blanks();
    if (peek() != '"') {
      pos_ = start;  // any other comment
      return out;
    }
    do {
      skip_blanks();
      out.push_back(string());
      skip_blanks();
    } while (!failed() && peek() == ',' && ++pos_);
    return out;
  }

  void node() {
    std::vector<Definition> results;
    do results.push_back(definition());
    while (!failed() && accept(","));
    expect("=");
    skip();
    size_t at = pos_;
    std::string op_name = identifier();
    const OpDef* op = ops_.find(op_name);
    if (!op) fail_at(at, fmt::format("unknown operator '{}'", op_name), "`kiln ops` lists the operators.");
    std::vector<ValueId> inputs = operands();
    Attrs attributes = attrs();
    std::vector<std::string> from = origin();
    if (failed()) return;
    if (from.empty()) from = {results[0].name};

    GraphBuilder builder(graph_, std::move(from));
    builder.set_folding(false);
    builder.set_name("%");  // until the results get theirs below
    Result<std::vector<ValueId>> out = builder.add_multi(*op, std::move(inputs), std::move(attributes));
    if (!out) {
      std::string why = out.diagnostic().message;
      if (why.ends_with('.')) why.pop_back();
      return fail_at(at, fmt::format("{}: {}", op_name, why), out.diagnostic().hint);
    }
    if (out->size() != results.size()) return fail_at(at, fmt::format("'{}' has {} results here, {} are named", op_name, out->size(), results.size()));
    for (size_t i = 0; i < results.size(); ++i) {
      const Definition& d = results[i];
      if (names_.count(d.name)) return fail_at(d.at, fmt::format("value %{} is defined twice", d.name));
      if (d.type && *d.type != graph_.type((*out)[i]))
        return fail_at(d.at, fmt::format("%{} is given as {}, inference says {}", d.name, print_type(*d.type), print_type(graph_.type((*out)[i]))));
      graph_.set_name((*out)[i], d.name);
      define(d, (*out)[i]);
    }
  }

  std::string_view text_;
  const OpTable& ops_;
  size_t pos_ = 0;
  std::optional<Diagnostic> error_;
  Graph graph_;
  std::map<std::string, ValueId, std::less<>> names_;
};

}  // namespace

Result<Graph> parse_graph(std::string_view text, const OpTable& ops) { return Parser(text, ops).run(); }

}  // namespace kiln
