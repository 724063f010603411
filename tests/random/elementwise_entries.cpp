// SPDX-License-Identifier: Apache-2.0
// Functions whose domain or operands the traits do not tell.
#include "operator_entries.h"

namespace kiln::test {
namespace {

using Names = std::vector<std::string>;

/// Mostly f32, sometimes f64.
DType real(Sketch& s) { return s.chance(0.93) ? DType::f32 : DType::f64; }

/// A function of floats from `low` to `high`; attributes are drawn from the ranges given.
struct Parameter {
  std::string name;
  double low, high;
};
OperatorMaker on_range(const std::string& type, double low, double high, std::vector<Parameter> parameters = {}, int64_t since = 7,
                       const std::string& domain = {}) {
  return {domain.empty() ? type : domain + "::" + type, [=](Sketch& s) {
            if (s.opset() < since) throw Rejected{};
            Attrs attrs;
            for (const Parameter& p : parameters)
              if (s.chance(0.6)) attrs.set(p.name, static_cast<double>(s.dice.real(static_cast<float>(p.low), static_cast<float>(p.high))));
            const bool single = !domain.empty() || type == "Celu";  // for f32 only
            s.add(type, {s.within(s.any(single ? DType::f32 : real(s)), low, high)}, attrs, domain);
          }};
}

OperatorMaker comparison(const std::string& type) {
  return {type, [=](Sketch& s) {
            std::string a = s.any(s.chance(0.6) ? DType::f32 : s.chance(0.5) ? DType::i32 : DType::i64);
            s.add(type, {a, s.partner(a)});
          }};
}

OperatorMaker logic(const std::string& type) {
  return {type, [=](Sketch& s) {
            std::string a = s.any(DType::boolean);
            s.add(type, {a, s.partner(a, 0, 1)});
          }};
}

OperatorMaker bits(const std::string& type) {
  return {type, [=](Sketch& s) {
            if (s.opset() < 18) throw Rejected{};
            std::string a = s.any(s.pick<DType>({DType::i32, DType::i64, DType::u8}));
            s.add(type, {a, s.partner(a, 0, 100)});
          }};
}

/// Sums and extremes of one to four operands.
OperatorMaker variadic(const std::string& type) {
  return {type, [=](Sketch& s) {
            const bool integers = (type == "Max" || type == "Min") && s.chance(0.2);
            Names operands{s.any(integers ? DType::i32 : DType::f32)};
            for (int64_t i = s.dice.between(0, 3); i > 0; --i) operands.push_back(s.partner(operands[0]));
            s.add(type, operands);
          }};
}

void make_clip(Sketch& s) {
  std::string x = s.any(s.chance(0.85) ? DType::f32 : s.pick<DType>({DType::f64, DType::i32, DType::i8}));
  const double low = is_float(s.dtype(x)) ? -0.75 : -20, high = -low * 1.5;
  Names operands{x, s.number(s.dtype(x), low), s.number(s.dtype(x), high)};
  if (s.chance(0.2)) operands[1] = "";
  else if (s.chance(0.2)) operands.pop_back();
  s.add("Clip", operands);
}

void make_div(Sketch& s) {
  std::string a = s.any(s.chance(0.85) ? real(s) : DType::i32);
  if (is_float(s.dtype(a))) s.add("Div", {a, s.partner(a, 0.5, 2)});
  else s.add("Div", {a, s.weights(s.dtype(a), {s.shape(a).empty() ? 1 : s.shape(a).back()}, 1, 9)});
}

void make_mod(Sketch& s) {
  if (s.chance(0.5)) {
    std::string a = s.any(DType::f32);
    s.add("Mod", {a, s.weights(DType::f32, {}, 0.5, 2)}, {{"fmod", int64_t{1}}});
  } else {
    std::string a = s.any(s.pick<DType>({DType::i32, DType::i64, DType::i8}));
    s.add("Mod", {a, s.weights(s.dtype(a), {}, 2, 9)}, {{"fmod", s.dice.between(0, 1)}});
  }
}

void make_pow(Sketch& s) {
  if (s.chance(0.4)) s.add("Pow", {s.any(DType::f32), s.number(DType::f32, static_cast<double>(s.dice.between(0, 3)))});
  else s.add("Pow", {s.within(s.any(DType::f32), 0.1, 3), s.weights(DType::f32, {}, -2, 2)});
}

void make_prelu(Sketch& s) {
  std::string x = s.any(DType::f32, 1, 5);
  s.add("PRelu", {x, s.partner(x)});
}

void make_bit_shift(Sketch& s) {
  std::string a = s.any(s.pick<DType>({DType::u8, DType::u32, DType::u64}));
  s.add("BitShift", {a, s.partner(a, 0, 5)}, {{"direction", s.chance(0.5) ? std::string("LEFT") : std::string("RIGHT")}});
}

void make_where(Sketch& s) {
  std::string a = s.any(s.pick<DType>({DType::f32, DType::f32, DType::f32, DType::i32, DType::i64, DType::boolean}));
  std::string b = s.partner(a, 0, 1);
  Shape condition = s.shape(a);
  for (int64_t& dim : condition)
    if (s.chance(0.3)) dim = 1;
  std::string c = s.find([&](const Sketch::Info& v) {
    if (v.type.dtype != DType::boolean) return false;
    std::optional<Shape> both = broadcast(v.type.shape, s.shape(a));
    return both && *both == s.shape(a);
  });
  if (c.empty()) c = s.fresh(DType::boolean, condition, 0, 1);
  s.add("Where", s.chance(0.5) ? Names{c, a, b} : Names{c, b, a});
}

DType other_type(Sketch& s) {
  return s.pick<DType>({DType::f32, DType::f32, DType::f64, DType::f16, DType::i8, DType::u8, DType::i16, DType::i32, DType::i64, DType::boolean});
}

void make_cast(Sketch& s) {
  std::string x = s.any(s.pick<DType>({DType::f32, DType::f32, DType::i32, DType::i64, DType::boolean, DType::u8, DType::f16, DType::f64}));
  s.add("Cast", {is_float(s.dtype(x)) ? s.within(x, 0, 100) : x}, {{"to", int64_t{onnx_number(other_type(s))}}});
}

void make_cast_like(Sketch& s) {
  std::string x = s.any(s.pick<DType>({DType::f32, DType::i32, DType::boolean}));
  s.add("CastLike", {is_float(s.dtype(x)) ? s.within(x, 0, 100) : x, s.number(other_type(s), 0)});
}

void make_identity(Sketch& s) { s.add("Identity", {s.any(s.pick<DType>({DType::f32, DType::i32, DType::boolean}))}); }

void make_dropout(Sketch& s) { s.add("Dropout", {s.any(DType::f32)}); }

void make_gelu(Sketch& s) {
  if (s.opset() < 20) throw Rejected{};
  s.add("Gelu", {s.any(DType::f32)}, {{"approximate", s.chance(0.5) ? std::string("tanh") : std::string("none")}});
}

void make_rounding(Sketch& s, const std::string& type) { s.add(type, {s.add("Mul", {s.any(DType::f32), s.number(DType::f32, 3.7)})}); }

void make_bias_function(Sketch& s, const std::string& type, bool required) {
  std::string x = s.any(DType::f32, 1, 4);
  Names operands{x};
  if (required || s.chance(0.5)) operands.push_back(s.weights(DType::f32, {s.shape(x).back()}));
  s.add(type, operands, {}, "com.microsoft");
}

}  // namespace

std::vector<OperatorMaker> elementwise_entries() {
  std::vector<OperatorMaker> all{
      on_range("Relu", -50, 50), on_range("Neg", -50, 50), on_range("Abs", -50, 50), on_range("Sigmoid", -20, 20), on_range("Tanh", -20, 20),
      on_range("Softplus", -20, 20), on_range("Softsign", -20, 20), on_range("HardSwish", -10, 10, {}, 14), on_range("Mish", -10, 10, {}, 18),
      on_range("Swish", -10, 10, {{"alpha", 0.5, 1.5}}, 24), on_range("LeakyRelu", -50, 50, {{"alpha", 0.01, 0.3}}),
      on_range("HardSigmoid", -10, 10, {{"alpha", 0.1, 0.3}, {"beta", 0.4, 0.6}}), on_range("ThresholdedRelu", -5, 5, {{"alpha", 0.2, 1}}),
      on_range("Shrink", -5, 5, {{"lambd", 0.2, 0.8}, {"bias", 0, 0.3}}, 9), on_range("Elu", -10, 10, {{"alpha", 0.5, 1.5}}),
      on_range("Selu", -10, 10, {{"alpha", 1, 2}, {"gamma", 0.8, 1.2}}), on_range("Celu", -10, 10, {{"alpha", 0.5, 1.5}}, 12),
      on_range("Reciprocal", 0.3, 10), on_range("Sqrt", 0.01, 100), on_range("Exp", -10, 4), on_range("Log", 0.05, 100), on_range("Erf", -5, 5),
      on_range("Sin", -30, 30), on_range("Cos", -30, 30), on_range("Tan", -1.3, 1.3), on_range("Asin", -0.95, 0.95), on_range("Acos", -0.95, 0.95),
      on_range("Atan", -30, 30), on_range("Sinh", -4, 4), on_range("Cosh", -4, 4), on_range("Asinh", -30, 30), on_range("Acosh", 1.1, 30),
      on_range("Atanh", -0.95, 0.95), on_range("Gelu", -10, 10, {}, 1, "com.microsoft"),
      on_range("QuickGelu", -10, 10, {{"alpha", 0.5, 2}}, 1, "com.microsoft"),
      comparison("Equal"), comparison("Less"), comparison("LessOrEqual"), comparison("Greater"), comparison("GreaterOrEqual"),
      logic("And"), logic("Or"), logic("Xor"), bits("BitwiseAnd"), bits("BitwiseOr"), bits("BitwiseXor"),
      variadic("Sum"), variadic("Mean"), variadic("Max"), variadic("Min"),
      {"Clip", make_clip}, {"Div", make_div}, {"Mod", make_mod}, {"Pow", make_pow}, {"PRelu", make_prelu}, {"BitShift", make_bit_shift},
      {"Where", make_where}, {"Cast", make_cast}, {"CastLike", make_cast_like}, {"Identity", make_identity}, {"Dropout", make_dropout}, {"Gelu", make_gelu},
      {"IsNaN", [](Sketch& s) { s.add("IsNaN", {s.any(DType::f32)}); }},
      {"IsInf", [](Sketch& s) { s.add("IsInf", {s.any(DType::f32)}, {{"detect_negative", s.dice.between(0, 1)}}); }},
      {"Not", [](Sketch& s) { s.add("Not", {s.any(DType::boolean)}); }},
      {"BitwiseNot", [](Sketch& s) {
         if (s.opset() < 18) throw Rejected{};
         s.add("BitwiseNot", {s.any(s.pick<DType>({DType::i32, DType::u8}))});
       }},
      {"com.microsoft::BiasGelu", [](Sketch& s) { make_bias_function(s, "BiasGelu", true); }},
      {"com.microsoft::FastGelu", [](Sketch& s) { make_bias_function(s, "FastGelu", false); }},
  };
  for (const char* type : {"Floor", "Ceil", "Round"}) all.push_back({type, [type](Sketch& s) { make_rounding(s, type); }});
  return all;
}

}  // namespace kiln::test
