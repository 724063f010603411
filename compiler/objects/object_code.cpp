// SPDX-License-Identifier: Apache-2.0
// Reading goes object by object: symbols first, then frames, then relocations, which tell who calls whom. Every function has a section of
// its own, so that calls between functions need relocations; only a call of a function by itself does not, and is found in the
// instructions. A relocation that is no branch but names a function takes its address.
// Not handled: common symbols (C++ has none), and functions that two objects define (COMDAT): they are counted twice.
#include "compiler/objects/object_code.h"

#include <fmt/format.h>
#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Demangle/Demangle.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/LEB128.h>
#include <llvm/Support/MemoryBuffer.h>

#include <algorithm>
#include <map>
#include <set>

#include "compiler/objects/machine.h"

namespace kiln {
namespace {

namespace elf = llvm::ELF;
using llvm::object::ELFObjectFileBase;
using llvm::object::ELFRelocationRef;
using llvm::object::ELFSectionRef;
using llvm::object::ELFSymbolRef;
using llvm::object::RelocationRef;
using llvm::object::SectionRef;

enum class Use { code, constants, data, zero, none };

/// What a section becomes on the device.
Use use_of(const ELFSectionRef& section, llvm::StringRef name) {
  const uint64_t flags = section.getFlags();
  const bool unwinds = section.getType() == elf::SHT_ARM_EXIDX || name.starts_with(".eh_frame") || name.starts_with(".ARM.extab");
  if (!(flags & elf::SHF_ALLOC) || unwinds) return Use::none;
  if (flags & elf::SHF_EXECINSTR) return Use::code;
  if (section.getType() == elf::SHT_NOBITS) return Use::zero;
  return flags & elf::SHF_WRITE ? Use::data : Use::constants;
}

/// The part of a function that GCC moves out of the way belongs to it.
std::string without_cold(const std::string& symbol) {
  size_t at = symbol.find(".cold");
  return at == std::string::npos ? symbol : symbol.substr(0, at);
}

/// "Arm or RISC-V".
std::string machine_names() {
  std::vector<std::string_view> names;
  for (const Machine& machine : machines()) names.push_back(machine.name);
  return fmt::format("{}", fmt::join(names, " or "));
}

Diagnostic unreadable(const ObjectInput& input, const std::string& what) {
  return error(DiagId::tool_failed, fmt::format("cannot read the object code: {}.", what)).in_file(input.name);
}

/// Where a symbol or an address lies.
struct Place {
  uint64_t section;
  uint64_t offset;
};

/// One object on its way into the result.
class Reader {
 public:
  Reader(const ObjectInput& input, const ELFObjectFileBase& file, const Machine& machine, const std::string& weights_namespace, ObjectCode& out)
      : input_(input), file_(file), machine_(machine), weights_namespace_(weights_namespace), out_(out) {}

  Status read() {
    read_symbols();
    measure_sections();
    if (Status s = read_frames(); !s) return s;
    for (const SectionRef& section : file_.sections()) read_relocations(section);
    scan_instructions();
    return Done{};
  }
  std::set<std::string> undefined, defined;

 private:
  /// A stretch of a code section.
  struct Part {
    uint64_t offset, bytes;
    size_t function;
    bool cold;
  };

  [[nodiscard]] Diagnostic broken(const std::string& what) const { return unreadable(input_, what); }

  static std::string text(llvm::Expected<llvm::StringRef> name) {
    if (name) return name->str();
    llvm::consumeError(name.takeError());
    return {};
  }

  void read_symbols() {
    std::map<std::string, size_t> by_name;
    std::vector<std::pair<Place, ELFSymbolRef>> functions;
    for (const ELFSymbolRef symbol : file_.symbols()) {
      const std::string name = text(symbol.getName());
      const std::optional<Place> place = place_of(symbol);
      const bool global = symbol.getBinding() != elf::STB_LOCAL;
      if (!place && global && (symbol.getFlags().get() & llvm::object::SymbolRef::SF_Undefined)) undefined.insert(name);
      if (!place) continue;
      if (global) defined.insert(name);
      if (symbol.getELFType() == elf::STT_FUNC) functions.emplace_back(*place, symbol);
      if (readable_symbol(name).starts_with(weights_namespace_)) weight_sections_.insert(place->section);
    }
    // In the order of the code, which is that of GCC's list of frames.
    auto place = [](const auto& function) { return std::pair(function.first.section, function.first.offset); };
    std::ranges::stable_sort(functions, {}, place);
    for (const auto& [place, symbol] : functions) {
      const std::string whole = text(symbol.getName()), name = without_cold(whole);
      auto [it, is_new] = by_name.emplace(name, out_.functions.size());
      if (is_new) out_.functions.push_back({name, readable_symbol(name), 0, {}, {}, {}});
      out_.functions[it->second].bytes += static_cast<int64_t>(symbol.getSize());
      parts_[place.section].push_back({place.offset, symbol.getSize(), it->second, name != whole});
      if (name == whole) order_.push_back(it->second);
    }
  }

  /// Nothing for symbols without a section: undefined and absolute ones.
  std::optional<Place> place_of(const ELFSymbolRef& symbol) const {
    llvm::Expected<llvm::object::section_iterator> section = symbol.getSection();
    if (!section) {
      llvm::consumeError(section.takeError());
      return std::nullopt;
    }
    if (*section == file_.section_end()) return std::nullopt;
    uint64_t value = symbol.getValue().get();
    if (symbol.getELFType() == elf::STT_FUNC) value &= ~machine_.function_bit;
    return Place{(*section)->getIndex(), value};
  }

  void measure_sections() {
    for (const SectionRef& section : file_.sections()) {
      const std::string name = text(section.getName());
      const Use use = use_of(section, name);
      const bool weights = weight_sections_.contains(section.getIndex());
      int64_t* total = use == Use::code        ? &out_.text_bytes
                       : use == Use::constants ? (weights ? &out_.weight_bytes : &out_.constant_bytes)
                       : use == Use::data      ? &out_.data_bytes
                       : use == Use::zero      ? &out_.zero_bytes
                                               : nullptr;
      if (!total || section.getSize() == 0) continue;
      const auto align = static_cast<int64_t>(section.getAlignment().value());
      *total = (*total + align - 1) / align * align + static_cast<int64_t>(section.getSize());
    }
  }

  // --- frames

  Status read_frames() {
    std::map<size_t, int64_t> pushed;  // by asm statements; those of one function do not nest
    for (const SectionRef& section : file_.sections()) {
      llvm::Expected<llvm::object::section_iterator> target = section.getRelocatedSection();
      if (!target || *target == file_.section_end()) {
        if (!target) llvm::consumeError(target.takeError());
        continue;
      }
      const std::string name = text((*target)->getName());
      if (name != ".stack_sizes" && name != ".kiln_stack") continue;
      Status status = for_each_size(**target, section, [&](size_t function, int64_t bytes) {
        if (name == ".stack_sizes")
          out_.functions[function].frame_bytes = bytes;
        else
          pushed[function] = std::max(pushed[function], bytes);
      });
      if (!status) return status;
    }
    if (!input_.stack_usage.empty())
      if (Status s = read_stack_usage(); !s) return s;
    for (auto [function, bytes] : pushed)
      if (std::optional<int64_t>& frame = out_.functions[function].frame_bytes) *frame += bytes;
    return Done{};
  }

  /// Entries of .stack_sizes: an address, relocated, and a size as ULEB128.
  template <class Found>
  Status for_each_size(const SectionRef& sizes, const SectionRef& relocations, const Found& found) {
    llvm::Expected<llvm::StringRef> contents = sizes.getContents();
    if (!contents) return broken(llvm::toString(contents.takeError()));
    const uint64_t address_bytes = file_.getBytesInAddress();
    std::map<uint64_t, RelocationRef> addresses;
    for (const RelocationRef& r : relocations.relocations()) addresses.emplace(r.getOffset(), r);
    for (uint64_t at = 0; at + address_bytes < contents->size();) {
      auto relocation = addresses.find(at);
      if (relocation == addresses.end()) return broken("a stack size without a function");
      uint64_t addend = 0;
      for (uint64_t i = 0; i < address_bytes; ++i) addend |= uint64_t{static_cast<uint8_t>((*contents)[at + i])} << 8 * i;
      at += address_bytes;
      unsigned length = 0;
      const char* wrong = nullptr;
      uint64_t bytes = llvm::decodeULEB128(contents->bytes_begin() + at, &length, contents->bytes_end(), &wrong);
      if (wrong) return broken(wrong);
      at += length;
      const ELFSymbolRef symbol = *relocation->second.getSymbol();
      std::optional<Place> place = place_of(symbol);
      if (!place) continue;
      if (ELFSectionRef(relocations).getType() == elf::SHT_RELA) addend = static_cast<uint64_t>(addend_of(relocation->second));
      place->offset += addend & ~machine_.function_bit;
      if (const Part* part = part_at(*place)) found(part->function, static_cast<int64_t>(bytes));
    }
    return Done{};
  }

  static int64_t addend_of(const RelocationRef& relocation) {
    llvm::Expected<int64_t> addend = ELFRelocationRef(relocation).getAddend();
    if (addend) return *addend;
    llvm::consumeError(addend.takeError());
    return 0;
  }

  /// Lines of a .su file are "file:line:column:function<TAB>bytes<TAB>static|dynamic|dynamic,bounded", in the order of the code.
  Status read_stack_usage() {
    std::vector<std::optional<int64_t>> frames;
    for (size_t at = 0; at < input_.stack_usage.size();) {
      size_t end = std::min(input_.stack_usage.find('\n', at), input_.stack_usage.size());
      const std::string line = input_.stack_usage.substr(at, end - at);
      at = end + 1;
      size_t kind = line.rfind('\t'), size = kind == std::string::npos ? kind : line.rfind('\t', kind - 1);
      if (size == std::string::npos) return broken("GCC's list of frames has an unknown form");
      const bool known = line.substr(kind + 1) != "dynamic";
      frames.push_back(known ? std::optional(static_cast<int64_t>(std::strtoll(line.c_str() + size + 1, nullptr, 10))) : std::nullopt);
    }
    if (frames.size() != order_.size())
      return broken(fmt::format("GCC lists the frames of {} functions, the object has {}", frames.size(), order_.size()));
    for (size_t i = 0; i < frames.size(); ++i) out_.functions[order_[i]].frame_bytes = frames[i];
    return Done{};
  }

  // --- calls

  [[nodiscard]] const Part* part_at(const Place& place) const {
    auto section = parts_.find(place.section);
    if (section == parts_.end()) return nullptr;
    for (const Part& part : section->second)
      if (part.offset <= place.offset && place.offset < part.offset + std::max<uint64_t>(part.bytes, 1)) return &part;
    return nullptr;
  }

  void read_relocations(const SectionRef& relocations) {
    llvm::Expected<llvm::object::section_iterator> target = relocations.getRelocatedSection();
    if (!target || *target == file_.section_end()) {
      if (!target) llvm::consumeError(target.takeError());
      return;
    }
    const Use use = use_of(**target, text((*target)->getName()));
    if (use == Use::none) return;
    std::vector<RelocationRef> sorted(relocations.relocation_begin(), relocations.relocation_end());
    std::ranges::stable_sort(sorted, {}, [](const RelocationRef& r) { return r.getOffset(); });
    for (const RelocationRef& relocation : sorted) {
      if (relocation.getSymbol() == file_.symbol_end()) continue;
      const ELFSymbolRef symbol = *relocation.getSymbol();
      const std::string name = text(symbol.getName());
      const std::optional<Place> place = place_of(symbol);
      const Part* from = part_at({(*target)->getIndex(), relocation.getOffset()});
      if (use == Use::code && from && machine_.is_branch(relocation.getType()))
        add_branch(*from, symbol, name, place);
      else if (place && symbol.getELFType() == elf::STT_FUNC)
        out_.indirect = fmt::format("the address of {} is taken", readable_symbol(name));
    }
  }

  void add_branch(const Part& from, const ELFSymbolRef& symbol, const std::string& name, const std::optional<Place>& place) {
    CodeFunction& function = out_.functions[from.function];
    if (!place) {
      function.calls.push_back({name, {}});
      return;
    }
    const Part* to = part_at(*place);
    // Branches within a function name labels; one that names the function itself calls it, unless it comes from its cold part.
    if (to && to->function == from.function) {
      if (symbol.getELFType() == elf::STT_FUNC && !from.cold && !to->cold) function.unbounded = "it calls itself";
    } else if (to) {
      function.calls.push_back({out_.functions[to->function].symbol, to->function});
    } else {
      function.unbounded = fmt::format("it jumps to {}, which is no function", name);
    }
  }

  void scan_instructions() {
    for (const SectionRef& section : file_.sections()) {
      auto parts = parts_.find(section.getIndex());
      if (parts == parts_.end()) continue;
      llvm::Expected<llvm::StringRef> contents = section.getContents();
      if (!contents) {
        llvm::consumeError(contents.takeError());
        continue;
      }
      for (const Part& part : parts->second) {
        if (part.offset + part.bytes > contents->size()) continue;
        std::string_view code(contents->data() + part.offset, part.bytes);
        CodeFunction& function = out_.functions[part.function];
        if (machine_.calls_start(code)) function.unbounded = "it calls itself";
        if (const std::string_view why = machine_.varying_frame ? machine_.varying_frame(code) : ""; !why.empty()) function.unbounded = why;
        if (machine_.unstated_frame_bytes && !input_.stack_usage.empty() && function.frame_bytes)
          *function.frame_bytes += machine_.unstated_frame_bytes(code);
      }
    }
  }

  const ObjectInput& input_;
  const ELFObjectFileBase& file_;
  const Machine& machine_;
  const std::string& weights_namespace_;
  ObjectCode& out_;
  std::map<uint64_t, std::vector<Part>> parts_;  ///< by section index
  std::vector<size_t> order_;                    ///< functions without their cold parts, in the order of the code
  std::set<uint64_t> weight_sections_;
};

}  // namespace

const CodeFunction* ObjectCode::find(std::string_view symbol) const {
  auto found = std::find_if(functions.begin(), functions.end(), [&](const CodeFunction& f) { return f.symbol == symbol; });
  return found == functions.end() ? nullptr : &*found;
}

std::string readable_symbol(const std::string& symbol) {
  if (!symbol.starts_with("_Z")) return symbol;
  const std::string full = llvm::demangle(symbol);
  std::string name;
  int depth = 0;
  for (char ch : full) {
    if (ch == '<' || ch == '(' || ch == '[') ++depth;
    if (depth == 0) name += ch;
    if (ch == '>' || ch == ')' || ch == ']') --depth;
  }
  for (size_t at = name.find(" const"); at != std::string::npos; at = name.find(" const")) name.erase(at, 6);
  name.erase(name.find_last_not_of(' ') + 1);                       // behind the parameters of clones: " (.constprop.0)"
  if (name.ends_with("::operator")) name.resize(name.size() - 10);  // of a lambda
  std::erase(name, '\'');
  return name.substr(name.rfind(' ') == std::string::npos ? 0 : name.rfind(' ') + 1);  // templates have their result type in front
}

Result<ObjectCode> read_objects(std::span<const ObjectInput> objects, const std::string& weights_namespace) {
  ObjectCode code;
  std::set<std::string> undefined, defined;
  for (const ObjectInput& input : objects) {
    auto file = llvm::object::ObjectFile::createELFObjectFile(llvm::MemoryBufferRef(input.bytes, input.name));
    if (!file) return unreadable(input, llvm::toString(file.takeError()));
    const auto* object = llvm::dyn_cast<ELFObjectFileBase>(file->get());
    const Machine* machine = object && object->isLittleEndian() ? find_machine(object->getEMachine()) : nullptr;
    if (!machine) return unreadable(input, fmt::format("it is not for {}", machine_names()));
    Reader reader(input, *object, *machine, weights_namespace, code);
    if (Status s = reader.read(); !s) return std::move(s).diagnostic();
    undefined.merge(reader.undefined);
    defined.merge(reader.defined);
  }
  // Calls from one object to another.
  for (CodeFunction& function : code.functions)
    for (CodeCall& call : function.calls)
      if (const CodeFunction* target = call.function || !defined.contains(call.symbol) ? nullptr : code.find(call.symbol))
        call.function = static_cast<size_t>(target - code.functions.data());
  std::set_difference(undefined.begin(), undefined.end(), defined.begin(), defined.end(), std::back_inserter(code.undefined));
  return code;
}

}  // namespace kiln
