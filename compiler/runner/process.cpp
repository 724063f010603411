// SPDX-License-Identifier: Apache-2.0
#include "compiler/runner/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace kiln {
namespace fs = std::filesystem;
namespace {

constexpr size_t kKeptOutput = size_t{1} << 16;

/// In the child: never returns. Only calls that are safe after fork.
[[noreturn]] void become(char* const* arguments, const char* directory, int output) {
  int nothing = open("/dev/null", O_RDONLY);
  bool good = nothing >= 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0 &&
              chdir(directory) == 0;
  if (good) execvp(arguments[0], arguments);
  const char* why = std::strerror(errno);
  ssize_t written = write(output, why, std::strlen(why));
  _exit(written < 0 ? 126 : 127);
}

std::string read_all(int from) {
  std::string text;
  char chunk[4096];
  for (;;) {
    ssize_t n = read(from, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(chunk, static_cast<size_t>(n));
    if (text.size() > 2 * kKeptOutput) text.erase(0, text.size() - kKeptOutput);
  }
}

}  // namespace

Result<ProcessResult> run_process(const std::vector<std::string>& arguments, const fs::path& directory) {
  auto fail = [&] { return error(DiagId::tool_failed, fmt::format("cannot start '{}': {}.", arguments.front(), std::strerror(errno))); };
  std::vector<char*> words;
  for (const std::string& a : arguments) words.push_back(const_cast<char*>(a.c_str()));  // execvp does not write to them
  words.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail();
  pid_t child = fork();
  if (child == 0) become(words.data(), directory.c_str(), ends[1]);
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    return fail();
  }
  ProcessResult result;
  result.output = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return fail();
  if (WIFSIGNALED(status))
    result.signal = WTERMSIG(status);
  else
    result.exit_code = WEXITSTATUS(status);
  return result;
}

std::optional<fs::path> find_program(const std::string& program) {
  std::error_code ec;
  auto usable = [&](const fs::path& path) { return access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path, ec); };
  if (program.find('/') != std::string::npos) return usable(program) ? std::optional(fs::path(program)) : std::nullopt;
  const char* variable = std::getenv("PATH");
  std::string folders = variable ? variable : "/usr/bin:/bin";
  for (size_t at = 0; at <= folders.size();) {
    size_t end = std::min(folders.find(':', at), folders.size());
    fs::path path = fs::path(folders.substr(at, end - at)) / program;
    if (usable(path)) return path;
    at = end + 1;
  }
  return std::nullopt;
}

std::string command_text(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) {
    bool plain = !argument.empty() && argument.find_first_of(" \t\n\"'\\$&|;<>()*?[]#~`") == std::string::npos;
    text += (text.empty() ? "" : " ") + (plain ? argument : fmt::format("'{}'", argument));
  }
  return text;
}

}  // namespace kiln
