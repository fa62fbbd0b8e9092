//===- TokenizerFolder.h - tokenizers from texts and files ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_TOKENIZERFOLDER_H
#define TERN_TESTS_SUPPORT_TOKENIZERFOLDER_H

#include "frontends/import/Tokenizer.h"
#include "runtime/text/Tokenizer.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace tern::test {

/// A temporary folder that goes with its object.
class Folder {
public:
  Folder() { EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("tern-tokenizer", path)); }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;

  void write(llvm::StringRef name, llvm::StringRef text) const {
    std::error_code error;
    llvm::raw_fd_ostream(inside(name), error) << text;
    EXPECT_FALSE(error);
  }
  void link(llvm::StringRef name, llvm::StringRef target) const {
    EXPECT_FALSE(llvm::sys::fs::create_link(target, inside(name)));
  }
  std::string inside(llvm::StringRef name) const { return (path + "/" + name).str(); }

  llvm::SmallString<128> path;
};

/// A tokenizer and the blob it reads.
struct Loaded {
  std::string blob;
  std::unique_ptr<Tokenizer> tokenizer;
  Tokenizer *operator->() const { return tokenizer.get(); }
  explicit operator bool() const { return tokenizer != nullptr; }
};

inline Loaded loadBlob(std::string blob) {
  Loaded loaded;
  loaded.blob = std::move(blob);
  Status status = Tokenizer::load(loaded.blob, &loaded.tokenizer);
  EXPECT_TRUE(status.ok()) << status.message();
  return loaded;
}

inline Loaded loadFolder(llvm::StringRef folder, uint64_t vocabulary = 0) {
  llvm::Expected<std::string> blob = import::importTokenizer(folder, vocabulary);
  if (!blob) {
    ADD_FAILURE() << llvm::toString(blob.takeError());
    return {};
  }
  return loadBlob(std::move(*blob));
}

/// The tokenizer of one tokenizer.json, given by its text.
inline Loaded loadText(llvm::StringRef text) {
  Folder folder;
  folder.write("tokenizer.json", text);
  return loadFolder(folder.path);
}

/// The tokenizer of one tokenizer.json, given by its path.
inline Loaded loadFile(llvm::StringRef path) {
  Folder folder;
  folder.link("tokenizer.json", path);
  return loadFolder(folder.path);
}

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_TOKENIZERFOLDER_H
