// SPDX-License-Identifier: Apache-2.0
// The whole compiler under libFuzzer, with a mutator that knows ONNX's message: models that clang's coverage finds new ways through. What
// must hold is that of model_trial.h; a violation ends the fuzzer and leaves the model in a file crash-*.
//
//   cmake --preset fuzz && cmake --build build-fuzz -j 2 --target model_fuzzer
//   mkdir -p corpus && build-fuzz/bin/model_fuzzer -timeout=20 -rss_limit_mb=4096 corpus /usr/share/libonnx-testdata/data/node
//   build-fuzz/bin/model_fuzzer crash-...        # again, alone
#include <cstdio>
#include <cstdlib>

#include "compiler/ops/ops.h"
#include "tests/fuzz/model_mutator.h"
#include "tests/fuzz/model_trial.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static kiln::test::ModelTrial trial(kiln::test::Watch::nothing);
  const std::string problem = trial.run(std::string(reinterpret_cast<const char*>(data), size), "the input");
  if (problem.empty()) return 0;
  std::fprintf(stderr, "%s\n", problem.c_str());
  std::abort();
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  kiln::test::Random random(seed);
  onnx::ModelProto model;
  const google::protobuf::LogSilencer quiet;
  if (random() % 8 == 0 || !model.ParseFromArray(data, static_cast<int>(size))) return LLVMFuzzerMutate(data, size, most);
  std::vector<std::string> texts;
  kiln::test::collect_texts(model, texts);
  for (const kiln::OpDef* op : kiln::op_table().all()) texts.emplace_back(op->onnx.type);
  const std::string bytes = kiln::test::mutate_fields(std::move(model), random, texts);
  if (bytes.size() > most) return LLVMFuzzerMutate(data, size, most);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}
