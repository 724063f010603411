// SPDX-License-Identifier: Apache-2.0
#include "compiler/objects/routine_archive.h"

#include <fmt/format.h>
#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Object/Archive.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include <map>
#include <set>

namespace kiln {
namespace {

using llvm::object::Archive;
using llvm::object::ELFSectionRef;

/// As a linker: members are taken while symbols are undefined.
class Taker {
 public:
  explicit Taker(const Archive& archive) {
    for (const Archive::Symbol& symbol : archive.symbols())
      if (llvm::Expected<Archive::Child> member = symbol.getMember())
        members_.emplace(symbol.getName().str(), *member);
      else
        llvm::consumeError(member.takeError());
  }

  llvm::Error take(std::vector<std::string> todo) {
    while (!todo.empty()) {
      auto member = members_.find(todo.back());
      todo.pop_back();
      if (member == members_.end() || !taken_.insert(member->second.getDataOffset()).second) continue;
      llvm::Expected<llvm::MemoryBufferRef> buffer = member->second.getMemoryBufferRef();
      if (!buffer) return buffer.takeError();
      auto object = llvm::object::ObjectFile::createELFObjectFile(*buffer);
      if (!object) return object.takeError();
      add(**object, todo);
    }
    return llvm::Error::success();
  }
  int64_t bytes = 0;

 private:
  void add(const llvm::object::ObjectFile& object, std::vector<std::string>& todo) {
    for (const ELFSectionRef section : object.sections()) {
      const bool unwinds = section.getType() == llvm::ELF::SHT_ARM_EXIDX;
      if ((section.getFlags() & llvm::ELF::SHF_ALLOC) && !section.isBSS() && !unwinds) bytes += static_cast<int64_t>(section.getSize());
    }
    for (const llvm::object::SymbolRef& symbol : object.symbols()) {
      llvm::Expected<uint32_t> flags = symbol.getFlags();
      llvm::Expected<llvm::StringRef> name = symbol.getName();
      if (flags && name && (*flags & llvm::object::SymbolRef::SF_Undefined) && !(*flags & llvm::object::SymbolRef::SF_Weak))
        todo.push_back(name->str());
      if (!flags) llvm::consumeError(flags.takeError());
      if (!name) llvm::consumeError(name.takeError());
    }
  }

  std::map<std::string, Archive::Child> members_;
  std::set<uint64_t> taken_;
};

}  // namespace

Result<int64_t> archived_bytes(const std::string& archive, const std::vector<std::string>& symbols) {
  auto failed = [](llvm::Error problem) {
    return error(DiagId::tool_failed, fmt::format("cannot read the toolchain's library: {}.", llvm::toString(std::move(problem))));
  };
  auto opened = Archive::create(llvm::MemoryBufferRef(archive, "library"));
  if (!opened) return failed(opened.takeError());
  Taker taker(**opened);
  if (llvm::Error problem = taker.take(symbols)) return failed(std::move(problem));
  return taker.bytes;
}

}  // namespace kiln
