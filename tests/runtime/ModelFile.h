//===- ModelFile.h - payloads and model files for tests ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_RUNTIME_MODELFILE_H
#define TERN_TESTS_RUNTIME_MODELFILE_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tern/tern.h"
#include "tests/support/TempFolder.h"

namespace tern::test {

struct Section {
  uint32_t kind;
  std::string bytes;
};

/// A payload as the compiler writes it.
std::string makePayload(const std::vector<Section> &sections);
/// Puts the right header checksum into a payload whose header or table was changed.
void sealPayload(std::string &payload);
/// The weights, tokenizer-less payload of the fake model.
std::string fakePayload();
/// With other sections added.
std::string fakePayload(const std::vector<Section> &more);

/// The library with a section `.tern.payload` appended.
std::string withPayload(std::string_view library, std::string_view payload);
/// The fake model's library as built, without a payload.
std::string fakeLibrary();
/// The one that names the sidecar "fake.weights".
std::string fakeSidecarLibrary();

std::string readFile(const std::string &path);
void writeFile(const std::string &path, std::string_view bytes);

/// A payload in 4096-aligned memory.
class AlignedPayload {
public:
  explicit AlignedPayload(std::string_view bytes);
  ~AlignedPayload();
  uint8_t *data;
  uint64_t size;
};

/// Opens the fake model that is linked into the program, with the plain payload. Aborts on failure.
tern_model_t *openFake(const tern_open_options_t *options = nullptr);

/// What the fake model says comes after `ids`.
int32_t fakeNext(const std::vector<int32_t> &ids);

} // namespace tern::test

#endif // TERN_TESTS_RUNTIME_MODELFILE_H
