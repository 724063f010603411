// SPDX-License-Identifier: Apache-2.0
#include "compiler/driver/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <new>
#include <numeric>
#include <optional>
#include <sstream>

namespace kiln {

#define KILN_VERB(name) extern const Verb name##_verb;
#include "compiler/driver/verbs.def"
#undef KILN_VERB

std::vector<const Verb*> all_verbs() {
  return {
#define KILN_VERB(name) &name##_verb,
#include "compiler/driver/verbs.def"
#undef KILN_VERB
  };
}

std::string closest_word(std::string_view word, const std::vector<std::string>& words) {
  auto distance = [](std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= a.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= b.size(); ++j) {
        size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
      }
    }
    return row[b.size()];
  };
  std::string best;
  size_t best_distance = std::max<size_t>(word.size() / 3, 1) + 1;
  for (const std::string& candidate : words) {
    size_t d = distance(word, candidate);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best;
}

namespace {

constexpr std::string_view kTagline = "kiln compiles ONNX models to dependency-free C++17 for microcontrollers.";
constexpr const char* kTopExamples =
    "  kiln inspect kws.onnx                  what is in the model and what it will need\n"
    "  kiln compile kws.onnx -o kws           write the bundle kws/kws.h, kws.cpp, ...\n"
    "  kiln diff kws.onnx --layers            compare the emitted code with ONNX Runtime, layer by layer\n";

std::string indented(std::string_view lines) {
  std::istringstream in{std::string(lines)};
  std::string text;
  for (std::string line; std::getline(in, line);) text += "  " + line + "\n";
  return text;
}

/// Help with the examples first, then the options.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    std::ostringstream out;
    if (!app->get_parent()) {
      out << kTagline << "\n\nExamples:\n" << kTopExamples << "\nVerbs:\n";
      for (const Verb* verb : all_verbs()) out << fmt::format("  {:<10}{}\n", verb->name, verb->summary);
      out << make_groups(app, CLI::AppFormatMode::Normal) << "\n`kiln VERB --help` explains a verb.\n";
      return out.str();
    }
    out << app->get_description() << "\n\n";
    for (const Verb* verb : all_verbs())
      if (verb->name == app->get_name() && !verb->examples.empty()) out << "Examples:\n" << indented(verb->examples) << "\n";
    out << "Usage: kiln " << app->get_name() << " ";
    for (const CLI::Option* option : app->get_options([](const CLI::Option* o) { return o->get_positional(); }))
      out << make_option_name(option, true) << " ";
    out << "[options]\n" << make_positionals(app) << make_groups(app, CLI::AppFormatMode::Normal);
    return out.str();
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return {};
    std::string type = option->get_type_name();  // with the names of its checks behind a ':'
    std::string text = " " + type.substr(0, type.find(':'));
    if (!option->get_default_str().empty()) text += fmt::format(" (default {})", option->get_default_str());
    if (option->get_expected_max() > 1) text += " ...";
    return text;
  }
};

/// The message of a CLI11 error in our style: no capital, a full stop.
std::string sentence(std::string text) {
  size_t end = text.find_last_not_of("\n .");
  text.resize(end == std::string::npos ? 0 : end + 1);
  if (!text.empty() && text.size() > 1 && !std::isupper(static_cast<unsigned char>(text[1])))
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text + ".";
}

/// Options that a verb understands, for suggestions.
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

Diagnostic usage_error(const CLI::App& app, const std::vector<std::string>& arguments, const CLI::ParseError& e) {
  const CLI::App* verb = app.get_subcommands().empty() ? nullptr : app.get_subcommands().front();
  std::string help = verb ? fmt::format("`kiln {} --help` lists the options.", verb->get_name()) : "`kiln --help` lists the verbs.";
  if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) && verb) {
    for (const std::string& argument : arguments) {
      std::string name = argument.substr(0, argument.find('='));
      std::vector<std::string> known = option_names(*verb);
      if (name.rfind("--", 0) != 0 || std::find(known.begin(), known.end(), name) != known.end()) continue;
      std::string meant = closest_word(name, known);
      if (!meant.empty()) return error(DiagId::bad_usage, fmt::format("unknown option {}.", name), fmt::format("did you mean {}?", meant));
    }
  }
  return error(DiagId::bad_usage, sentence(e.what()), help);
}

/// An error for a first word that is no verb; nothing when it is one or there is none.
std::optional<Diagnostic> check_verb(const std::vector<std::string>& arguments) {
  auto word = std::find_if(arguments.begin(), arguments.end(), [](const std::string& a) { return a.empty() || a[0] != '-'; });
  if (word == arguments.end()) return std::nullopt;
  std::vector<std::string> names;
  for (const Verb* verb : all_verbs()) names.emplace_back(verb->name);
  if (std::find(names.begin(), names.end(), *word) != names.end()) return std::nullopt;
  std::string meant = closest_word(*word, names);
  return error(DiagId::bad_usage, fmt::format("'{}' is no verb of kiln.", *word),
               meant.empty() ? "`kiln --help` lists the verbs." : fmt::format("did you mean `kiln {}`?", meant));
}

/// `kiln help [VERB]` as `kiln [VERB] --help`.
std::vector<std::string> with_help_option(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() != "help") return arguments;
  arguments.erase(arguments.begin());
  arguments.emplace_back("--help");
  return arguments;
}

ExitCode parse_and_run(const std::vector<std::string>& arguments, Terminal& terminal) {
  CLI::App app("kiln");
  app.name("kiln");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "Show this help");
  app.set_version_flag("-V,--version", "kiln " KILN_VERSION, "Show the version");
  app.add_flag("-q,--quiet", terminal.quiet, "Errors only");
  app.add_flag("-v,--verbose", terminal.verbose, "Also say what is run");
  VerbAction action;
  for (const Verb* verb : all_verbs()) {
    CLI::App* sub = app.add_subcommand(std::string(verb->name), std::string(verb->summary));
    sub->fallthrough();
    sub->set_help_flag("-h,--help", "Show this help");
    sub->parse_complete_callback([&action, run = verb->add(*sub)] { action = run; });
  }
  if (arguments.empty()) {
    fmt::print(stderr, "{}", app.help());
    return ExitCode::usage;
  }
  if (std::optional<Diagnostic> unknown = check_verb(arguments)) return terminal.fail(*unknown);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.get_subcommands().empty() ? app.help() : app.get_subcommands().front()->help());
    return ExitCode::ok;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return ExitCode::ok;
  } catch (const CLI::ParseError& e) {
    return terminal.fail(usage_error(app, arguments, e));
  } catch (const UsageError& e) {
    return terminal.fail(e.diagnostic);
  }
  if (!action) return terminal.fail(error(DiagId::bad_usage, "no verb is given.", "`kiln --help` lists the verbs."));
  terminal.progress = terminal.progress && !terminal.quiet;
  ExitCode code = action(terminal);
  terminal.show_progress({});
  return code;
}

}  // namespace

int run_command_line(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  Terminal terminal = make_terminal();
  ExitCode code = ExitCode::internal;
  try {
    code = parse_and_run(with_help_option(std::move(arguments)), terminal);
  } catch (const std::bad_alloc&) {
    code = terminal.fail(error(DiagId::limit_exceeded, "the machine has not enough memory for this model."));
  }
  if (std::fflush(stdout) != 0 && code == ExitCode::ok)
    code = terminal.fail(error(DiagId::cannot_write, "cannot write to stdout.", "check what stdout is connected to."));
  return static_cast<int>(code);
}

}  // namespace kiln
