// SPDX-License-Identifier: Apache-2.0
// random_graphs: makes random models, computes each in several ways, and reports where they disagree. docs/testing.md has examples.
#include <CLI/CLI.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "differential.h"
#include "shrink.h"

using namespace kiln;
using namespace kiln::test;

namespace {

void print_counts(const char* title, const std::map<std::string, int>& counts) {
  if (counts.empty()) return;
  fmt::print("{}:\n", title);
  for (const auto& [name, count] : counts) fmt::print("  {:6} {}\n", count, name);
}

void print_rejections(const char* title, const std::map<std::string, std::map<std::string, int>>& rejections) {
  if (rejections.empty()) return;
  fmt::print("{}:\n", title);
  for (const auto& [name, messages] : rejections)
    for (const auto& [message, count] : messages) fmt::print("  {:6} {}: {}\n", count, name, message);
}

/// The graph whose turn it is; named when the program dies in the middle.
std::string current;
bool finished = false;

void last_words() {
  if (!finished && !current.empty()) fmt::print(stderr, "died while working on {}; --only {} --shrink DIR makes it small\n", current, current);
}
[[noreturn]] void on_signal(int number) {
  last_words();
  _exit(128 + number);
}

/// Hangs and crashes are findings, too.
constexpr unsigned kMostSeconds = 120;
void begin(const std::string& name, size_t graphs) {
  current = name;
  alarm(kMostSeconds * static_cast<unsigned>(graphs));
}

/// What makes a smaller model fail in the same way.
Fails same_failure(const DifferentialOptions& options, const std::optional<Finding>& finding) {
  DifferentialOptions narrow = options;
  narrow.begin = [](const std::string&, size_t) {};
  if (finding) {
    narrow.emitted = finding->way == Way::emitted || finding->way == Way::emitted_without_passes;
    narrow.onnxruntime = finding->way == Way::onnxruntime;
  }
  return [narrow, finding](const RandomGraph& graph) {
    std::optional<bool> same = in_child(
        [&] {
          std::signal(SIGALRM, SIG_DFL);
          finished = true;
          Totals totals;
          const std::vector<std::vector<Finding>> findings = compare_ways({graph}, narrow, totals);
          for (const Finding& f : findings.front())
            if (finding && f.kind == finding->kind && f.way == finding->way) return true;
          return false;
        },
        20);
    return finding ? same.value_or(false) : !same.has_value();
  };
}

/// Makes the graph small, saves it and says how to see the failure.
void shrink_and_save(const RandomGraph& graph, const DifferentialOptions& options, const std::optional<Finding>& finding, const std::string& folder) {
  const Fails fails = same_failure(options, finding);
  if (!fails(graph)) {
    fmt::print("  it does not fail alone\n");
    return;
  }
  Result<std::string> command = save_failure(shrink(graph, fails, 400), folder, options.target);
  fmt::print("  {}\n", command ? *command : to_string(command.diagnostic()));
}

RandomGraph named_graph(const std::string& name, Tally& tally) {
  const auto seed = static_cast<uint32_t>(std::stoul(name.substr(name.find('-') + 1)));
  return name.starts_with("float") ? random_float_graph(seed, tally) : random_quantized_graph(seed, tally);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Random models, computed in several ways that must agree"};
  uint32_t floats = 0, quantized = 0, seed = 1;
  bool verbose = false, without_ort = false;
  std::string save, shrink_folder, only;
  DifferentialOptions options;
  app.add_option("--float", floats, "Float graphs")->type_name("N");
  app.add_option("--quantized", quantized, "Quantized graphs")->type_name("N");
  app.add_option("--seed", seed, "Of the first graph; each next one has the next")->capture_default_str()->type_name("N");
  app.add_option("--target", options.target, "What the emitted code is for")->capture_default_str();
  app.add_option("--cpu", options.cpu, "Of --target host");
  app.add_option("--cflags", options.build.flags, "Flags of the compiler instead of -O0");
  app.add_option("--batch", options.batch, "Models in one program")->capture_default_str();
  app.add_option("--only", only, "One graph by its name, such as float-17")->type_name("NAME");
  app.add_option("--shrink", shrink_folder, "Make failing graphs small and save them in this folder")->type_name("DIR");
  app.add_option("--save", save, "Write the models of all graphs into this folder")->type_name("DIR");
  app.add_flag("--sanitize", options.build.sanitize, "Build the emitted code with sanitizers");
  app.add_flag("!--no-emitted", options.emitted, "Do not build emitted code");
  app.add_flag("--no-onnxruntime", without_ort, "Leave ONNX Runtime out");
  app.add_flag("--verbose", verbose, "List what the graphs are made of");
  CLI11_PARSE(app, argc, argv);
  options.onnxruntime = !without_ort;
  options.begin = begin;
  std::atexit(last_words);
  for (int number : {SIGALRM, SIGSEGV, SIGABRT, SIGFPE, SIGBUS}) std::signal(number, on_signal);

  Tally tally;
  Totals totals;
  int bad = 0;
  if (!only.empty()) {
    const RandomGraph graph = named_graph(only, tally);
    if (!shrink_folder.empty() && same_failure(options, std::nullopt)(graph)) {
      fmt::print("{} makes kiln die\n", only);
      shrink_and_save(graph, options, std::nullopt, shrink_folder);
      finished = true;
      return 1;
    }
    (only.starts_with("float") ? floats : quantized) = 1;
    seed = static_cast<uint32_t>(std::stoul(only.substr(only.find('-') + 1)));
  }
  const uint32_t all = floats + quantized;
  for (uint32_t first = 0; first < all;) {
    std::vector<RandomGraph> graphs;
    for (; first < all && graphs.size() < options.batch; ++first) {
      const uint32_t own = first < floats ? seed + first : seed + (first - floats);
      const std::string name = fmt::format("{}-{}", first < floats ? "float" : "quantized", own);
      begin(name, 1);
      graphs.push_back(named_graph(name, tally));
    }
    if (!save.empty())
      for (const RandomGraph& graph : graphs)
        if (Status written = save_graph(graph, save); !written) return fmt::print(stderr, "{}\n", to_string(written.diagnostic())), 4;
    std::vector<std::vector<Finding>> findings = compare_ways(graphs, options, totals);
    for (size_t i = 0; i < graphs.size(); ++i)
      for (const Finding& f : findings[i]) {
        if (f.kind != Finding::Kind::refused) ++bad;
        fmt::print("{}: {}: {}\n  made of {}\n", graphs[i].name, f.way ? way_name(*f.way) : "import", f.text, fmt::join(graphs[i].parts, "; "));
        if (!shrink_folder.empty() && f.kind != Finding::Kind::refused) shrink_and_save(graphs[i], options, f, shrink_folder);
      }
    std::fflush(stdout);
  }
  finished = true;
  if (verbose) {
    print_counts("operators", tally.operators);
    print_counts("patterns", tally.patterns);
  }
  print_rejections("nodes refused as unsupported while graphs were made", tally.refused);
  print_rejections("nodes refused as malformed while graphs were made", tally.invalid);
  print_counts("graphs changed by each pass", totals.passes);
  print_counts("not compared with ONNX Runtime", totals.onnxruntime_lacks);
  print_counts("differences that are faults of ONNX Runtime", totals.excepted);
  fmt::print("{} graphs ({} float, {} quantized), {} compared with ONNX Runtime, {} emitted for {}, {} refused, {} bad findings\n", totals.graphs, floats,
             quantized, totals.against_onnxruntime, totals.against_emitted, options.target, totals.refused, bad);
  return bad == 0 ? 0 : 1;
}
