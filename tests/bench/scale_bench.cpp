// SPDX-License-Identifier: Apache-2.0
// scale_bench: processor time and memory that kiln takes for models of sizes that double. Times depend on the machine; what counts is the
// growth: 2 where they follow the size of the model, 4 where they follow its square.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "compiler/support/files.h"
#include "tests/scale_models.h"

using namespace kiln;

namespace {

struct Cost {
  double seconds = 0;
  double mebibytes = 0;  ///< largest resident set
  bool ok = false;
};

/// Runs the program; what it prints is dropped.
Cost cost_of(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (!std::freopen("/dev/null", "w", stdout)) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child) return {};
  auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024, WIFEXITED(status) && WEXITSTATUS(status) == 0};
}

std::vector<std::string> command(const std::string& verb, const std::filesystem::path& model, const std::filesystem::path& folder) {
  std::vector<std::string> out{KILN_BINARY, verb, model.string()};
  if (verb == "compile") out.insert(out.end(), {"-o", (folder / "bundle").string()});
  if (verb == "opt") out.insert(out.end(), {"--elide"});
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Time and memory of kiln for models of growing size.");
  std::vector<std::string> kinds, verbs{"compile"};
  int smallest = 12'500, largest = 100'000;
  app.add_option("--kind", kinds, "kinds of models; all by default");
  app.add_option("--verb", verbs, "compile, inspect or opt")->capture_default_str();
  app.add_option("--from", smallest, "nodes of the smallest model")->capture_default_str();
  app.add_option("--to", largest, "nodes of the largest")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder) return 1;
  bool ok = true;
  fmt::print("{:<11}{:<9}{:>7}{:>9}{:>8}{:>7}{:>8}\n", "model", "verb", "nodes", "seconds", "growth", "MiB", "growth");
  for (const test::ScaleModel& model : test::kScaleModels) {
    if (!kinds.empty() && std::find(kinds.begin(), kinds.end(), model.name) == kinds.end()) continue;
    for (const std::string& verb : verbs) {
      Cost last;
      for (int nodes = smallest; nodes <= largest; nodes *= 2) {
        const std::filesystem::path file = folder->path() / fmt::format("{}.onnx", model.name);
        if (!write_file(file, model.make(nodes)).ok()) return 1;
        const Cost cost = cost_of(command(verb, file, folder->path()));
        ok = ok && cost.ok;
        auto growth = [](double now, double before) { return before > 0 ? fmt::format("{:.2f}", now / before) : std::string(); };
        fmt::print("{:<11}{:<9}{:>7}{:>9}{:>8}{:>7.0f}{:>8}\n", model.name, verb, nodes, cost.ok ? fmt::format("{:.2f}", cost.seconds) : "failed",
                   growth(cost.seconds, last.seconds), cost.mebibytes, growth(cost.mebibytes, last.mebibytes));
        std::fflush(stdout);
        last = cost;
      }
    }
  }
  return ok ? 0 : 1;
}
