// SPDX-License-Identifier: Apache-2.0
// Plugin of QEMU that counts how often each instruction of the guest was executed, and how often a block of them ended in a taken branch.
// At exit it writes to the file of its argument `out=FILE` a line for each instruction, block by block: executions of the block, of these
// left by a branch (0 but for a block's last instruction), and the disassembly.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

// What QEMU offers to plugins by name, as the documented interface says (version 1).
extern "C" {
using qemu_plugin_id_t = uint64_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_cb(qemu_plugin_tb* tb, void (*callback)(unsigned int, void*), int flags, void* data);
size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* tb);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn* insn);
size_t qemu_plugin_insn_size(const qemu_plugin_insn* insn);
char* qemu_plugin_insn_disas(const qemu_plugin_insn* insn);

int qemu_plugin_version = 1;
int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv);
}

namespace {

/// A translated block: straight code that is entered at its start.
struct Block {
  uint64_t start = 0, end = 0, executions = 0, left_by_branch = 0;
  std::vector<std::string> instructions;
};

std::vector<std::unique_ptr<Block>> blocks;
Block* last = nullptr;
const char* out_path = nullptr;

void executed(unsigned int, void* data) {
  auto* block = static_cast<Block*>(data);
  if (last && last->end != block->start) ++last->left_by_branch;
  ++block->executions;
  last = block;
}

void translated(qemu_plugin_id_t, qemu_plugin_tb* tb) {
  Block& block = *blocks.emplace_back(std::make_unique<Block>());
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); ++i) {
    const qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(tb, i);
    char* text = qemu_plugin_insn_disas(insn);
    block.instructions.emplace_back(text ? text : "?");
    std::free(text);
    if (i == 0) block.start = qemu_plugin_insn_vaddr(insn);
    block.end = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);
  }
  constexpr int kNoRegisters = 0;
  qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, kNoRegisters, &block);
}

void write_counts() {
  std::FILE* out = std::fopen(out_path, "w");
  if (!out) return;
  for (const auto& block : blocks)
    for (size_t i = 0; i < block->instructions.size(); ++i)
      std::fprintf(out, "%llu %llu %s\n", static_cast<unsigned long long>(block->executions),
                   static_cast<unsigned long long>(i + 1 == block->instructions.size() ? block->left_by_branch : 0), block->instructions[i].c_str());
  std::fclose(out);
}

}  // namespace

int qemu_plugin_install(qemu_plugin_id_t id, const void*, int argc, char** argv) {
  for (int i = 0; i < argc; ++i)
    if (std::strncmp(argv[i], "out=", 4) == 0) out_path = argv[i] + 4;
  if (!out_path) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  return std::atexit(write_counts);
}
