// SPDX-License-Identifier: Apache-2.0
// Object code as compilers make it of small sources: sizes, frames, calls, and what keeps a stack from having a bound.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <regex>
#include <sstream>

#include "compiler/objects/instructions.h"
#include "compiler/objects/machine.h"
#include "compiler/objects/runtime_symbols.h"
#include "compiler/objects/stack_bound.h"
#include "compiler/runner/process.h"
#include "compiler/support/files.h"
#include "tests/skip.h"

using namespace kiln;

namespace {

struct Toolchain {
  std::string name;
  std::vector<std::string> command;
  bool clang, arm;
};

/// Those that are installed.
std::vector<Toolchain> toolchains() {
  std::vector<Toolchain> all{
      {"gcc for Cortex-M4", {"arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"}, false, true},
      {"clang for Cortex-M4", {"clang++-19", "--target=arm-none-eabi", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard"}, true, true},
      {"clang for Cortex-M0", {"clang++-19", "--target=arm-none-eabi", "-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"}, true, true},
      {"gcc for RV32", {"riscv64-unknown-elf-g++", "-march=rv32imc", "-mabi=ilp32"}, false, false},
      {"clang for RV32", {"clang++-19", "--target=riscv32-unknown-elf", "-march=rv32imc", "-mno-relax"}, true, false},
      {"clang for RV64", {"clang++-19", "--target=riscv64-unknown-elf", "-march=rv64gc"}, true, false}};
  std::erase_if(all, [](const Toolchain& t) {
    bool missing = !find_program(t.command.front());
    if (missing) KILN_SKIP(t.name << " is not installed");
    return missing;
  });
  return all;
}

ObjectInput compiled(const Toolchain& toolchain, const std::string& source) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  REQUIRE(folder.ok());
  REQUIRE(write_file(folder->path() / "m.cpp", source).ok());
  std::vector<std::string> command = toolchain.command;
  for (const char* flag : {"-std=c++17", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-ffunction-sections", "-fdata-sections", "-O2",
                           "-DKILN_STACK_REPORT", "-I" KILN_SOURCE_DIR "/runtime-stubs/nn"})
    command.emplace_back(flag);
  command.emplace_back(toolchain.clang ? "-fstack-size-section" : "-fstack-usage");
  for (const char* word : {"-c", "m.cpp", "-o", "m.o"}) command.emplace_back(word);
  Result<ProcessResult> run = run_process(command, folder->path());
  REQUIRE(run.ok());
  INFO(run->output);
  REQUIRE(run->ok());
  return {"m.o", *read_file(folder->path() / "m.o"), toolchain.clang ? "" : *read_file(folder->path() / "m.su")};
}

ObjectCode code_of(const Toolchain& toolchain, const std::string& source) {
  std::vector<ObjectInput> inputs{compiled(toolchain, source)};
  Result<ObjectCode> code = read_objects(inputs, "m::weights::");
  if (!code) FAIL(to_string(code.diagnostic()));
  return *std::move(code);
}

constexpr const char* kLayers = R"(
extern "C" void* memcpy(void*, const void*, __SIZE_TYPE__);
extern "C" int outside(int*);
namespace m {
namespace weights {
alignas(16) extern const int w[5] = {1, 2, 3, 4, 5};
extern const signed char b[3] = {1, 2, 3};
}
extern const int table[4] = {5, 6, 7, 8};
int counter = 7;
int zeroed[10];
__attribute__((noinline)) int leaf(volatile int* x) { volatile int local[6] = {*x, *x, *x, *x, *x, *x}; return local[*x & 3] + 1; }
template <class T>
__attribute__((noinline)) int deep(T* x) {
  volatile T local[40];
  for (int i = 0; i < 40; ++i) local[i] = x[i];
  return leaf(local + *x) + 1;
}
static __attribute__((noinline)) int shallow(int* x) { volatile int local[4] = {*x, x[1], x[2], x[3]}; return leaf(local) * local[1]; }
}
extern "C" int m_run(int* x) { return m::shallow(x) + m::deep(x) * m::shallow(x + 1); }
extern "C" int m_other(int* x) { int big[100]; memcpy(big, x, sizeof big); return outside(big) + m::counter++ + m::zeroed[*x]; }
)";

}  // namespace

TEST_CASE("objects tell sizes, functions, frames and calls") {
  for (const Toolchain& toolchain : toolchains()) {
    INFO(toolchain.name);
    ObjectCode code = code_of(toolchain, kLayers);
    CHECK(code.weight_bytes >= 23);  // and what alignment costs, in the order of the compiler
    CHECK(code.weight_bytes <= 36);
    CHECK(code.constant_bytes >= 16);
    CHECK(code.data_bytes == 4);
    CHECK(code.zero_bytes == 40);
    int64_t functions = 0;
    for (const CodeFunction& f : code.functions) functions += f.bytes;
    CHECK(functions <= code.text_bytes);
    CHECK(functions >= code.text_bytes - 4 * static_cast<int64_t>(code.functions.size()));
    CHECK(code.flash_bytes() == code.text_bytes + code.constant_bytes + code.weight_bytes + code.data_bytes);
    CHECK(std::find(code.undefined.begin(), code.undefined.end(), "outside") != code.undefined.end());
    CHECK(std::find(code.undefined.begin(), code.undefined.end(), "m_run") == code.undefined.end());

    const CodeFunction* run = code.find("m_run");
    REQUIRE(run);
    REQUIRE(run->calls.size() == 3);
    std::vector<std::string> callees;
    for (const CodeCall& call : run->calls) callees.push_back(code.functions[call.function.value()].name);
    CHECK(std::count(callees.begin(), callees.end(), "m::shallow") == 2);
    CHECK(std::count(callees.begin(), callees.end(), "m::deep") == 1);

    StackBound bound = stack_bound(code, "m_run");
    INFO(bound.reason);
    REQUIRE(bound.bytes);
    REQUIRE(bound.chain.size() == 3);
    CHECK(bound.chain[0].name == "m_run");
    CHECK(bound.chain[1].name == "m::deep");
    CHECK(bound.chain[2].name == "m::leaf");
    CHECK(bound.chain[1].bytes >= 160);
    CHECK(bound.chain[1].bytes <= 208);
    CHECK(*bound.bytes == bound.chain[0].bytes + bound.chain[1].bytes + bound.chain[2].bytes);

    StackBound foreign = stack_bound(code, "m_other");
    CHECK_FALSE(foreign.bytes);
    CHECK(foreign.reason == "outside is not part of the bundle");
    CHECK_FALSE(stack_bound(code, "m_nothing").bytes);
  }
}

TEST_CASE("calls from object to object are found") {
  for (const Toolchain& toolchain : toolchains()) {
    INFO(toolchain.name);
    std::vector<ObjectInput> inputs{
        compiled(toolchain, "extern \"C\" int there(int*); extern \"C\" int here(int* x) { return there(x) + 1; }"),
        compiled(toolchain, "extern \"C\" int there(int* x) { volatile int a[20] = {*x}; return a[3]; }")};
    Result<ObjectCode> code = read_objects(inputs, "m::weights::");
    REQUIRE(code.ok());
    for (const std::string& symbol : code->undefined) CHECK(runtime_routine(symbol)->kind == RoutineKind::memory);
    StackBound bound = stack_bound(*code, "here");
    REQUIRE(bound.bytes);
    CHECK(*bound.bytes >= 80);
  }
}

namespace {

struct Unbounded {
  const char *source, *reason;
};
const Unbounded kUnbounded[] = {
    {"int g(int n, int* x) { volatile int a[3] = {n, 1, 2}; return n < 1 ? a[1] : g(n - 1, x) * g(n - 2, x) + a[0]; }",
     "g: it calls itself"},
    {"static __attribute__((noinline)) int g(int n, int* x) {\n"
     "  volatile int a[3] = {n, 1, 2};\n"
     "  return n < 1 ? a[1] : g(n - *x, x) * g(n - 2, x) + a[0];\n"
     "}",
     "g: it calls itself"},
    {"int h(int, int*);\n"
     "__attribute__((noinline)) int g(int n, int* x) { return n ? h(n - 1, x) * 3 + *x : 1; }\n"
     "__attribute__((noinline)) int h(int n, int* x) { return g(n - 1, x) * 5 + x[1]; }",
     "is called again by what it calls"},
    {"int leaf(int* x) { return *x; }\n"
     "int (*volatile pointer)(int*) = leaf;\n"
     "int g(int, int* x) { return pointer(x) + 1; }",
     "the address of leaf is taken"},
    {"static __attribute__((noinline)) int leaf(int* x) { return *x * 7; }\n"
     "int g(int n, int* x) { int (*volatile f)(int*) = leaf; return f(x) + n; }",
     "the address of leaf is taken"},
    {"__attribute__((noinline)) int fill(volatile int* a, int n) { return a[n]; }\n"
     "int g(int n, int*) {\n"
     "  volatile int* a = static_cast<int*>(__builtin_alloca(4u * static_cast<unsigned>(n)));\n"
     "  a[n - 1] = 5;\n"
     "  return fill(a, 1) + 1;\n"
     "}",
     "g: the compiler does not know its frame"},
};

}  // namespace

TEST_CASE("what keeps a stack from having a bound is said") {
  for (const Toolchain& toolchain : toolchains()) {
    for (const Unbounded& c : kUnbounded) {
      StackBound bound =
          stack_bound(code_of(toolchain, std::string(c.source) + "\nextern \"C\" int m_run(int* x) { return g(*x, x) + 1; }"), "m_run");
      INFO(toolchain.name << ": " << c.source << "\n" << bound.reason);
      CHECK_FALSE(bound.bytes);
      CHECK(bound.reason.find(c.reason) != std::string::npos);
    }
  }
}

TEST_CASE("what asm pushes is counted") {
  for (const Toolchain& toolchain : toolchains()) {
    INFO(toolchain.name);
    const char* body = toolchain.arm ? "push {r4-r7}\\n\\tpop {r4-r7}\\n\\tbx lr" : "addi sp, sp, -16\\n\\taddi sp, sp, 16\\n\\tret";
    ObjectCode code = code_of(toolchain, fmt::format(R"(#include "base.h"
inline __attribute__((naked, noinline)) int first(int) {{ __asm__ volatile(KILN_ASM_STACK(16) "{0}"); }}
inline __attribute__((naked, noinline)) int second(int) {{ __asm__ volatile(KILN_ASM_STACK(144) "{0}"); }}
extern "C" int m_run(int* x) {{ return first(*x) + second(*x) + 1; }})",
                                                     body));
    StackBound bound = stack_bound(code, "m_run");
    REQUIRE(bound.bytes);
    REQUIRE(bound.chain.size() == 2);
    CHECK(bound.chain[1].name == "second");
    CHECK(bound.chain[1].bytes == 144);
  }
}

TEST_CASE("all asm of the kernels that pushes says so") {
  const std::regex pushes("\"v?push |\"addi sp, sp, -|\"sub sp");
  constexpr int kReach = 16;  // lines of one statement between its begin and its last push
  int found = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(KILN_SOURCE_DIR "/runtime-stubs/nn")) {
    if (entry.path().extension() != ".h") continue;
    std::istringstream in(*read_file(entry.path()));
    int number = 0, said = -kReach;
    for (std::string line; std::getline(in, line); ++number) {
      if (line.find("KILN_ASM_STACK(") != std::string::npos) said = number;
      if (!std::regex_search(line, pushes)) continue;
      ++found;
      INFO(entry.path() << ":" << number + 1 << ": " << line);
      CHECK(number - said < kReach);
    }
  }
  CHECK(found > 10);
}

TEST_CASE("arguments that a function stores beside those on the stack are counted") {
  for (const Toolchain& toolchain : toolchains()) {
    ObjectCode code = code_of(toolchain, R"(struct Pair { int a, b, c; };
extern "C" __attribute__((noinline)) int sum(int x, int y, int z, Pair p) { Pair* volatile q = &p; return x + y * z + q->a + q->b * q->c; }
extern "C" int m_run(int* x) { return sum(x[0], x[1], x[2], {x[3], x[4], x[5]}) + 1; })");
    INFO(toolchain.name);
    const CodeFunction* sum = code.find("sum");
    REQUIRE(sum);
    if (toolchain.arm) CHECK(sum->frame_bytes.value() >= 8);  // one argument in r3 and the pointer to it
    CHECK(sum->frame_bytes.value() <= 64);
  }
}

TEST_CASE("routines of the toolchain are known by name, and nothing else is") {
  CHECK(runtime_routine("memcpy")->kind == RoutineKind::memory);
  CHECK(runtime_routine("__aeabi_fadd")->kind == RoutineKind::floats);
  CHECK(runtime_routine("__divdf3")->kind == RoutineKind::doubles);
  CHECK(runtime_routine("__clzsi2")->kind == RoutineKind::integer);
  for (const char* foreign : {"malloc", "printf", "expf", "__cxa_atexit", "_Znwj", "memcmp", "__aeabi_atexit", "__aeabi_", "", "_ZN1m3run"})
    CHECK_FALSE(runtime_routine(foreign));
  for (const Toolchain& toolchain : toolchains()) {
    ObjectCode code = code_of(toolchain, "extern \"C\" double m_run(double* x) { return x[0] / x[1] + static_cast<float>(x[2]); }");
    for (const std::string& symbol : code.undefined) CHECK(runtime_routine(symbol));
    CHECK(code.undefined.empty() == (toolchain.name == "clang for RV64"));
  }
}

TEST_CASE("what is no object for Arm or RISC-V is refused") {
  const std::string head_only = std::string(
                                    "\x7f"
                                    "ELF\1\1\1") +
                                std::string(60, '\0');
  for (const std::string& bytes : {std::string(), std::string("no object at all"), head_only}) {
    std::vector<ObjectInput> inputs{{"m.o", bytes, ""}};
    Result<ObjectCode> code = read_objects(inputs, "m::weights::");
    REQUIRE_FALSE(code.ok());
    CHECK(code.diagnostic().id == DiagId::tool_failed);
  }
  for (const Toolchain& toolchain : toolchains()) {
    std::vector<ObjectInput> inputs{compiled(toolchain, kLayers)};
    inputs[0].stack_usage = "m.cpp:1:1:int f()\t8\tstatic\n";
    Result<ObjectCode> code = read_objects(inputs, "m::weights::");
    REQUIRE_FALSE(code.ok());
    CHECK(code.diagnostic().message.find("frames of 1 functions") != std::string::npos);
    for (size_t length : {size_t{40}, inputs[0].bytes.size() / 2, inputs[0].bytes.size() - 8}) {
      inputs[0].bytes.resize(std::min(length, inputs[0].bytes.size()));
      CHECK_FALSE(read_objects(inputs, "m::weights::").ok());
    }
  }
}

TEST_CASE("names are shortened for people") {
  CHECK(readable_symbol("_ZN1m2nn3dsp8add_tileEPKjS3_PKaPi") == "m::nn::dsp::add_tile");
  CHECK(readable_symbol("_Z4deepIiEiPT_") == "deep");
  CHECK(readable_symbol("_ZN1mL6layer1EPv.constprop.0") == "m::layer1");
  CHECK(readable_symbol("_ZZN1m4rowsILi3EEEviENKUliE_clEi") == "m::rows::lambda");
  CHECK(readable_symbol("m_run") == "m_run");
}

TEST_CASE("vectors saved on the stack are noticed") {
  auto words = [](std::initializer_list<uint32_t> list) {
    std::string code;
    for (uint32_t word : list)
      for (int i = 0; i < 4; ++i) code += static_cast<char>(word >> 8 * i);
    return code;
  };
  CHECK(riscv_reads_vlenb(words({0x00000013, 0xc22022f3})));              // nop; csrr t0, vlenb
  CHECK_FALSE(riscv_reads_vlenb(words({0x00000013, 0xc02022f3})));        // nop; rdinstret t0
  CHECK(riscv_calls_start(words({0x00000013, 0x00000097, 0xffc080e7})));  // nop; auipc ra, 0; jalr -4(ra)
  CHECK_FALSE(riscv_calls_start(words({0x00000013, 0x00000097, 0x000080e7})));
  CHECK(thumb_calls_start(words({0xbf00bf00, 0xfffcf7ff})));        // nop; nop; bl to the first
  CHECK(thumb_argument_bytes(words({0xb5f0b082})) == 8);            // sub sp, #8; push
  CHECK(thumb_argument_bytes(words({0xe92db084, 0x4ff0})) == 16);   // sub sp, #16; push.w
  CHECK(thumb_argument_bytes(words({0xb082b5f0})) == 0);            // push; sub sp, #8: the frame itself
  CHECK_FALSE(thumb_calls_start(words({0xbf00bf00, 0xfffef7ff})));  // a call whose relocation is not applied yet
}

TEST_CASE("object code of other machines is refused by name") {
  constexpr uint16_t kArm = 40, kX86 = 62, kRiscv = 243;  // e_machine
  REQUIRE((find_machine(kArm) && find_machine(kRiscv)));
  CHECK(find_machine(kArm)->name == "Arm");
  CHECK(find_machine(kRiscv)->name == "RISC-V");
  CHECK(find_machine(kX86) == nullptr);
  std::string header("\x7f" "ELF\x02\x01\x01", 7);
  header.resize(64);
  header[16] = 1, header[18] = kX86, header[20] = 1, header[52] = 64;  // relocatable, for x86-64, version, size of the header
  const std::vector<ObjectInput> inputs{{"x.o", header, {}}};
  Result<ObjectCode> code = read_objects(inputs, "m::weights::");
  REQUIRE_FALSE(code.ok());
  CHECK(code.diagnostic().message == "cannot read the object code: it is not for Arm or RISC-V.");
}
