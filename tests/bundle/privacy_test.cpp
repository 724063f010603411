// SPDX-License-Identifier: Apache-2.0
// Nothing stays on disk and nothing goes out: every verb runs with empty folders for all that programs keep, and without sockets.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <functional>

#include "compiler/frontend/tensor_file.h"
#include "compiler/reference/onnxruntime.h"
#include "tests/kiln_command.h"

using namespace kiln;
using namespace kiln::test;
namespace fs = std::filesystem;

namespace {

/// From here on this process and all that it starts are killed by SIGSYS when they make a socket.
bool forbid_sockets() {
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program = {static_cast<unsigned short>(std::size(code)), code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// The status that a child without sockets ends with; `work` does not return, or the status is 77 << 8.
int run_without_sockets(const std::function<void()>& work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (forbid_sockets()) work();
    _exit(77);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

/// Files and folders below `folder`, its own.
std::vector<std::string> contents(const fs::path& folder) {
  std::vector<std::string> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) all.push_back(entry.path().string());
  return all;
}

/// Runs kiln in `work` with `home` for all that programs keep.
int private_kiln(const fs::path& work, const fs::path& home, const std::vector<std::string>& arguments) {
  return run_without_sockets([&] {
    for (const char* name : {"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"})
      setenv(name, home.c_str(), 1);
    setenv("CCACHE_DISABLE", "1", 1);  // keeps what it compiles, as it should
    unsetenv("ORT_DISABLE_TELEMETRY");
    if (chdir(work.c_str()) != 0) return;
    const int output = open("output.txt", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    std::vector<char*> words{const_cast<char*>(KILN_BINARY)};
    for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    execv(KILN_BINARY, words.data());
  });
}

}  // namespace

TEST_CASE("a process that makes a socket is seen") {
  const int status = run_without_sockets([] { socket(AF_INET, SOCK_STREAM, 0); });
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSYS);
}

TEST_CASE("no verb leaves anything in HOME and TMPDIR or makes a socket, ONNX Runtime included") {
  const TemporaryFolder work = temporary_folder();
  fs::copy(KILN_SOURCE_DIR "/tests/data/tiny_relu.onnx", work.path() / "relu.onnx");
  fs::copy(KILN_SOURCE_DIR "/examples/digits/digits.onnx", work.path() / "digits.onnx");
  REQUIRE(write_file(work.path() / "x.npy", save_npy(Tensor::floats({1, 4}, {1, 2, 3, 4}))).ok());
  REQUIRE(write_file(work.path() / "many.npy", save_npy(Tensor::floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}))).ok());
  REQUIRE(write_file(work.path() / "labels.npy", save_npy(Tensor::int64s({3, 3}))).ok());
  REQUIRE(write_file(work.path() / "digits.npy", save_npy(Tensor(TensorType{DType::f32, {4, 1, 8, 8}, {}}))).ok());
  std::vector<std::vector<std::string>> commands = {
      {"compile", "relu.onnx", "-o", "out"},
      {"inspect", "relu.onnx"},
      {"run", "relu.onnx", "--input", "x.npy"},
      {"quantize", "digits.onnx", "--calibration", "digits.npy", "-o", "int8.onnx"},
      {"evaluate", "relu.onnx", "--data", "many.npy", "--labels", "labels.npy", "--metric", "top1"},
      {"ops"},
      {"targets"},
      {"opt", "relu.onnx"},
  };
  if (OnnxRuntime::load().ok()) {
    commands.push_back({"diff", "relu.onnx", "--layers"});
    commands.push_back({"diff", "relu.onnx", "--time", "3"});
    commands.push_back({"evaluate", "relu.onnx", "--data", "many.npy", "--labels", "labels.npy", "--metric", "top1", "--run", "both"});
    commands.push_back({"evaluate", "relu.onnx", "--data", "many.npy", "--metric", "agreement", "--against", "relu.onnx", "--run", "ort"});
  } else {
    WARN("skipped in part: ONNX Runtime is not installed");
  }
  for (const std::vector<std::string>& command : commands) {
    const TemporaryFolder home = temporary_folder();
    const int status = private_kiln(work.path(), home.path(), command);
    INFO(command_text(command) << ": " << *read_file(work.path() / "output.txt"));
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(contents(home.path()) == std::vector<std::string>{});
  }
}
