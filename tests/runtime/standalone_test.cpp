//===- standalone_test.cpp - a model with the runtime inside it -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdlib>
#include <gtest/gtest.h>

#include "ModelFile.h"

using namespace tern::test;

namespace {

TEST(Standalone, OneLibraryHoldsModelAndRuntime) {
  TempFolder folder;
  std::string path = folder / "standalone.so", log = folder / "log";
  writeFile(path, withPayload(readFile(TERN_FAKE_STANDALONE_MODEL), fakePayload()));
  std::string command = std::string(TERN_STANDALONE_MAIN) + " '" + path + "' > '" + log + "' 2>&1";
  int status = std::system(command.c_str());
  std::string output = readFile(log);
  EXPECT_EQ(status, 0) << output;
  EXPECT_NE(output.find("version 0."), std::string::npos) << output;
  EXPECT_NE(output.find("expected failure: tern_model_open_linked: opening a linked model: "),
            std::string::npos)
      << output;
}

TEST(Standalone, CanBeOpenedByAnotherRuntimeToo) {
  TempFolder folder;
  std::string path = folder / "standalone.so";
  writeFile(path, withPayload(readFile(TERN_FAKE_STANDALONE_MODEL), fakePayload()));
  tern_model_t *model = nullptr;
  ASSERT_EQ(tern_model_open(path.c_str(), nullptr, &model), TERN_STATUS_OK) << tern_error_message();
  tern_model_close(model);
}

} // namespace
