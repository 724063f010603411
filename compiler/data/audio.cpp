// SPDX-License-Identifier: Apache-2.0
#include "compiler/data/audio.h"

#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "compiler/data/bad_data.h"

namespace kiln {
namespace {

constexpr int kMaxChannels = 64;

/// A file in memory, for libsndfile.
struct Memory {
  std::string_view bytes;
  sf_count_t at = 0;

  [[nodiscard]] sf_count_t size() const { return static_cast<sf_count_t>(bytes.size()); }
};

SF_VIRTUAL_IO memory_functions() {
  SF_VIRTUAL_IO io{};
  io.get_filelen = [](void* user) { return static_cast<Memory*>(user)->size(); };
  io.tell = [](void* user) { return static_cast<Memory*>(user)->at; };
  io.seek = [](sf_count_t offset, int whence, void* user) -> sf_count_t {
    auto* memory = static_cast<Memory*>(user);
    sf_count_t base = whence == SEEK_CUR ? memory->at : whence == SEEK_END ? memory->size() : 0;
    sf_count_t to = 0;
    if (__builtin_add_overflow(base, offset, &to)) return -1;
    return memory->at = std::clamp<sf_count_t>(to, 0, memory->size());
  };
  io.read = [](void* to, sf_count_t count, void* user) {
    auto* memory = static_cast<Memory*>(user);
    count = std::clamp<sf_count_t>(count, 0, memory->size() - memory->at);
    std::memcpy(to, memory->bytes.data() + memory->at, static_cast<size_t>(count));
    memory->at += count;
    return count;
  };
  io.write = [](const void*, sf_count_t, void*) -> sf_count_t { return 0; };
  return io;
}

/// The sizes that the chunk headers of the file claim. libsndfile takes what there is, without a word.
Status check_complete(std::string_view bytes) {
  auto size_at = [&](size_t at) {
    uint32_t size = 0;
    std::memcpy(&size, bytes.data() + at, sizeof size);
    return size_t{size};
  };
  if (bytes.size() < 12 || bytes.substr(0, 4) != "RIFF" || bytes.substr(8, 4) != "WAVE") return bad_data("this is no .wav file.");
  for (size_t at = 12; at + 8 <= bytes.size();) {
    size_t size = size_at(at + 4), rest = bytes.size() - at - 8;
    if (bytes.substr(at, 4) == "data") {
      if (size <= rest) return Done{};
      return bad_data(fmt::format("the .wav file ends early: {} bytes of sound are announced, {} are there.", size, rest));
    }
    if (size > rest) break;
    at += 8 + size + size % 2;
  }
  return bad_data("the .wav file ends before its sound begins.");
}

Tensor mono_mix(const std::vector<float>& interleaved, int64_t channels) {
  std::vector<float> mono;
  for (size_t i = 0; i < interleaved.size(); i += static_cast<size_t>(channels)) {
    double sum = 0;
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) sum += static_cast<double>(interleaved[i + c]);
    mono.push_back(static_cast<float>(sum / static_cast<double>(channels)));
  }
  return Tensor::floats({static_cast<int64_t>(mono.size())}, mono);
}

}  // namespace

Result<Audio> decode_wav(std::string_view bytes) {
  if (Status s = check_complete(bytes); !s) return std::move(s).diagnostic();
  Memory memory{bytes};
  SF_VIRTUAL_IO io = memory_functions();
  SF_INFO info{};
  std::unique_ptr<SNDFILE, decltype(&sf_close)> file(sf_open_virtual(&io, SFM_READ, &info, &memory), sf_close);
  if (!file) return bad_data(fmt::format("the .wav file cannot be read: {}.", sf_strerror(nullptr)));
  if (info.channels < 1 || info.channels > kMaxChannels || info.samplerate < 1)
    return bad_data(fmt::format("the .wav file has {} channels at {} Hz.", info.channels, info.samplerate));
  // Frames are counted by reading: a header's count is only a claim.
  std::vector<float> samples, chunk(static_cast<size_t>(info.channels) * 4096);
  while (sf_count_t frames = sf_readf_float(file.get(), chunk.data(), 4096)) {
    if (frames < 0) return bad_data("the sound in the .wav file is damaged.");
    samples.insert(samples.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(frames * info.channels));
    if (static_cast<int64_t>(samples.size()) > limits::kElements) return bad_data(fmt::format("the sound has more than {} numbers.", limits::kElements));
  }
  if (samples.empty()) return bad_data("the .wav file holds no sound.");
  return Audio{mono_mix(samples, info.channels), info.samplerate};
}

}  // namespace kiln
