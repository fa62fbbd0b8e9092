//===- TempFolder.h - a folder of a test's own ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_TEMPFOLDER_H
#define TERN_TESTS_SUPPORT_TEMPFOLDER_H

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace tern::test {

/// A folder that goes away with this object, and all it holds with it.
class TempFolder {
public:
  // mkdtemp puts characters of its own for the six X.
  TempFolder() : folder((std::filesystem::temp_directory_path() / "tern-test-XXXXXX").string()) {
    if (!mkdtemp(folder.data())) {
      std::perror("mkdtemp");
      std::abort();
    }
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  TempFolder(const TempFolder &) = delete;
  TempFolder &operator=(const TempFolder &) = delete;

  const std::string &path() const { return folder; }
  std::string operator/(std::string_view name) const { return folder + "/" + std::string(name); }
  void write(std::string_view name, std::string_view bytes) const {
    std::ofstream(*this / name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

private:
  std::string folder;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_TEMPFOLDER_H
